"""The search for the worst slices of up to two features.

The rows with labels are divided by chance into two halves. In the first one every slice is looked
at, and those are listed in which the errors are largest beyond chance; slices that have most of
their rows in common are listed once. The second half, which had no say in that, then gives the
figure of each listed slice and tests it: errors that are right or wrong by Fisher's exact test,
numbers by Mann and Whitney's. Holm's correction over the listed ones (1979, Scand. J. Stat. 6,
65-70) holds the probability that any slice is named that is not worse to `level`. However many
slices were looked at, the tests are of the other half, so they need no correction for these.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from driftgauge.consumer.offline.archived.sample import Sample
from driftgauge.consumer.slicing.parts import Parted, divide
from driftgauge.consumer.slicing.rows import Columns, missing, rows_of
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout, Metric, Sums, metrics
from driftgauge.shared.performance.layout import MAX_CLASSES
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column

MOST_FEATURES: Final = 30
"""Features whose values are combined; of more, those by which the errors differ most."""
LEAST_ROWS: Final = 100
"""Least rows of a slice in each half."""
LARGEST: Final = 0.5
"""Largest share of the rows in a slice."""
ALIKE: Final = 0.5
"""Share of rows in common from which two slices are one."""
LEVEL: Final = 0.05
"""Probability that any slice is named that is not worse."""


class WorstSlice(msgspec.Struct, frozen=True):
    """A slice with large errors, as the half of the rows has it that did not choose it.

    Parameters
    ----------
    condition
        As `driftgauge slice` takes it.
    rows
        Its rows with a label in that half.
    value, low, high
        The metric of these rows, and its interval of 95 %.
    rest
        The metric of all other rows of that half.
    p_value
        Holm's, of the test that its errors are as those of the other rows.
    worse
        Whether it is named as worse.
    """

    condition: str
    rows: int
    value: float | None
    low: float | None
    high: float | None
    rest: float | None
    p_value: float
    worse: bool


class WorstSlices(msgspec.Struct, frozen=True):
    """What a search found.

    Parameters
    ----------
    metric
        The metric of the slices: `accuracy` or `mae`.
    rows
        Rows with a label that were searched and tested, half and half.
    features
        Features that were combined.
    looked
        Slices that were looked at.
    level
        Probability that any slice is named as worse that is not.
    slices
        The listed ones, those first that were worst in the half that chose them.
    """

    metric: str
    rows: int
    features: int
    looked: int
    level: float
    slices: list[WorstSlice]


class _Seen(NamedTuple):
    """A slice that was looked at: the places of its features and of their parts, and how far its
    errors are above the others', in standard errors.
    """

    score: float
    features: tuple[int, ...]
    parts: tuple[int, ...]


def search(columns: Columns, side: Sample, most: int) -> WorstSlices:
    """Search the worst slices of the rows of an archive.

    Raises
    ------
    BadData
        If too few rows have a label.
    """
    if side.predictions is None or side.labels is None:
        raise BadData("The model predicts nothing, so no slice can be worse than another.")
    known = ~(missing(side.predictions) | missing(side.labels))
    classes = columns.schema.classes
    layout = Layout(columns.schema.prediction or "numeric", classes[:MAX_CLASSES])
    return worst_slices(
        columns.names,
        columns.schema.features,
        [rows_of(one, known) for one in side.columns],
        layout,
        rows_of(side.predictions, known),
        rows_of(side.labels, known),
        most=most,
    )


def worst_slices(
    names: Sequence[str],
    features: Sequence[Feature],
    columns: Sequence[Column],
    layout: Layout,
    predictions: Column,
    labels: Column,
    *,
    most: int = 5,
    seed: int = 0,
    level: float = LEVEL,
) -> WorstSlices:
    """Search the worst slices.

    Parameters
    ----------
    names
        How a condition names each feature.
    features, columns
        The features, and their values by row; times are left out.
    predictions, labels
        One a row, none missing.
    most
        Slices to list.
    seed
        Of the division into halves.

    Raises
    ------
    BadData
        If there are too few rows.
    """
    rows = len(labels)
    if rows < 4 * LEAST_ROWS:
        raise BadData(
            f"{rows:,} rows have a label; a search needs at least {4 * LEAST_ROWS}: half of them "
            f"choose, the other half tests."
        )
    first = np.zeros(rows, dtype=bool)
    first[np.random.default_rng(seed).permutation(rows)[: rows // 2]] = True
    errors = _errors(layout, predictions, labels)
    parted = [
        divide(name, feature, column, first)
        for name, feature, column in zip(names, features, columns, strict=True)
        if feature.kind != "timestamp" and not feature.excluded
    ]
    ranks = _ranked(errors[first], layout)
    chosen = [one.of(first) for one in parted]
    kept, looked, seen = _search(chosen, ranks)
    listed = _listed([chosen[place] for place in kept], seen, most)
    parted = [parted[place] for place in kept]
    second = ~first
    held = _Held(layout, rows_of(predictions, second), rows_of(labels, second), errors[second])
    insides = [_inside(one, parted)[second] for one in listed]
    adjusted = _holm([held.p_value(inside) for inside in insides])
    return WorstSlices(
        "mae" if layout.kind == "numeric" else "accuracy",
        rows,
        len(kept),
        looked,
        level,
        [
            held.told(_condition(one, parted), inside, p_value, level)
            for one, inside, p_value in zip(listed, insides, adjusted, strict=True)
        ],
    )


def _errors(layout: Layout, predictions: Column, labels: Column) -> Floats:
    """Return the error of each row: the absolute one of a number; 0 or 1 of a class."""
    if layout.kind == "numeric":
        with np.errstate(over="ignore"):
            return np.abs(np.asarray(predictions, np.float64) - np.asarray(labels, np.float64))
    return np.array([float(one != other) for one, other in zip(predictions, labels, strict=True)])


def _ranked(errors: Floats, layout: Layout) -> Floats:
    """Return what is averaged in the search: ranks of numbers, so that no single row decides."""
    if layout.kind != "numeric":
        return errors
    from scipy.stats import rankdata

    return np.asarray(rankdata(errors), np.float64)


# -- the half that chooses -------------------------------------------------------------------------


def _search(parted: list[Parted], errors: Floats) -> tuple[list[int], int, list[_Seen]]:
    """Look at the slices of one feature, and of two.

    Returns
    -------
    tuple
        Places of the features that were combined, number of slices that were looked at, and those
        with larger errors, which name features by their place among the combined ones.
    """
    alone = [_looked([one], (place,), errors) for place, one in enumerate(parted)]
    best = [max((one.score for one in found), default=-np.inf) for _, found in alone]
    kept = sorted(np.argsort(best, kind="stable")[::-1][:MOST_FEATURES].tolist())
    looked = sum(alone[old][0] for old in kept)
    seen = [
        one._replace(features=(place,)) for place, old in enumerate(kept) for one in alone[old][1]
    ]
    for one, other in combinations(range(len(kept)), 2):
        number, found = _looked([parted[kept[one]], parted[kept[other]]], (one, other), errors)
        looked += number
        seen += found
    return kept, looked, seen


def _looked(
    parted: list[Parted], features: tuple[int, ...], errors: Floats
) -> tuple[int, list[_Seen]]:
    """Score the slices of one feature's parts, or of two features'; return how many there are that
    are neither too small nor too large, and those with larger errors than the others.
    """
    sizes = [one.cells for one in parted]
    n, mean, variance = len(errors), float(errors.mean()), float(errors.var())
    if not all(sizes) or not variance:
        return 0, []
    known = np.all([one.codes >= 0 for one in parted], axis=0)
    codes = np.ravel_multi_index([one.codes[known] for one in parted], sizes)
    counts, totals = (
        _by_part(np.bincount(codes, weights, int(np.prod(sizes))).reshape(sizes), parted)
        for weights in (None, errors[known])
    )
    large = (counts >= LEAST_ROWS) & (counts <= LARGEST * n)
    rows = counts[large]
    scores = (totals[large] - rows * mean) / np.sqrt(rows * (1 - rows / n) * variance)
    places = np.argwhere(large)
    worse = scores > 0
    return len(scores), [
        _Seen(score, features, tuple(parts))
        for score, parts in zip(scores[worse].tolist(), places[worse].tolist(), strict=True)
    ]


def _by_part(cells: Any, parted: list[Parted]) -> Floats:
    """Sum what is told of each cell over the cells of each part."""
    found = np.asarray(cells, np.float64)
    for axis, one in enumerate(parted):
        found = np.moveaxis(np.tensordot(one.members(), found, (1, axis)), 0, axis)
    return found


def _listed(parted: list[Parted], seen: list[_Seen], most: int) -> list[_Seen]:
    """Choose the slices with the largest scores, of those with most rows in common the first."""
    found: list[_Seen] = []
    rows: list[Any] = []
    for one in sorted(seen, key=lambda slice_: -slice_.score):
        if len(found) == most:
            break
        inside = _inside(one, parted)
        if all((inside & other).sum() < ALIKE * (inside | other).sum() for other in rows):
            found.append(one)
            rows.append(inside)
    return found


def _inside(one: _Seen, parted: list[Parted]) -> Any:
    return np.all(
        [
            parted[feature].inside(part)
            for feature, part in zip(one.features, one.parts, strict=True)
        ],
        axis=0,
    )


def _condition(one: _Seen, parted: list[Parted]) -> str:
    return " AND ".join(
        parted[feature].conditions[part]
        for feature, part in zip(one.features, one.parts, strict=True)
    )


# -- the half that tests ---------------------------------------------------------------------------


class _Held(NamedTuple):
    """The rows that had no say in the choice."""

    layout: Layout
    predictions: Column
    labels: Column
    errors: Floats

    def p_value(self, inside: Any) -> float:
        """Test whether the errors of a slice are larger than those of the other rows."""
        rows = int(inside.sum())
        if rows < LEAST_ROWS // 2 or rows == len(inside):
            return 1.0
        from scipy import stats

        if self.layout.kind == "numeric":
            found = stats.mannwhitneyu(
                self.errors[inside],
                self.errors[~inside],
                alternative="greater",
                method="asymptotic",
            )
            return float(found.pvalue)
        wrong = int(self.errors.sum())
        return float(
            stats.hypergeom.sf(int(self.errors[inside].sum()) - 1, len(inside), wrong, rows)
        )

    def told(self, condition: str, inside: Any, p_value: float, level: float) -> WorstSlice:
        own, rest = self.metric(inside), self.metric(~inside)
        return WorstSlice(
            condition,
            int(inside.sum()),
            own.value,
            own.low,
            own.high,
            rest.value,
            p_value,
            p_value <= level and self.is_worse(own, rest),
        )

    def is_worse(self, own: Metric, rest: Metric) -> bool:
        """Tell whether the metric itself is worse, as errors in another order need not make it."""
        if own.value is None or rest.value is None:
            return False
        larger = own.value > rest.value
        return larger if self.layout.kind == "numeric" else own.value < rest.value

    def metric(self, rows: Any) -> Metric:
        """Compute the metric of some rows, as it is computed everywhere."""
        name = "mae" if self.layout.kind == "numeric" else "accuracy"
        sums = Sums.of(self.layout, rows_of(self.predictions, rows), rows_of(self.labels, rows))
        return metrics(sums, names=(name,))[name]


def _holm(values: list[float]) -> list[float]:
    """Correct p-values for their number, so that the least is right of all together.

    Examples
    --------
    >>> _holm([0.25, 0.03125, 0.5])
    [0.5, 0.09375, 0.5]
    """
    found, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min((len(values) - place) * values[index], 1.0))
        found[index] = largest
    return found
