"""The two-sample Kolmogorov-Smirnov statistic: the largest distance between two distribution
functions.
"""

import math

import numpy as np
from scipy import special

from driftgauge.consumer.judging.statistics.base import (
    NOT_FOR_THIS_KIND,
    ColumnCounts,
    statistic,
    undefined,
    without_values,
)
from driftgauge.shared.contract.snapshot import Statistic

KOLMOGOROV_MEAN = 0.8687
"""Mean of Kolmogorov's law: sqrt(pi / 2) ln 2."""


@statistic("ks")
def kolmogorov_smirnov(counts: ColumnCounts) -> Statistic:
    """KS over the values that are not missing: exact up to K distinct reference values, else within
    about 1/K.

    The p-value is the asymptotic one; ties make it conservative.
    """
    if not counts.is_numeric:
        return undefined("ks", NOT_FOR_THIS_KIND)
    if note := without_values(counts):
        return undefined("ks", note)
    reference, window = counts.shares
    value = float(np.abs(np.cumsum(reference - window)).max())
    n, m = counts.side.values, counts.values
    scale = math.sqrt(n * m / (n + m))
    return Statistic(
        "ks",
        value,
        expected=KOLMOGOROV_MEAN / scale,
        p_value=float(special.kolmogorov(scale * value)),
    )
