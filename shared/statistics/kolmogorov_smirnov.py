"""The two-sample Kolmogorov-Smirnov statistic: the largest distance between two distribution
functions.
"""

from typing import Final

import numpy as np

from driftgauge.shared.statistics.base import Values, statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts, without_values

KOLMOGOROV_MEAN: Final = 0.8687
"""Mean of Kolmogorov's law: sqrt(pi / 2) ln 2."""


@statistic("ks", "KS", kinds=("numeric",), usual_limit=0.1)
def kolmogorov_smirnov(counts: ColumnCounts) -> Values:
    """Return the two-sample Kolmogorov-Smirnov statistic of the values that are not missing.

    It is exact while the reference has at most K distinct values, the number of its cuts, and else
    within about 1/K. The p-value is the asymptotic one; ties make it conservative.
    """
    if note := without_values(counts):
        return undefined(note)
    from scipy import special  # slow to import, and the API needs none of it

    n, m = counts.side.values, counts.values
    cumulative = np.cumsum(counts.window[..., :-1], axis=-1) / m[..., None]
    value = np.abs(counts.side.cumulative / n - cumulative).max(axis=-1)
    scale = np.sqrt(n * m / (n + m))
    return Values(value, KOLMOGOROV_MEAN / scale, special.kolmogorov(scale * value))
