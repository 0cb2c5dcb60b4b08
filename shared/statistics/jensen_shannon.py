"""The Jensen-Shannon distance, from 0 to 1: the square root of the mean divergence of two
distributions from their mean.
"""

import math

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.statistics.base import Values, statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts


def distance(reference: Ints, window: Ints, base: float = 2.0) -> Floats:
    """Return the Jensen-Shannon distance of two vectors of counts over the same bins, or of many
    windows, shape (…,).

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,) and (…, bins); neither all 0.
    base
        Base of the logarithm: 2 gives 0 to 1, e gives nats.

    Examples
    --------
    SciPy's documentation has .464501 for these:

    >>> distance(np.array([1, 0]), np.array([[5, 5], [0, 1]]), math.e).round(6).tolist()
    [0.464501, 0.832555]
    >>> float(distance(np.array([1, 0]), np.array([0, 1])))
    1.0
    """
    from scipy import special  # slow to import, and the API needs none of it

    p, q = reference / reference.sum(), window / window.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2
    divergence = np.sum(special.rel_entr(p, middle) + special.rel_entr(q, middle), axis=-1)
    found: Floats = np.sqrt(np.maximum(divergence / (2 * math.log(base)), 0.0))
    return found


@statistic("jensen_shannon", "Jensen-Shannon", usual_limit=0.1)
def jensen_shannon(counts: ColumnCounts) -> Values:
    """Return the Jensen-Shannon distance (base 2, 0 to 1) over the bins of PSI.

    Its square is about PSI / (8 ln 2) for close distributions: so is its expected value without
    drift.
    """
    if not counts.has_rows:
        return undefined("no row to compare")
    reference, window = counts.bins
    expected = np.sqrt((len(reference) - 1) * (1 / counts.n + 1 / counts.m) / (8 * math.log(2)))
    return Values(distance(reference, window), expected)
