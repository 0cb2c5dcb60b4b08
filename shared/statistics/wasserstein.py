"""The first Wasserstein distance: the area between two distribution functions, in units of the
feature.

Inside a cell the values are taken as evenly spread, so it is close for smooth features and
approximate for discrete ones. What lies outside the reference's range is taken to lie at its end,
since no more than the number of such values is counted: then the distance is at least so large, as
its note says.
"""

import math

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.statistics.base import statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts, without_values


def of_samples(reference: Floats, window: Floats) -> float:
    """Return the distance of two samples, exactly, by SciPy."""
    from scipy.stats import wasserstein_distance  # slow to import, and few ask for it

    return float(wasserstein_distance(reference, window))


@statistic("wasserstein", "Wasserstein (approx.)", kinds=("numeric",), exact=of_samples)
def wasserstein(counts: ColumnCounts) -> Statistic:
    """Return the first Wasserstein distance of the values that are not missing, in their unit.

    From counts it is approximate, from samples exact.
    """
    if note := without_values(counts):
        return undefined("wasserstein", note)
    widths = np.diff(counts.side.cuts)
    reference, window = counts.distributions
    value = _area(reference - window, widths)
    n, m = counts.side.values, counts.values
    spread = np.sqrt(reference * (1 - np.minimum(reference, 1)) * (1 / n + 1 / m) * 2 / math.pi)
    outside = int(counts.window[0] + counts.window[-2]) / m
    note = (
        f"at least: {100 * outside:.3g} % of the values lie beyond the reference's"
        if outside
        else ""
    )
    return Statistic("wasserstein", value, expected=_area(spread, widths), note=note)


def _area(difference: Floats, widths: Floats) -> float:
    """Integrate |difference|, which is linear between neighbouring cuts.

    It goes from its value at a cut to its value just before the next one.
    """
    left, right = difference[1:-1:2][: len(widths)], difference[2:-1:2][: len(widths)]
    same_side = left * right >= 0
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total > 0, total, 1)
    return float(np.sum(widths * np.where(same_side, total, crossing) / 2))
