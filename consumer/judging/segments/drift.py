"""PSI of every column within every segment, at once: the segment's reference rows against its
window rows.

Small bins of a column are pooled together, by the rows of the segment. An empty bin is
taken to have half a row, not a share of 1e-4, because a segment has few rows: with 1e-4, 100 to 200
rows and 40 bins, 6 % to .1 % of the windows without drift exceed the threshold instead of the
intended .01 %; with half a row fewer than that do.
"""

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.statistics.counts import MIN_EXPECTED, RARE
from driftgauge.shared.statistics.psi import ABSENT_SHARE

Marks = NDArray[np.bool_]
ABSENT_ROWS = 0.5


def psi_by_segment(
    reference: Ints, window: Ints, starts: Ints, least: Floats | float = 0.0
) -> tuple[Floats, Ints]:
    """Return PSI and pooled bins of every column within every segment.

    Parameters
    ----------
    reference, window
        Rows by segment and bin, shape (segments, bins).
    starts
        Where each column's bins start, and the number of bins.
    least
        Reference rows below which a bin is pooled anyway, shape (bins,), as from `least_rows`.

    Returns
    -------
    psi, bins
        Shape (segments, columns); PSI is NaN where a segment has no row on one of the sides.

    Examples
    --------
    >>> psi, bins = psi_by_segment(np.array([[50, 50]]), np.array([[30, 70]]), np.array([0, 2]))
    >>> round(float(psi[0, 0]), 4), int(bins[0, 0])
    (0.1695, 2)
    """
    first = starts[:-1]
    n, m = (counts[:, : starts[1]].sum(axis=1).astype(np.float64) for counts in (reference, window))
    usable = (n > 0) & (m > 0)
    n, m = np.maximum(n, 1)[:, None], np.maximum(m, 1)[:, None]
    expected = reference * (np.minimum(n, m) / n)
    small = _pooled(np.where(reference < least, 0.0, expected), expected, starts)
    absent = np.maximum(ABSENT_SHARE, ABSENT_ROWS / m)
    kept = np.where(small, 0.0, _part(reference / n, window / m, absent))
    p, q = (
        np.add.reduceat(np.where(small, shares, 0.0), first, axis=1)
        for shares in (reference / n, window / m)
    )
    has_pool = np.logical_or.reduceat(small, first, axis=1)
    psi = np.add.reduceat(kept, first, axis=1) + np.where(has_pool, _part(p, q, absent), 0.0)
    bins = np.add.reduceat(~small, first, axis=1, dtype=np.int64) + has_pool
    return np.where(usable[:, None], psi, np.nan), bins


def thresholds(floor: float, alpha: float, bins: Ints, n: Ints, m: Ints) -> Floats:
    """Return the PSI that is exceeded with probability alpha when the true PSI is `floor`, as
    `psi_threshold.threshold`.
    """
    from scipy import stats  # slow to import, and a worker starts without

    scale = 1 / n + 1 / m
    found: Floats = scale * stats.ncx2.isf(alpha, np.maximum(bins - 1, 1), floor / scale)
    return found


def usual(floor: float, bins: Ints, n: Ints, m: Ints) -> Floats:
    """Return the mean PSI if the true PSI is `floor`. A PSI that is not above it is not
    significant, so its threshold need not be computed.
    """
    found: Floats = floor + (bins - 1) * (1 / n + 1 / m)
    return found


def _pooled(kept: Floats, expected: Floats, starts: Ints) -> Marks:
    """Say which bins are pooled: the small ones, and with them the next larger one if they stay
    small together and are not rare, as `Pooling` does.
    """
    first, column = starts[:-1], np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    small = kept < MIN_EXPECTED
    pooled = np.add.reduceat(np.where(small, expected, 0.0), first, axis=1)
    values = np.ones(small.shape[1], dtype=np.bool_)
    values[starts[1:] - 1] = False  # MISSING
    some, others, filled = (
        np.logical_or.reduceat(marks, first, axis=1) for marks in (small, ~small, ~small & values)
    )
    rows = np.add.reduceat(expected, first, axis=1)
    alone = np.where(pooled == 0, ~filled, pooled < RARE * rows)
    larger = np.where(small, np.inf, expected)
    least = np.minimum.reduceat(larger, first, axis=1)
    wanted = some & others & (pooled < MIN_EXPECTED) & ~alone
    chosen = wanted[:, column] & (larger == least[:, column])
    passed = np.cumsum(chosen, axis=1)
    before = (passed - chosen)[:, first][:, column]
    taken: Marks = small | (chosen & (passed - before == 1))
    return taken


def _part(p: Floats, q: Floats, absent: Floats) -> Floats:
    """Return the contribution of each bin to the PSI; 0 for a bin that is empty on both sides."""
    p_, q_ = np.where(p > 0, p, absent), np.where(q > 0, q, absent)
    return np.asarray(np.where((p > 0) | (q > 0), (q_ - p_) * np.log(q_ / p_), 0.0))
