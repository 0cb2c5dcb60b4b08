"""The Jensen-Shannon distance, from 0 to 1: the square root of the mean divergence of two
distributions from their mean.
"""

import math

import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.statistics.base import statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts


def distance(reference: Ints, window: Ints, base: float = 2.0) -> float:
    """Return the Jensen-Shannon distance of two vectors of counts over the same bins.

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,); neither all 0.
    base
        Base of the logarithm: 2 gives 0 to 1, e gives nats.

    Examples
    --------
    SciPy's documentation has .464501 for these:

    >>> round(distance(np.array([1, 0]), np.array([5, 5]), math.e), 6)
    0.464501
    >>> distance(np.array([1, 0]), np.array([0, 1]))
    1.0
    """
    from scipy import special  # slow to import, and the API needs none of it

    p, q = reference / reference.sum(), window / window.sum()
    middle = (p + q) / 2
    divergence = float(np.sum(special.rel_entr(p, middle) + special.rel_entr(q, middle))) / (
        2 * math.log(base)
    )
    return math.sqrt(max(divergence, 0.0))


@statistic("jensen_shannon", "Jensen-Shannon", usual_limit=0.1)
def jensen_shannon(counts: ColumnCounts) -> Statistic:
    """Return the Jensen-Shannon distance (base 2, 0 to 1) over the bins of PSI.

    Its square is about PSI / (8 ln 2) for close distributions: so is its expected value without
    drift.
    """
    if not counts.n or not counts.m:
        return undefined("jensen_shannon", "no row to compare")
    reference, window = counts.bins
    expected = math.sqrt((len(reference) - 1) * (1 / counts.n + 1 / counts.m) / (8 * math.log(2)))
    return Statistic("jensen_shannon", distance(reference, window), expected=expected)
