"""The input of every statistic: the counts of one column, in the reference and in the window, or
in many windows at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)

MIN_EXPECTED = 5.0
"""Bins with fewer expected rows than this, in the smaller of the two samples, are pooled (Cochran's
rule).
"""
RARE = 0.01
"""Share of the reference below which a pool of small bins is not joined with a larger one."""
MIN_CATEGORY = 10
"""Categories with fewer reference rows than this are pooled. Which ones have many rows is known
from these rows themselves, so those at the edge have had luck: with 10 rows or more that adds at
most about .03 to a PSI without drift, with 5 up to .1.
"""


@dataclass(frozen=True, eq=False)
class Pooled:
    """The pooled bins of a column: the bin of each cell, and the reference rows of each bin."""

    bin_of_cell: Ints
    reference: Ints

    def sums(self, cells: Ints) -> Ints:
        """Sum counts of the cells, shape (…, cells), to those of the bins, shape (…, bins)."""
        order, used, begins = self._runs
        found = np.zeros((*cells.shape[:-1], len(self.reference)), dtype=np.int64)
        found[..., used] = np.add.reduceat(cells[..., order], begins, axis=-1)
        return found

    @cached_property
    def _runs(self) -> tuple[Ints, Ints, Ints]:
        """The cells in the order of their bins, the bins that have some, and where each begins."""
        order = np.argsort(self.bin_of_cell, kind="stable")
        used, begins = np.unique(self.bin_of_cell[order], return_index=True)
        return order, used, begins


@dataclass(frozen=True, eq=False)
class ReferenceSide:
    """The reference of a column, prepared once for the comparison with every window."""

    column: ColumnReference

    @cached_property
    def cells(self) -> Ints:
        return np.array(self.column.counts, dtype=np.int64)

    @cached_property
    def cuts(self) -> Floats:
        return np.array(self.column.cuts if isinstance(self.column, NumericReference) else [])

    @cached_property
    def n(self) -> int:
        """Rows, missing ones included."""
        return int(self.cells.sum())

    @cached_property
    def values(self) -> int:
        """Rows that are not missing."""
        return int(self.cells[:-1].sum())

    @cached_property
    def shares(self) -> Floats:
        """Shares of the cells without MISSING; all 0 where there is no value."""
        return self.cells[:-1] / max(self.values, 1)

    @cached_property
    def cumulative(self) -> Ints:
        """Rows up to each cell, without MISSING."""
        return np.cumsum(self.cells[:-1])

    def pooled(self, m: int) -> Pooled:
        """Return the pooled bins for a window of m rows."""
        return self.pooling.of(self.n, m)

    @cached_property
    def pooling(self) -> "Pooling":
        return Pooling(self.column)

    def counts(self, windows: Ints) -> "Iterator[tuple[Ints, ColumnCounts]]":
        """Yield many windows, shape (windows, cells), in groups that can be compared at once, each
        with the places of its windows.
        """
        groups: dict[tuple[Pooled, bool, bool], list[int]] = {}
        rows: list[int] = windows.sum(axis=1).tolist()
        values: list[int] = windows[:, :-1].sum(axis=1).tolist()
        for place, (m, present) in enumerate(zip(rows, values, strict=True)):
            groups.setdefault((self.pooled(m), m > 0, present > 0), []).append(place)
        for (pooled, *_), places in groups.items():
            chosen = np.array(places)
            yield chosen, ColumnCounts(self.column, windows[chosen], self, pooled)


@dataclass(frozen=True, eq=False)
class ColumnCounts:
    """One column's counts in the reference and in a window, or in many windows that are pooled
    alike (`ReferenceSide.counts`).

    Parameters
    ----------
    reference
        The column's reference profile.
    window
        Rows of the window in each of its cells, shape (cells,); of many windows (windows, cells).
    known
        The reference's side, if it was computed before.
    known_bins
        The pooled bins, if they are known.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(100.0))
    >>> counts = ColumnCounts(column, np.array(column.counts))
    >>> counts.n, int(counts.m), counts.bins[0].tolist()
    (100, 100, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10])
    """

    reference: ColumnReference
    window: Ints
    known: ReferenceSide | None = None
    known_bins: Pooled | None = None

    @cached_property
    def side(self) -> ReferenceSide:
        return self.known or ReferenceSide(self.reference)

    @property
    def reference_cells(self) -> Ints:
        return self.side.cells

    @property
    def n(self) -> int:
        """Reference rows, missing ones included."""
        return self.side.n

    @property
    def windows(self) -> int:
        """Number of windows."""
        return 1 if self.window.ndim == 1 else len(self.window)

    @cached_property
    def m(self) -> Ints:
        """Window rows, missing ones included, shape (…,): a number of one window, (windows,) of
        many.
        """
        rows: Ints = self.window.sum(axis=-1)
        return rows

    @cached_property
    def values(self) -> Ints:
        """Window rows that are not missing, shape (…,)."""
        return self.m - self.window[..., -1]

    @cached_property
    def has_rows(self) -> bool:
        """Whether reference and windows have rows."""
        return bool(self.n and self.m.all())

    @property
    def is_numeric(self) -> bool:
        return isinstance(self.reference, NumericReference)

    @cached_property
    def bins(self) -> tuple[Ints, Ints]:
        """Rows of each bin after pooling, reference (bins,) and window (…, bins)."""
        pooled = self.known_bins or self.side.pooled(int(self.m.max()))
        return pooled.reference, pooled.sums(self.window)

    @property
    def large_bins(self) -> tuple[Ints, Ints]:
        """The same for a test whose law needs rows in every bin, both of shape (…, bins): a pool
        with too few of them is joined with another bin, and left empty.
        """
        return without_small(*self.bins)

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Shares of the cells without MISSING, reference (cells - 1,) and window (…, cells - 1);
        all 0 where there is no value.
        """
        return self.side.shares, self.window[..., :-1] / np.maximum(self.values, 1)[..., None]

    @cached_property
    def distributions(self) -> tuple[Floats, Floats]:
        """Distribution functions at the ends of the cells, reference and window."""
        reference, window = self.shares
        return np.cumsum(reference), np.cumsum(window, axis=-1)


