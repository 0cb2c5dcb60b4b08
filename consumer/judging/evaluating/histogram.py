"""Cells become a histogram with few bars, and quantiles, for people.

What depends only on the reference (edges of bars, its own bars and quantiles) is computed once.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.snapshot import Histogram
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics import ColumnCounts, ReferenceSide

BARS = 24
MAX_VALUES = 12
"""A numeric feature with at most this many distinct reference values is shown value by value."""
MAX_CATEGORIES = 20
EDGE_SHARE = 0.005
"""The outermost bars begin at this quantile of the reference, so that one far value does not
squeeze all others.
"""
QUANTILES = 33
STEPS = np.linspace(0, 1, QUANTILES)
SIDES_KEPT = 4096
"""Most columns whose layout is cached."""
DIGITS = 6
"""Significant digits of a quantile: it is interpolated, so more would be noise."""


def display_histogram(counts: ColumnCounts) -> Histogram:
    """Return the shares of all rows per bar, reference beside window. Bars are unions of cells, so
    they are exact.
    """
    column = counts.reference
    if isinstance(column, CategoricalReference):
        return _categories(column, counts)
    if len(column.cuts) <= MAX_VALUES and not counts.reference_cells[:-1:2].any():
        return _values(column, counts)
    return (
        _intervals(counts) if counts.reference_cells[1:-1:2].any() else Histogram([], None, [], [])
    )


@lru_cache(maxsize=SIDES_KEPT)
def reference_quantiles(side: ReferenceSide) -> list[float]:
    """Return the quantiles of the reference itself."""
    return quantiles(side, side.cells)


def quantiles(side: ReferenceSide, cells: Ints) -> list[float]:
    """Return 33 quantiles at equal steps from the counts of cells; empty for categories, without
    values or without cuts.

    A quantile that falls between two cuts is interpolated; what lies outside the reference's range
    is taken to lie at its end.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(101.0))
    >>> quantiles(ReferenceSide(column), np.array(column.counts))[::8]
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    cumulative = np.cumsum(cells[:-1])
    if not len(side.cuts) or not cumulative[-1]:
        return []
    lower, upper = _ends(side)
    ranks = STEPS * cumulative[-1]
    found = np.searchsorted(cumulative, np.maximum(ranks, 0.5))
    rows = cells[found]
    inside = np.minimum(
        np.maximum((ranks - (cumulative[found] - rows)) / np.maximum(rows, 1), 0), 1
    )
    low = lower[found]
    return [
        float(f"{value:.{DIGITS}g}") for value in (low + inside * (upper[found] - low)).tolist()
    ]


@lru_cache(maxsize=SIDES_KEPT)
def _ends(side: ReferenceSide) -> tuple[Floats, Floats]:
    """Return the lower and the upper end of each cell without MISSING."""
    cuts = side.cuts
    lower = np.repeat(cuts, 2)[np.maximum(np.arange(2 * len(cuts) + 1) - 1, 0)]
    return lower, np.append(np.repeat(cuts, 2), cuts[-1])


def _categories(column: CategoricalReference, counts: ColumnCounts) -> Histogram:
    reference, window = counts.reference_cells, counts.window
    shares = [
        cells[: len(column.categories)] / rows
        for cells, rows in ((reference, counts.n), (window, max(counts.m, 1)))
    ]
    top = np.sort(np.argsort(-np.maximum(*shares), kind="stable")[:MAX_CATEGORIES])
    rest = np.setdiff1d(np.arange(column.unseen), top)
    labels = [column.categories[place] for place in top]
    bars = [cells[top].tolist() for cells in (reference, window)]
    for label, part in (("other", rest), ("unseen", np.arange(column.unseen, column.missing))):
        sums = [int(cells[part].sum()) for cells in (reference, window)]
        if any(sums):
            labels.append(f"({label})")
            for bar, total in zip(bars, sums, strict=True):
                bar.append(total)
    return Histogram(
        None, labels, _per_row(np.array(bars[0]), counts.n), _per_row(np.array(bars[1]), counts.m)
    )


def _values(column: NumericReference, counts: ColumnCounts) -> Histogram:
    """Show each distinct value, and what lies between or outside them as one bar."""
    labels = [f"{value:g}" for value in column.cuts]
    reference, window = counts.reference_cells[1:-1:2], counts.window[1:-1:2]
    elsewhere = int(counts.window[:-1:2].sum())
    if elsewhere:
        labels.append("(other values)")
        reference, window = np.append(reference, 0), np.append(window, elsewhere)
    return Histogram(None, labels, _per_row(reference, counts.n), _per_row(window, counts.m))


def _intervals(counts: ColumnCounts) -> Histogram:
    """Show bars of about equal width, with edges among the cuts."""
    layout = _layout(counts.side)
    low, *window, high = _per_row(np.add.reduceat(counts.window[:-1], layout.starts), counts.m)
    below, *reference, above = layout.reference
    return Histogram(layout.edges, None, reference, window, (below, low), (above, high))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The bars of a column: the first cell of each, those outside the edges included; the edges;
    and the reference's shares.
    """

    starts: Ints
    edges: list[float]
    reference: list[float]


@lru_cache(maxsize=SIDES_KEPT)
def _layout(side: ReferenceSide) -> _Layout:
    cuts, cumulative = side.cuts, side.cumulative
    first, last = (
        min(int(np.searchsorted(cumulative, share * cumulative[-1])) // 2, len(cuts) - 1)
        for share in (EDGE_SHARE, 1 - EDGE_SHARE)
    )
    grid = np.linspace(cuts[first], cuts[last], BARS + 1)[1:-1]
    inner = np.unique([_nearest(cuts, value) for value in grid])
    inner = inner[(inner > first) & (inner < last)]
    starts = np.concatenate(([0, 2 * first + 1], 2 * inner + 2, [2 * last + 2]))
    edges = cuts[np.concatenate(([first], inner, [last]))]
    return _Layout(
        starts, edges.tolist(), _per_row(np.add.reduceat(side.cells[:-1], starts), side.n)
    )


def _nearest(cuts: Floats, value: float) -> int:
    after = min(int(np.searchsorted(cuts, value)), len(cuts) - 1)
    return after - 1 if after and value - cuts[after - 1] < cuts[after] - value else after


def _per_row(bars: Ints, rows: int) -> list[float]:
    return [round(share, 6) for share in (bars / max(rows, 1)).tolist()]
