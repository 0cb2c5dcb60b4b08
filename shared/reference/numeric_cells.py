"""Numbers become cells: which of the intervals between a reference's cuts, or which cut, each of
them is. Pure.
"""

import numpy as np

from driftgauge.shared.arrays import Floats, Ints

GRID = 4096
"""Steps of the table by which the cut next to a value is found."""
FEW = 100
"""Values that are searched for as they come; more are sorted first."""
SINGLE_PRECISION = 2.0**-24 * (1 + 2.0**-12)
"""Largest relative error of a number that was stored as float32, and a little more."""


class NumericCells:
    """Maps numbers to 2k + 1 intervals and MISSING: an even cell lies between cuts, an odd one at a
    cut.

    A number that float32 cannot tell from a cut is taken as that cut: a client that computes in
    single precision, or writes fewer digits, would otherwise move every value off its atom. Where
    cuts lie closer together than that, the tolerance ends at a quarter of their distance, so no
    number that is nearer to another cut is ever taken for this one.

    The span of the cuts is parted into GRID equal steps. A number's step grows with it, rounded or
    not: so the cuts of earlier steps are smaller, those of later ones are larger, and one look
    decides about the only cut of its own step. Where several cuts share a step, or one reaches over
    the end of its step, the number is searched for.

    Parameters
    ----------
    cuts
        Ascending, k of them.

    Examples
    --------
    >>> cells = NumericCells(np.array([1.0, 2.1]))
    >>> cells.of(np.array([0.5, 1.0, 1.5, 2.1, 9.0, np.nan])).tolist()
    [0, 1, 2, 3, 4, 5]
    >>> cells.of(np.array([np.float32(2.1), 2.101], dtype=np.float64)).tolist()
    [3, 4]
    """

    def __init__(self, cuts: Floats) -> None:
        self._missing = 2 * len(cuts) + 1
        tolerance = _tolerances(cuts)
        self._lower, self._upper = cuts - tolerance, cuts + tolerance
        self._low, self._high = (
            (float(self._lower[0]), float(self._upper[-1])) if len(cuts) else (0.0, 0.0)
        )
        with np.errstate(over="ignore", divide="ignore"):
            self._scale = float((GRID - 1) / np.float64(self._high - self._low))
        self._even = 0 < self._scale < np.inf
        """Whether there are steps; not of a constant, nor of a span that is no number."""
        empty = np.zeros(0, dtype=np.int64)
        first = self._steps(self._lower) if self._even else empty
        last = self._steps(self._upper) if self._even else empty
        sizes = np.bincount(first, minlength=GRID)
        self._crowded = sizes > 1
        for begin, end in zip(first[first < last], last[first < last], strict=True):
            self._crowded[begin : end + 1] = True
        self._any_crowded = bool(self._crowded.any())
        self._before = 2 * (np.cumsum(sizes) - sizes)
        """The cell of what is smaller than the cut of a step."""
        self._own_lower, self._own_upper = np.full((2, GRID), np.inf)
        self._own_lower[first] = self._lower[: len(first)]
        self._own_upper[first] = self._upper[: len(first)]

    def of(self, values: Floats) -> Ints:
        """Return the cell of each value."""
        if self._even:
            steps = self._steps(values)
            cells = self._before.take(steps)
            cells += (self._own_upper.take(steps) < values).view(np.int8)
            cells += (self._own_lower.take(steps) <= values).view(np.int8)
            if self._any_crowded:
                crowded = np.flatnonzero(self._crowded.take(steps))
                cells[crowded] = self._searched(values[crowded])
        else:
            cells = self._searched(values)
        number = values < np.inf
        if not number.all():
            cells[~number] = self._missing
        return cells

    def _searched(self, values: Floats) -> Ints:
        """Return the cell of each number by binary searches."""
        if len(values) < FEW:
            return self._between(values)
        order = values.argsort()  # searches of sorted values predict well
        cells = np.empty(len(values), dtype=np.int64)
        cells[order] = self._between(values[order])
        return cells

    def _between(self, values: Floats) -> Ints:
        below = self._upper.searchsorted(values)
        reached = self._lower.searchsorted(values, side="right")
        return below + reached

    def _steps(self, values: Floats) -> Ints:
        """Return the step that each value lies in; what is beyond the cuts lies in the first or
        last one, NaN in the first.
        """
        within = np.fmax(values, self._low)
        np.fmin(within, self._high, out=within)
        within -= self._low
        within *= self._scale
        return within.astype(np.int64)


def _tolerances(cuts: Floats) -> Floats:
    """Return how far from each cut a number may lie and still be that cut."""
    if not len(cuts):
        return cuts
    with np.errstate(over="ignore"):
        gaps = np.diff(cuts, prepend=-np.inf, append=np.inf) / 4
    tolerance: Floats = np.minimum(np.abs(cuts) * SINGLE_PRECISION, np.minimum(gaps[:-1], gaps[1:]))
    with np.errstate(over="ignore"):  # at the largest numbers
        fits = np.isfinite(cuts + tolerance) & np.isfinite(cuts - tolerance)
    return np.where(fits, tolerance, 0.0)
