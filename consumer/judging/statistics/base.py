"""What every statistic sees: the counts of one column, in the reference and in the window."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.reference import ColumnReference, Floats, Ints, NumericReference
from shared.snapshot import Statistic

MIN_EXPECTED = 5.0
"""Bins with fewer expected rows than this, in the smaller of the two samples, are pooled (Cochran's rule)."""


@dataclass(frozen=True, eq=False)
class ColumnCounts:
    """One column's counts.

    Parameters
    ----------
    reference
        The column's reference profile.
    window
        Rows of the window in each of its cells.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(100.0))
    >>> counts = ColumnCounts(column, np.array(column.counts))
    >>> counts.n, counts.m, counts.bins[0].tolist()
    (100, 100, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
    """

    reference: ColumnReference
    window: Ints

    @cached_property
    def reference_cells(self) -> Ints:
        return np.array(self.reference.counts, dtype=np.int64)

    @cached_property
    def n(self) -> int:
        """Reference rows, missing ones included."""
        return int(self.reference_cells.sum())

    @cached_property
    def m(self) -> int:
        """Window rows, missing ones included."""
        return int(self.window.sum())

    @property
    def is_numeric(self) -> bool:
        return isinstance(self.reference, NumericReference)

    @cached_property
    def bins(self) -> tuple[Ints, Ints]:
        """Rows of each bin after pooling, reference and window."""
        place, reference = pooled_bins(self.reference, self.n, self.m)
        return reference, np.bincount(place, weights=self.window, minlength=len(reference)).astype(np.int64)

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Shares of the cells without MISSING, reference and window; all 0 where there is no value."""
        reference, window = self.reference_cells[:-1], self.window[:-1]
        return reference / max(reference.sum(), 1), window / max(window.sum(), 1)


def pooled_bins(column: ColumnReference, n: int, m: int) -> tuple[Ints, Ints]:
    """Pool small bins together, and that with the next larger one if it stays small.

    Parameters
    ----------
    n, m
        Rows of the reference and of the window; the smaller sample decides what is small.

    Returns
    -------
    bin_of_cell, reference
        The pooled bin of each cell, and the reference rows of each pooled bin.
    """
    place = np.array(column.bin_of_cell)
    reference = np.bincount(place, weights=column.counts).astype(np.int64)
    expected = reference * (min(n, m) / max(n, 1))
    small = expected < MIN_EXPECTED
    if small.any() and expected[small].sum() < MIN_EXPECTED and not small.all():
        small[np.flatnonzero(~small)[np.argmin(expected[~small])]] = True
    pooled = np.where(small, (~small).sum(), np.cumsum(~small) - 1)
    return pooled[place], np.bincount(pooled, weights=reference).astype(np.int64)


Compute = Callable[[ColumnCounts], Statistic]
STATISTICS: dict[str, Compute] = {}


def statistic(name: str) -> Callable[[Compute], Compute]:
    """Register a statistic under its name."""

    def register(compute: Compute) -> Compute:
        STATISTICS[name] = compute
        return compute

    return register


def statistics_of(counts: ColumnCounts) -> list[Statistic]:
    """Give all statistics that suit a column's kind; one that is undefined says why."""
    return [found for compute in STATISTICS.values() if (found := compute(counts)).note != NOT_FOR_THIS_KIND]


NOT_FOR_THIS_KIND = "not for this kind of column"


def undefined(name: str, note: str) -> Statistic:
    """Give a statistic that has no value for these counts."""
    return Statistic(name, None, note=note)


def without_values(counts: ColumnCounts) -> str:
    """Say which side has no value at all; empty if both have some."""
    sides = [
        side for side, cells in (("reference", counts.reference_cells), ("window", counts.window)) if not cells[:-1].sum()
    ]
    return f"no value in the {' and the '.join(sides)}" if sides else ""
