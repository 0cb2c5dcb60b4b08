"""Numbers become cells: which of the intervals between a reference's cuts, or which cut, each of
them is. Pure.
"""

from collections.abc import Sequence

import numpy as np

from driftgauge.shared.arrays import Floats, Ints

GRID = 4096
"""Steps of the table by which the cut next to a value is found."""
MOST_IN_A_STEP = 8
"""Most cuts of a step that are looked at one after another."""
ROWS_AT_ONCE = 1000
"""Rows that are mapped at once, so that what is between stays in the processor's cache."""
FEW = 100
"""Values that are searched for as they come; more are sorted first."""
SINGLE_PRECISION = 2.0**-24 * (1 + 2.0**-12)
"""Largest relative error of a number that was stored as float32, and a little more."""


class NumericCells:
    """Maps the numbers of some columns to the 2k + 1 intervals of their cuts and MISSING: an even
    cell lies between cuts, an odd one at a cut.

    A number that float32 cannot tell from a cut is taken as that cut: a client that computes in
    single precision, or writes fewer digits, would otherwise move every value off its atom. Where
    cuts lie closer together than that, the tolerance ends at a quarter of their distance, so no
    number that is nearer to another cut is ever taken for this one.

    The span of a column's cuts is parted into GRID equal steps. A number's step grows with it,
    rounded or not: so the cuts that end in earlier steps are smaller, those of later ones are
    larger, and one look decides about the only cut that ends in its own step. Where several do,
    they are looked at one after another; in a column where too many do, numbers are searched for.

    Parameters
    ----------
    columns
        The cuts of each column, ascending.

    Examples
    --------
    >>> cells = NumericCells([np.array([1.0, 2.1])])
    >>> cells.of(np.array([[0.5, 1.0, 1.5, 2.1, 9.0, np.nan]])).tolist()
    [[0, 1, 2, 3, 4, 5]]
    >>> cells.of(np.array([[np.float32(2.1), 2.101]], dtype=np.float64)).tolist()
    [[3, 4]]
    """

    def __init__(self, columns: Sequence[Floats]) -> None:
        self._columns = [_Cuts(cuts) for cuts in columns]
        self._searched = [place for place, one in enumerate(self._columns) if not one.even]
        self._missing = np.array([one.missing for one in self._columns])[:, None]
        low, high, scale = (
            np.array([getattr(one, name) for one in self._columns])[:, None]
            for name in ("low", "high", "scale")
        )
        self._low, self._high, self._scale = low, high, scale
        self._first_steps = (np.arange(len(columns)) * GRID)[:, None]
        # behind each column's cuts stands one that no number reaches
        self._lower = np.concatenate([np.append(one.lower, np.inf) for one in self._columns])
        self._upper = np.concatenate([np.append(one.upper, np.inf) for one in self._columns])
        sizes = [len(one.lower) + 1 for one in self._columns]
        self._cells = np.concatenate([2 * np.arange(size) for size in sizes])
        firsts = (np.cumsum(sizes) - sizes).tolist()
        self._next = np.concatenate(
            [one.ended + first for one, first in zip(self._columns, firsts, strict=True)]
        )
        in_step = np.concatenate([one.in_step for one in self._columns])
        self._several = in_step > 1
        self._most = int(in_step.max(initial=0))

    def of(self, values: Floats) -> Ints:
        """Return the cell of each value, shape (columns, rows)."""
        cells = np.empty(values.shape, dtype=np.int64)
        for first in range(0, values.shape[1], ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            cells[:, part] = self._of(values[:, part])
        for column in self._searched:
            cells[column] = self._columns[column].searched(values[column])
        number = values < np.inf
        if not number.all():
            np.copyto(cells, self._missing, where=~number)
        return cells

    def _of(self, values: Floats) -> Ints:
        """Return the cell of each value that is a number, in columns with steps."""
        within = np.fmax(values, self._low)
        np.fmin(within, self._high, out=within)
        within -= self._low
        within *= self._scale
        steps = within.astype(np.int64)
        steps += self._first_steps
        cuts = self._next.take(steps)
        cuts += self._upper.take(cuts) < values
        if self._most > 1:
            self._look_on(cuts.ravel(), steps.ravel(), values)
        cells: Ints = self._cells.take(cuts)
        cells += self._lower.take(cuts) <= values
        return cells

    def _look_on(self, cuts: Ints, steps: Ints, values: Floats) -> None:
        """Pass over further cuts that are smaller, where several end in a step."""
        places = np.flatnonzero(self._several.take(steps))
        looked, found = values.ravel()[places], cuts[places]
        for _ in range(self._most - 1):
            found += self._upper.take(found) < looked
        cuts[places] = found


class _Cuts:
    """The cuts of one column, as they are looked up.

    Attributes
    ----------
    lower, upper
        Ends of each cut with its tolerance.
    low, high, scale
        The span of the cuts, and steps in a unit of it.
    even
        Whether there are steps with few cuts each; not of a constant, nor of a span that is no
        number.
    ended
        Number of cuts that end in steps before each one.
    in_step
        Number of cuts that end in each step.
    """

    def __init__(self, cuts: Floats) -> None:
        self.missing = 2 * len(cuts) + 1
        tolerance = _tolerances(cuts)
        self.lower, self.upper = cuts - tolerance, cuts + tolerance
        self.low, self.high, self.scale = 0.0, 0.0, 0.0
        self.ended = self.in_step = np.zeros(GRID, dtype=np.int64)
        self.even = False
        if not len(cuts):
            return
        low, high = float(self.lower[0]), float(self.upper[-1])
        with np.errstate(over="ignore", divide="ignore"):
            scale = float((GRID - 1) / np.float64(high - low))
        if not 0 < scale < np.inf:
            return
        in_step = np.bincount(((self.upper - low) * scale).astype(np.int64), minlength=GRID)
        if in_step.max() > MOST_IN_A_STEP:
            return
        self.low, self.high, self.scale, self.even = low, high, scale, True
        self.in_step, self.ended = in_step, np.cumsum(in_step) - in_step

    def searched(self, values: Floats) -> Ints:
        """Return the cell of each number by binary searches."""
        if len(values) < FEW:
            return self._between(values)
        order = values.argsort()  # searches of sorted values predict well
        cells = np.empty(len(values), dtype=np.int64)
        cells[order] = self._between(values[order])
        return cells

    def _between(self, values: Floats) -> Ints:
        below = self.upper.searchsorted(values)
        reached = self.lower.searchsorted(values, side="right")
        return below + reached


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
