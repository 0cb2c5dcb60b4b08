"""The causes of a drift: the bins with the largest contributions to a column's PSI, with readable
names.
"""

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.alert import Contribution
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)
from driftgauge.shared.statistics.psi import ABSENT_SHARE
from driftgauge.shared.wording.numbers import figure

TOP = 3


def contributions(profile: ColumnReference, cells: Ints) -> list[Contribution]:
    """Return the bins that contribute most to the PSI of a column, the largest first; none without
    rows.
    """
    counts = np.array(profile.counts)
    if not cells.sum() or not counts.sum():
        return []
    place = np.array(profile.bin_of_cell)
    return of_bins(
        profile, *(np.bincount(place, weights=part) / part.sum() for part in (counts, cells))
    )


def of_bins(profile: ColumnReference, p: Floats, q: Floats) -> list[Contribution]:
    """Return the bins that contribute most, from the shares of the bins in reference and window."""
    p_, q_ = (np.where(share > 0, share, ABSENT_SHARE) for share in (p, q))
    parts = np.where((p > 0) | (q > 0), (q_ - p_) * np.log(q_ / p_), 0.0)
    first = np.argsort(-parts, kind="stable")[:TOP]
    return [
        Contribution(
            label(profile, bin_),
            round(float(p[bin_]), 6),
            round(float(q[bin_]), 6),
            round(float(parts[bin_]), 6),
        )
        for bin_ in first.tolist()
        if parts[bin_] > 0
    ]


def label(profile: ColumnReference, bin_: int) -> str:
    """Name a bin: the category, or the interval of values.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(100.0))
    >>> label(column, 0), label(column, 1), label(column, 10)
    ('up to 9', 'above 9, up to 19', '(missing)')
    """
    cells = np.flatnonzero(np.array(profile.bin_of_cell) == bin_)
    if profile.missing in cells:
        return "(missing)"
    if isinstance(profile, CategoricalReference):
        place = int(cells[0])
        if place < len(profile.categories):
            return profile.categories[place]
        return "(unseen)" if place >= profile.unseen else "(other)"
    return _interval(profile, int(cells[0]), int(cells[-1]))


def _interval(profile: NumericReference, first: int, last: int) -> str:
    """Name the cells from first to last: cell 2i is the open interval below cut i, cell 2i + 1 the
    cut itself.
    """
    low, high = (first - 1) // 2, last // 2
    lower = profile.cuts[low] if low >= 0 else None
    upper = profile.cuts[high] if high < len(profile.cuts) else None
    if lower is not None and lower == upper:
        return figure(lower, 6)
    start = "" if lower is None else f"{'from' if first % 2 else 'above'} {figure(lower, 6)}"
    end = "" if upper is None else f"{'up to' if last % 2 else 'below'} {figure(upper, 6)}"
    return ", ".join(filter(None, (start, end))) or "any value"
