"""Cells become what a person looks at: a histogram with few bars, and quantiles."""

import numpy as np

from consumer.judging.statistics import ColumnCounts
from shared.reference import CategoricalReference, ColumnReference, Floats, Ints, NumericReference
from shared.snapshot import Histogram

BARS = 24
MAX_VALUES = 12
"""A numeric feature with at most this many distinct reference values is shown value by value."""
MAX_CATEGORIES = 20
EDGE_SHARE = 0.005
"""The outermost bars begin at this quantile of the reference, so that one far value does not squeeze all others."""
QUANTILES = 33
DIGITS = 6
"""Significant digits of a quantile: it is interpolated, so more would be noise."""


def display_histogram(counts: ColumnCounts) -> Histogram:
    """Give the shares of all rows per bar, reference beside window. Bars are unions of cells, so they are exact."""
    column = counts.reference
    if isinstance(column, CategoricalReference):
        return _categories(column, counts)
    values = np.flatnonzero(counts.reference_cells[1:-1:2])
    if len(column.cuts) <= MAX_VALUES and not counts.reference_cells[:-1:2].any():
        return _values(column, counts)
    return _intervals(column, counts) if len(values) else Histogram([], None, [], [])


def quantiles(column: ColumnReference, cells: Ints) -> list[float]:
    """Give 33 quantiles at equal steps from the counts of cells; empty for categories, without values or without cuts.

    A quantile that falls between two cuts is interpolated; what lies outside the reference's range is taken to lie at its
    end.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(101.0))
    >>> quantiles(column, np.array(column.counts))[::8]
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    if not isinstance(column, NumericReference) or not column.cuts or not cells[:-1].sum():
        return []
    cuts = np.array(column.cuts)
    lower = np.repeat(cuts, 2)[np.maximum(np.arange(2 * len(cuts) + 1) - 1, 0)]
    upper = np.append(np.repeat(cuts, 2), cuts[-1])
    cumulative = np.cumsum(cells[:-1])
    ranks = np.linspace(0, 1, QUANTILES) * cumulative[-1]
    found = np.searchsorted(cumulative, np.maximum(ranks, 0.5))
    inside = (ranks - (cumulative[found] - cells[found])) / np.maximum(cells[found], 1)
    inside = np.clip(inside, 0, 1)
    return [float(f"{value:.{DIGITS}g}") for value in lower[found] + inside * (upper[found] - lower[found])]


def _categories(column: CategoricalReference, counts: ColumnCounts) -> Histogram:
    reference, window = counts.reference_cells, counts.window
    shares = [cells[: len(column.categories)] / rows for cells, rows in ((reference, counts.n), (window, max(counts.m, 1)))]
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
    return Histogram(None, labels, _per_row(np.array(bars[0]), counts.n), _per_row(np.array(bars[1]), counts.m))


def _values(column: NumericReference, counts: ColumnCounts) -> Histogram:
    """Show each distinct value, and what lies between or outside them as one bar."""
    labels = [f"{value:g}" for value in column.cuts]
    reference, window = counts.reference_cells[1:-1:2], counts.window[1:-1:2]
    elsewhere = int(counts.window[:-1:2].sum())
    if elsewhere:
        labels.append("(other values)")
        reference, window = np.append(reference, 0), np.append(window, elsewhere)
    return Histogram(None, labels, _per_row(reference, counts.n), _per_row(window, counts.m))


def _intervals(column: NumericReference, counts: ColumnCounts) -> Histogram:
    """Show bars of about equal width, with edges among the cuts."""
    cuts = np.array(column.cuts)
    cumulative = np.cumsum(counts.reference_cells[:-1])
    first, last = (
        min(int(np.searchsorted(cumulative, share * cumulative[-1])) // 2, len(cuts) - 1)
        for share in (EDGE_SHARE, 1 - EDGE_SHARE)
    )
    grid = np.linspace(cuts[first], cuts[last], BARS + 1)[1:-1]
    inner = np.unique([_nearest(cuts, value) for value in grid])
    inner = inner[(inner > first) & (inner < last)]
    starts = np.concatenate(([0, 2 * first + 1], 2 * inner + 2, [2 * last + 2]))
    edges = cuts[np.concatenate(([first], inner, [last]))]
    (low, *reference, high), (low_now, *window, high_now) = (
        _per_row(np.add.reduceat(cells[:-1], starts), rows)
        for cells, rows in ((counts.reference_cells, counts.n), (counts.window, counts.m))
    )
    return Histogram(edges.tolist(), None, reference, window, (low, low_now), (high, high_now))


def _nearest(cuts: Floats, value: float) -> int:
    after = min(int(np.searchsorted(cuts, value)), len(cuts) - 1)
    return after - 1 if after and value - cuts[after - 1] < cuts[after] - value else after


def _per_row(bars: Ints, rows: int) -> list[float]:
    return [round(float(share), 6) for share in bars / max(rows, 1)]
