"""Cells become a histogram with few bars, and quantiles, for people.

What depends only on the reference (edges of bars, its own bars and quantiles) is computed once.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Any, Final

import numpy as np

from driftgauge.consumer.judging.reports.rounding import figures, shares
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.snapshot import Histogram
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics import ReferenceSide

BARS = 24
MAX_VALUES = 12
"""A numeric feature with at most this many distinct reference values is shown value by value."""
MAX_CATEGORIES = 20
NO_BARS: Final = Histogram(None, [], [], [])
"""What a draft of a report has, which gets its numbers later."""
EDGE_SHARE = 0.005
"""The outermost bars begin at this quantile of the reference, so that one far value does not
squeeze all others.
"""
QUANTILES = 33
STEPS = np.linspace(0, 1, QUANTILES)
SIDES_KEPT = 4096
"""Most columns whose layout is cached."""


def histograms(side: ReferenceSide, windows: Ints) -> list[Histogram]:
    """Return, for each window, the shares of all rows per bar, reference beside window. Bars are
    unions of cells, so they are exact.

    Parameters
    ----------
    windows
        Rows in each cell of the column, shape (windows, cells).
    """
    column = side.column
    if isinstance(column, CategoricalReference):
        return _categories(column, side, windows)
    if len(column.cuts) <= MAX_VALUES and not side.cells[:-1:2].any():
        return _values(column, side, windows)
    if side.cells[1:-1:2].any():
        return _intervals(side, windows)
    return [Histogram([], None, [], [])] * len(windows)


@lru_cache(maxsize=SIDES_KEPT)
def reference_quantiles(side: ReferenceSide) -> list[float]:
    """Return the quantiles of the reference itself."""
    return quantiles(side, side.cells[None])[0]


def quantiles(side: ReferenceSide, windows: Ints) -> list[list[float]]:
    """Return, for each window, 33 quantiles at equal steps from the counts of cells, shape
    (windows, cells); empty for categories, without values or without cuts.

    A quantile that falls between two cuts is interpolated; what lies outside the reference's range
    is taken to lie at its end.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(101.0))
    >>> quantiles(ReferenceSide(column), np.array([column.counts]))[0][::8]
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    if not len(side.cuts):
        return [[] for _ in windows]
    cumulative = np.cumsum(windows[:, :-1], axis=1)
    total = cumulative[:, -1]
    ranks = STEPS * total[:, None]
    found = _first_at(cumulative, np.ceil(np.maximum(ranks, 0.5)).astype(np.int64))
    passed, rows = (np.take_along_axis(part, found, axis=1) for part in (cumulative, windows))
    inside = np.minimum(np.maximum((ranks - (passed - rows)) / np.maximum(rows, 1), 0), 1)
    lower, upper = _ends(side)
    low = lower[found]
    values = figures(low + inside * (upper[found] - low)).tolist()
    return [value if rows else [] for value, rows in zip(values, total.tolist(), strict=True)]


def _first_at(cumulative: Ints, wanted: Ints) -> Ints:
    """Return, in each line of ascending numbers, the first place of at least each wanted number, 1
    or more; the last place if there is none. One search finds all: the lines are put behind each
    other, each above the one before.
    """
    lines, places = cumulative.shape
    above = np.cumsum(cumulative[:, -1] + 1) - cumulative[:, -1] - 1
    behind = (cumulative + above[:, None]).ravel()
    found: Ints = np.searchsorted(behind, wanted + above[:, None])
    in_line: Ints = np.minimum(found - places * np.arange(lines)[:, None], places - 1)
    return in_line


@lru_cache(maxsize=SIDES_KEPT)
def _ends(side: ReferenceSide) -> tuple[Floats, Floats]:
    """Return the lower and the upper end of each cell without MISSING."""
    cuts = side.cuts
    lower = np.repeat(cuts, 2)[np.maximum(np.arange(2 * len(cuts) + 1) - 1, 0)]
    return lower, np.append(np.repeat(cuts, 2), cuts[-1])


def _categories(
    column: CategoricalReference, side: ReferenceSide, windows: Ints
) -> list[Histogram]:
    """Show the largest categories of either side, and the others as one bar, if there are any."""
    named, unseen, missing = len(column.categories), column.unseen, column.missing
    rows = np.maximum(windows.sum(axis=1), 1)[:, None]
    larger = np.maximum(side.cells[:named] / max(side.n, 1), windows[:, :named] / rows)
    top = np.sort(np.argsort(-larger, axis=1, kind="stable")[:, :MAX_CATEGORIES], axis=1)
    bars = []
    for cells in (np.broadcast_to(side.cells, windows.shape), windows):
        shown = np.take_along_axis(cells, top, axis=1)
        other = cells[:, :unseen].sum(axis=1) - shown.sum(axis=1)
        bars.append(np.column_stack((shown, other, cells[:, unseen:missing].sum(axis=1))))
    used = (bars[0] + bars[1] > 0) | (np.arange(bars[0].shape[1]) < top.shape[1])
    names = [*column.categories, "(other)", "(unseen)"]
    places = np.column_stack((top, np.broadcast_to((named, named + 1), (len(windows), 2))))
    both = _per_row(bars[0], side.n), _per_row(bars[1], rows)
    return [
        Histogram(
            None,
            [names[place] for place in compress(line, kept)],
            list(compress(reference, kept)),
            list(compress(window, kept)),
        )
        for line, kept, reference, window in zip(places.tolist(), used.tolist(), *both, strict=True)
    ]


def _values(column: NumericReference, side: ReferenceSide, windows: Ints) -> list[Histogram]:
    """Show each distinct value, and what lies between or outside them as one bar, if there is
    any.
    """
    labels = [f"{value:g}" for value in column.cuts]
    reference: list[float] = _per_row(side.cells[1:-1:2], side.n)
    elsewhere = windows[:, :-1:2].sum(axis=1)
    shown = np.column_stack((windows[:, 1:-1:2], elsewhere))
    bars = _per_row(shown, windows.sum(axis=1)[:, None])
    return [
        Histogram(None, [*labels, "(other values)"], [*reference, 0.0], bar)
        if others
        else Histogram(None, labels, reference, bar[:-1])
        for bar, others in zip(bars, elsewhere.tolist(), strict=True)
    ]


def _intervals(side: ReferenceSide, windows: Ints) -> list[Histogram]:
    """Show bars of about equal width, with edges among the cuts."""
    layout = _layout(side)
    bars = np.add.reduceat(windows[:, :-1], layout.starts, axis=1)
    below, *reference, above = layout.reference
    return [
        Histogram(layout.edges, None, reference, window, (below, low), (above, high))
        for low, *window, high in _per_row(bars, windows.sum(axis=1)[:, None])
    ]


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


def _per_row(bars: Ints, rows: Ints | int) -> Any:
    """Return the shares of bars, as lists of their shape."""
    return shares(bars / np.maximum(rows, 1)).tolist()
