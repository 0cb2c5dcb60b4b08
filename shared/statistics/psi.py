"""The population stability index: PSI = sum over bins of (q - p) ln(q / p), for the shares p of the
reference and q of the window. Without drift its mean is (B - 1)(1/n + 1/m) for B bins, n reference
rows and m window rows (Yurdakul and Naranjo 2020).
"""

from typing import Final

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.statistics.base import Values, statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts

PSI: Final = "psi"
"""Name of the statistic, which most rules of drift judge by."""
ABSENT_SHARE: Final = 1e-4
"""Share that an empty bin is taken to have."""


def population_stability(reference: Ints, window: Ints, absent: float = ABSENT_SHARE) -> Floats:
    """Return the PSI of two vectors of counts over the same bins, or of many windows, shape (…,).

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,) and (…, bins); neither all 0.
    absent
        Share that an empty bin is taken to have.

    Examples
    --------
    The values [3, 2, 2] against [1, 2, 3]:

    >>> float(population_stability(np.array([1, 1, 1]), np.array([0, 2, 1])).round(6))
    2.934147
    """
    p, q = _shares(reference, absent), _shares(window, absent)
    found: Floats = np.sum((q - p) * np.log(q / p), axis=-1)
    return found


@statistic(PSI, "PSI", usual_limit=0.1)
def psi(counts: ColumnCounts, absent: float = ABSENT_SHARE) -> Values:
    """Return the population stability index over the reference's deciles, or its categories, and
    MISSING.

    Parameters
    ----------
    absent
        Share that an empty bin is taken to have.
    """
    if not counts.has_rows:
        return undefined("no row in the window" if counts.n else "no row in the reference")
    reference, window = counts.bins
    expected = (len(reference) - 1) * (1 / counts.n + 1 / counts.m)
    return Values(population_stability(reference, window, absent), expected)


def _shares(counts: Ints, absent: float) -> Floats:
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.where(shares > 0, shares, absent)
