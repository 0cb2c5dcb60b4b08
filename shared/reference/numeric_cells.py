"""Numbers become cells: which of the intervals between a reference's cuts, or which cut, each of
them is. Pure.
"""

import numpy as np

from driftgauge.shared.arrays import Floats, Ints

GRID = 4096
"""Steps of the table by which the cut next to a value is found."""
FEW = 100
"""Values that are searched for as they come; more are sorted first."""


class NumericCells:
    """Maps numbers to 2k + 1 intervals and MISSING: an even cell lies between cuts, an odd one at a
    cut.

    The span of the cuts is parted into GRID equal steps. A number's step grows with it, rounded or
    not: so the cuts of earlier steps are smaller, those of later ones are larger, and one look
    decides about the only cut of its own step. Where several cuts share a step, the number is
    searched for.

    Parameters
    ----------
    cuts
        Ascending, k of them.

    Examples
    --------
    >>> NumericCells(np.array([1.0, 2.0])).of(np.array([0.5, 1.0, 1.5, 2.0, 9.0, np.nan])).tolist()
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, cuts: Floats) -> None:
        self._cuts = cuts
        self._low, self._high = (float(cuts[0]), float(cuts[-1])) if len(cuts) else (0.0, 0.0)
        with np.errstate(over="ignore", divide="ignore"):
            self._scale = float((GRID - 1) / np.float64(self._high - self._low))
        self._even = 0 < self._scale < np.inf
        """Whether there are steps; not of a constant, nor of a span that is no number."""
        steps = self._steps(cuts) if self._even else np.zeros(0, dtype=np.int64)
        sizes = np.bincount(steps, minlength=GRID)
        self._crowded = sizes > 1
        self._any_crowded = bool(self._crowded.any())
        self._before = 2 * (np.cumsum(sizes) - sizes)
        """The cell of what is smaller than the cut of a step."""
        self._own = np.full(GRID, np.inf)
        self._own[steps] = cuts[: len(steps)]

    def of(self, values: Floats) -> Ints:
        """Give the cell of each value."""
        if not self._even:
            return self._searched(values)
        steps = self._steps(values)
        own = self._own.take(steps)
        cells = self._before.take(steps)
        cells += (own < values).view(np.int8) + (own <= values).view(np.int8)
        if self._any_crowded:
            crowded = np.flatnonzero(self._crowded.take(steps))
            cells[crowded] = self._searched(values[crowded])
        number = values < np.inf
        if not number.all():
            cells[~number] = 2 * len(self._cuts) + 1
        return cells

    def _searched(self, values: Floats) -> Ints:
        """Give the cell of each value by a binary search for it.

        The cut that follows those that are smaller is not larger exactly if the value equals it, or
        is NaN, which lies behind all cuts: so NaN comes out as 2k + 1, the cell of MISSING.
        """
        below = _count_below(values, self._cuts)
        next_cut = np.append(self._cuts, np.inf)[below]
        return 2 * below + ~(next_cut > values)

    def _steps(self, values: Floats) -> Ints:
        """Give the step that each value lies in; what is beyond the cuts lies in the first or last
        one, NaN in the first.
        """
        within = np.fmax(values, self._low)
        np.fmin(within, self._high, out=within)
        within -= self._low
        within *= self._scale
        return within.astype(np.int64)


def _count_below(values: Floats, cuts: Floats) -> Ints:
    """Count for each value the cuts that are smaller. Many values are sorted first: their searches
    then predict well.
    """
    if len(values) < FEW:
        return cuts.searchsorted(values)
    order = values.argsort()
    below = np.empty(len(values), dtype=np.int64)
    below[order] = cuts.searchsorted(values[order])
    return below
