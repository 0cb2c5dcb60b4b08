"""The population stability index, and the threshold that makes it significant as well as large.

PSI = sum over bins of (q - p) ln(q / p). Without drift its mean is (B - 1)(1/n + 1/m) (Yurdakul and
Naranjo 2020). With a true PSI of d, PSI / (1/n + 1/m) has about a noncentral chi-squared law with B
- 1 degrees of freedom and noncentrality d / (1/n + 1/m) (Potgieter, arXiv 2307.11878): its quantile
is the threshold for "larger than d, and not by chance".
"""

from functools import lru_cache

import numpy as np
from scipy import stats

from driftgauge.consumer.judging.statistics.base import ColumnCounts, statistic, undefined
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.snapshot import Statistic

ABSENT_SHARE = 1e-4
"""Share that an empty bin is taken to have."""


def population_stability(reference: Ints, window: Ints, absent: float = ABSENT_SHARE) -> float:
    """Give the PSI of two vectors of counts over the same bins.

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,); neither all 0.
    absent
        Share that an empty bin is taken to have.

    Examples
    --------
    The values [3, 2, 2] against [1, 2, 3]:

    >>> round(population_stability(np.array([1, 1, 1]), np.array([0, 2, 1])), 6)
    2.934147
    """
    p, q = _shares(reference, absent), _shares(window, absent)
    return float(np.sum((q - p) * np.log(q / p)))


@lru_cache(maxsize=4096)
def threshold(floor: float, alpha: float, bins: int, n: int, m: int) -> float:
    """Give the PSI that is exceeded with probability alpha when the true PSI is `floor`.

    Examples
    --------
    >>> round(threshold(0.1, 0.01, 11, 5000, 2000), 3)
    0.15
    """
    scale = 1 / n + 1 / m
    return float(scale * stats.ncx2.isf(alpha, max(bins - 1, 1), floor / scale))


@statistic("psi")
def psi(counts: ColumnCounts) -> Statistic:
    """PSI over the reference's decile bins (or categories) and MISSING."""
    if not counts.n or not counts.m:
        return undefined("psi", "no row in the window" if counts.n else "no row in the reference")
    reference, window = counts.bins
    expected = (len(reference) - 1) * (1 / counts.n + 1 / counts.m)
    return Statistic("psi", population_stability(reference, window), expected=expected)


def _shares(counts: Ints, absent: float) -> Floats:
    shares = counts / counts.sum()
    return np.where(shares > 0, shares, absent)