def without_small(reference: Ints, window: Ints) -> tuple[Ints, Ints]:
    """Join the last of the bins with the next larger one, where it has too few rows for the law of
    the chi-squared test; that both are told by their sums leaves the law as it is.

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,) and (…, bins).

    Returns
    -------
    reference, window
        Both of shape (…, bins). A last bin that was joined is empty.

    Examples
    --------
    >>> without_small(np.array([300, 200, 1]), np.array([100, 120, 2]))
    (array([300, 201,   0]), array([100, 122,   0]))
    """
    both = np.stack(np.broadcast_arrays(reference, window), axis=-2)
    tables = both.reshape(-1, *both.shape[-2:])
    rows, bins = tables.sum(axis=2), tables.sum(axis=1)
    if bins.shape[1] > 1:
        small = np.flatnonzero(bins[:, -1] * rows.min(axis=1) / rows.sum(axis=1) < MIN_EXPECTED)
        tables[small, :, np.argmin(bins[small, :-1], axis=1)] += tables[small, :, -1]
        tables[small, :, -1] = 0
    return both[..., 0, :], both[..., 1, :]


def least_rows(column: ColumnReference) -> Floats:
    """Return the reference rows that each bin needs not to be pooled, whatever is expected of it;
    infinitely many for OTHER and UNSEEN. Shape (bins,).
    """
    least = np.zeros(max(column.bin_of_cell) + 1)
    if isinstance(column, CategoricalReference):
        least[:-3], least[-3:-1] = MIN_CATEGORY, np.inf
    return least


