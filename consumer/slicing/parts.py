"""Parts of a feature's values, of which slices are made."""

from collections import Counter
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge.consumer.slicing.rows import missing
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column

MOST_PARTS: Final = 8
"""Parts of a feature: its most frequent categories, or parts of its range with about as many rows;
of the latter all below a cut, and all above it, are parts too.
"""
CUT_SHARE: Final = 0.01
"""Share of the rows by which a cut may be off, so that it is a number of few digits."""


class Parted(NamedTuple):
    """A feature whose values are divided into cells, of which parts are made.

    Parameters
    ----------
    codes
        Number of each row's cell, -1 for none of them.
    conditions, parts
        Of each part the condition, and its cells: the first and the one behind the last.
    """

    codes: Ints
    conditions: list[str]
    parts: list[tuple[int, int]]

    @property
    def cells(self) -> int:
        return max((end for _, end in self.parts), default=0)

    def members(self) -> Floats:
        """Return which cells belong to which part, shape (parts, cells)."""
        cells = np.arange(self.cells)
        return np.array([(cells >= begin) & (cells < end) for begin, end in self.parts], float)

    def inside(self, part: int) -> Any:
        """Tell which rows are in a part."""
        begin, end = self.parts[part]
        return (self.codes >= begin) & (self.codes < end)

    def of(self, rows: Any) -> "Parted":
        """Return some rows of it."""
        return self._replace(codes=self.codes[rows])


def divide(name: str, feature: Feature, column: Column, first: Any) -> Parted:
    """Divide a feature by its values in some rows, those of the half that chooses."""
    written = '"' + name.replace('"', '""') + '"'
    absent = missing(column)
    if isinstance(column, list):
        found = _categories(written, column, first)
    else:
        found = _numbers(written, feature, column, first & ~absent)
    if absent.any():
        found.codes[absent] = found.cells
        found.conditions.append(f"{written} IS NULL")
        found.parts.append((found.cells, found.cells + 1))
    return found


def _categories(name: str, column: list[str | None], first: Any) -> Parted:
    values = np.array(column, dtype=object)
    counts = Counter(one for one in values[first] if one is not None)
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_PARTS]
    codes = np.full(len(column), -1, dtype=np.int64)
    for code, (category, _) in enumerate(most):
        codes[values == category] = code
    said = [f"{name} = '" + category.replace("'", "''") + "'" for category, _ in most]
    return Parted(codes, said, _single(len(most)))


def _numbers(name: str, feature: Feature, column: Floats, known: Any) -> Parted:
    present = np.unique(column[known])
    if feature.kind == "boolean" or len(present) <= MOST_PARTS:
        codes = np.full(len(column), -1, dtype=np.int64)
        for code, value in enumerate(present.tolist()):
            codes[column == value] = code
        said = [_equals(name, value, feature) for value in present.tolist()]
        return Parted(codes, said, _single(len(present)))
    cuts = _cuts(column[known])
    last = len(cuts)
    between = [(place, place + 1) for place in range(1, last)]
    parts = [
        *((0, end) for end in range(1, last + 1)),
        *((begin, last + 1) for begin in range(1, last + 1)),
        *between,
    ]
    bounds = [None, *map(_said, cuts), None]
    said = [
        " AND ".join(
            f"{name} {sign} {bound}"
            for sign, bound in ((">", bounds[begin]), ("<=", bounds[end]))
            if bound is not None
        )
        for begin, end in parts
    ]
    codes = np.searchsorted(cuts, column, side="left").astype(np.int64)
    codes[missing(column)] = -1
    return Parted(codes, said, parts)


def _single(number: int) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(number)]


def _equals(name: str, value: float, feature: Feature) -> str:
    if feature.kind == "boolean":
        return name if value else f"NOT {name}"
    return f"{name} = {_said(value)}"


def _said(value: float) -> str:
    return repr(value).removesuffix(".0")


def _cuts(values: Floats) -> list[float]:
    """Return cuts between parts of about as many values, of as few digits as their bounds allow."""
    shares = np.linspace(0, 1, MOST_PARTS + 1)[1:-1]
    lows, highs = (np.quantile(values, shares + off) for off in (-CUT_SHARE, CUT_SHARE))
    found = {_shortest(low, high) for low, high in zip(lows.tolist(), highs.tolist(), strict=True)}
    return sorted(found)


def _shortest(low: float, high: float) -> float:
    """Return a number of few digits from `low` to `high`.

    Examples
    --------
    >>> _shortest(33.1187, 35.902), _shortest(-0.01, 0.02), _shortest(1203.5, 1203.5)
    (35.0, 0.0, 1203.5)
    """
    if low <= 0 <= high:
        return 0.0
    middle = low + (high - low) / 2
    rounded = (float(f"{middle:.{digits}g}") for digits in range(1, 17))
    return next((one for one in rounded if low <= one <= high), middle)
