"""Columns that are derived from all numeric features of a row together.

A column by itself cannot show that two features no longer go together while each is distributed as
before. A principal component analysis of the reference can: each feature is standardised (a missing
value has the mean), and the components that hold most of the variance describe how the features
go together. What a row has beside them is its reconstruction error (as in NannyML's detector). The
error and the first components become numeric columns behind the features of a row. They are columns
like the others: counted, binned, judged and reported, within the same false-alarm budget.

Pure: arrays in, values out. The analysis is stored as plain numbers in the version's schema.
"""

from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData

ERROR: Final = "reconstruction_error"
"""Name of the column of reconstruction errors."""
COMPONENT: Final = "component_{}"
"""Names of the columns of components, with their numbers from 1."""
SHARE: Final = 0.65
"""Share of the variance that the components hold at least: what is left must be enough to be
missed. NannyML has the same.
"""
MOST_COMPONENTS: Final = 64
"""Most components: they are stored with the version and read by each process."""
SHOWN: Final = 2
"""Components that are columns. Each costs the others a part of the false-alarm budget."""
FURTHEST: Final = 1e6
"""Standard deviations at which a value is cut, so that no square of it is infinite."""
DIGITS: Final = 6
"""Digits behind the point. A row gives the same number whether it comes alone or in a list."""
CONSTANT: Final = 1e-9
"""A feature varies if its standard deviation is more than this part of its largest value."""
BLOCK: Final = 65_536
"""Rows that are worked on at a time."""
NAMED: Final = 3
"""Features that a component's title names."""
CELLS: Final = 24
"""Characters of each of these names."""


class Derivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The principal component analysis of a reference.

    Parameters
    ----------
    features
        Names of the numeric features, at least two.
    means, scales
        Mean and standard deviation of each, where missing values have the mean.
    components
        Weights of the features in each component, of length 1, the component of the largest
        variance first. There are fewer components than features.

    Examples
    --------
    >>> x = np.array([-1.0, 0.0, 1.0, np.nan])
    >>> found = Derivation.fit(("x", "y"), [x, 10 * x])
    >>> found.names
    ('reconstruction_error', 'component_1')
    >>> found.of_rows([[1.0, 10.0], [1.0, -10.0], [None, None]], (0, 1))
    [[0.0, 2.0], [2.0, 0.0], [0.0, 0.0]]
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        wide = len(self.features)
        if not (
            wide >= 2
            and 0 < len(self.components) < wide
            and {len(self.means), len(self.scales), *map(len, self.components)} == {wide}
            and all(scale > 0 for scale in self.scales)
        ):
            raise BadData(
                "The schema's `derivation` is none: it needs a mean, a scale and a weight in each "
                "component for each of at least two features. Leave it out, and register with "
                "--multivariate."
            )

    @classmethod
    def fit(cls, features: Sequence[str], columns: Sequence[Floats]) -> "Derivation":
        """Analyse reference rows.

        Parameters
        ----------
        features
            Names of the numeric features; those that do not vary are left out.
        columns
            Values of each, shape (rows,), with NaN for missing ones.

        Raises
        ------
        BadData
            If fewer than two features vary.
        """
        found = [
            (name, column, *moments)
            for name, column in zip(features, columns, strict=True)
            if (moments := _moments(column)) is not None
        ]
        if len(found) < 2:
            raise BadData(
                "--multivariate needs at least two numeric features that vary and are neither "
                "personal nor left out of drift; leave the option out."
            )
        names, kept, means, scales = zip(*found, strict=True)
        variances, vectors = np.linalg.eigh(_correlations(kept, means, scales))
        variances, vectors = variances[::-1].clip(0), vectors.T[::-1]
        shares = np.cumsum(variances) / variances.sum()
        enough = int(np.searchsorted(shares, SHARE, side="right")) + 1
        most = vectors[: min(enough, len(names) - 1, MOST_COMPONENTS)]
        largest = np.abs(most).argmax(axis=1)  # a vector and its negative are one component
        signs = np.where(most[np.arange(len(most)), largest] < 0, -1.0, 1.0)
        return cls(names, means, scales, tuple(map(tuple, (most * signs[:, None]).tolist())))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the derived columns, in order."""
        shown = range(1, 1 + min(SHOWN, len(self.components)))
        return (ERROR, *(COMPONENT.format(number) for number in shown))

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """What each derived column is, in words."""
        return (
            "reconstruction error of all numeric features",
            *map(self._title, range(len(self.names) - 1)),
        )

    def _title(self, component: int) -> str:
        weights = np.abs(self.components[component])
        heavy = np.argsort(-weights, kind="stable")[:NAMED]
        named = ", ".join(self.features[place][:CELLS] for place in heavy)
        return f"component {component + 1} of all numeric features, mostly {named}"

    def of_columns(self, columns: Sequence[Any]) -> list[Floats]:
        """Derive the columns of the columns of `features`, in their order, with NaN for missing."""
        rows = len(columns[0])
        found = np.empty((len(self.names), rows))
        for first in range(0, rows, BLOCK):
            part = [np.asarray(one[first : first + BLOCK], np.float64) for one in columns]
            found[:, first : first + BLOCK] = self._of(np.column_stack(part)).T
        return list(found)

    def of_rows(self, rows: Sequence[list[Value]], places: tuple[int, ...]) -> list[list[Value]]:
        """Derive the values of rows, where the values of `features` have these places."""
        pick = itemgetter(*places)
        found: list[list[Value]] = self._of(
            np.array([pick(row) for row in rows], np.float64)
        ).tolist()
        return found

    def _of(self, values: Floats) -> Floats:
        """Derive the columns of values, shape (rows, features)."""
        means, scales, components = self._arrays
        with np.errstate(over="ignore"):
            scores = (values - means) / scales
        np.nan_to_num(scores, copy=False, nan=0.0, posinf=FURTHEST, neginf=-FURTHEST)
        scores.clip(-FURTHEST, FURTHEST, out=scores)
        found = scores @ components.T
        left = scores - found @ components
        error = np.sqrt((left * left).sum(axis=1))
        shown = len(self.names) - 1
        return np.round(np.column_stack((error, found[:, :shown])), DIGITS) + 0.0

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.means), np.array(self.scales), np.array(self.components)


def _moments(column: Floats) -> tuple[float, float] | None:
    """Return mean and standard deviation of a column whose missing values have the mean; None if it
    does not vary.
    """
    present = column[~np.isnan(column)]
    largest = float(np.abs(present).max(initial=0.0))
    if not largest:
        return None
    scaled = present / largest  # the square of a large number is no number
    spread = float(scaled.std()) * (len(present) / len(column)) ** 0.5
    if spread <= CONSTANT:
        return None
    return float(scaled.mean()) * largest, spread * largest


def _correlations(
    columns: Sequence[Floats], means: Sequence[float], scales: Sequence[float]
) -> Floats:
    """Return the correlations of columns, block by block of their rows."""
    rows, wide = len(columns[0]), len(columns)
    found = np.zeros((wide, wide))
    for first in range(0, rows, BLOCK):
        values = np.column_stack([one[first : first + BLOCK] for one in columns])
        scores = np.nan_to_num((values - np.array(means)) / np.array(scales), nan=0.0)
        found += scores.T @ scores
    return found / rows