@dataclass(frozen=True, eq=False)
class Pooling:
    """Pools the bins of a column that are too small to tell anything: bins of a number with their
    neighbours, so that few rows make fewer bins; and what then is small all the same with each
    other, and with the next larger bin if that is small too. A pool of less than a hundredth of the
    reference stands alone. One that has no row joins the smallest other bin, unless all rows are
    missing.

    Of categories, OTHER and UNSEEN are always in the pool, beside the rare ones: what the reference
    has few rows of comes less often afterwards and something like it comes instead, so neither is
    drift. UNSEEN alone, a bin that the reference cannot have, is judged by what the reference leads
    to expect (consumer/judging/evaluating/integrity.py).

    Examples
    --------
    >>> pooling = Pooling(NumericReference.build("x", np.arange(1000.0)))
    >>> [len(pooling.of(1000, rows).reference) for rows in (9, 12, 30, 45, 60)]
    [1, 2, 5, 5, 10]
    """

    column: ColumnReference
    _by_rows: dict[tuple[int, int], Pooled] = field(default_factory=dict)
    _by_bins: dict[bytes, Pooled] = field(default_factory=dict)

    def of(self, n: int, m: int) -> Pooled:
        """Return the pooled bins for n rows of the reference and m of the window; the smaller
        sample decides what is small. Numbers of rows that are pooled alike share them.
        """
        found = self._by_rows.get((n, m))
        if found is None:
            for known in (self._by_rows, self._by_bins):
                if len(known) >= MAX_POOLED:
                    known.clear()
            bins, reference = self._pool(n, m)
            found = self._by_bins.setdefault(bins.tobytes(), Pooled(bins[self._cells], reference))
            self._by_rows[n, m] = found
        return found

    def _pool(self, n: int, m: int) -> tuple[Ints, Ints]:
        """Return the pooled bin of each bin, and the reference rows of each pooled bin."""
        column, scale = self.column, min(n, m) / max(n, 1)
        reference, joined = self._rows, None
        if isinstance(column, NumericReference):
            joined = _joined((self._rows * scale).tolist())
            reference = np.bincount(joined, weights=self._rows).astype(np.int64)
        expected = reference * scale
        small = expected < MIN_EXPECTED
        if isinstance(column, CategoricalReference):
            small |= reference < self._least
        # a rare pool stands alone: joined with a bin of half of the rows it would hide that it grew
        # to the other half
        few = int(reference[small].sum())
        alone = small[:-1].all() if few == 0 else few < RARE * n
        if small.any() and expected[small].sum() < MIN_EXPECTED and not small.all() and not alone:
            small[np.flatnonzero(~small)[np.argmin(expected[~small])]] = True
        pooled: Ints = np.where(small, (~small).sum(), np.cumsum(~small) - 1)
        sums = np.bincount(pooled, weights=reference).astype(np.int64)
        return pooled if joined is None else pooled[joined], sums

    @cached_property
    def _cells(self) -> Ints:
        """The bin of each cell."""
        return np.array(self.column.bin_of_cell)

    @cached_property
    def _rows(self) -> Ints:
        """Reference rows of each bin."""
        return np.bincount(self._cells, weights=self.column.counts).astype(np.int64)

    @cached_property
    def _least(self) -> Floats:
        return least_rows(self.column)


MAX_POOLED = 256


def _joined(expected: Sequence[float]) -> Ints:
    """Join runs of small bins, the last of which is MISSING and has no neighbour; return the number
    of the run that each bin belongs to.

    Examples
    --------
    >>> _joined([90.0, 2.0, 2.0, 2.0, 2.0, 0.5]).tolist()
    [0, 1, 1, 1, 2, 3]
    >>> _joined([3.0, 3.0, 3.0, 3.0, 20.0, 1.0, 6.0, 0.0]).tolist()
    [0, 0, 1, 1, 2, 3, 4, 5]
    """
    found: list[int] = []
    number, held = -1, np.inf
    for each in expected[:-1]:
        if each >= MIN_EXPECTED or held >= MIN_EXPECTED:
            number, held = number + 1, 0.0
        held = held + each if each < MIN_EXPECTED else np.inf
        found.append(number)
    return np.array([*found, number + 1], dtype=np.int64)


def without_values(counts: ColumnCounts) -> str:
    """Say which side has no value at all; empty if both have some."""
    sides = [
        side
        for side, values in (("reference", counts.side.values), ("window", counts.values.all()))
        if not values
    ]
    return f"no value in the {' and the '.join(sides)}" if sides else ""
