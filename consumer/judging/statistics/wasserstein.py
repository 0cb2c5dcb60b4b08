"""The first Wasserstein distance: the area between two distribution functions, in units of the
feature.

Inside a cell the values are taken as evenly spread, so it is close for smooth features and
approximate for discrete ones. What lies outside the reference's range is taken to lie at its end.
"""

import math

import numpy as np

from driftgauge.consumer.judging.statistics.base import (
    NOT_FOR_THIS_KIND,
    ColumnCounts,
    statistic,
    undefined,
    without_values,
)
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.reference.profile import NumericReference


@statistic("wasserstein")
def wasserstein(counts: ColumnCounts) -> Statistic:
    """Wasserstein-1 over the values that are not missing; approximate."""
    column = counts.reference
    if not isinstance(column, NumericReference):
        return undefined("wasserstein", NOT_FOR_THIS_KIND)
    if note := without_values(counts):
        return undefined("wasserstein", note)
    widths = np.diff(counts.side.cuts)
    reference, window = counts.distributions
    value = _area(reference - window, widths)
    n, m = counts.side.values, counts.values
    spread = np.sqrt(reference * (1 - np.minimum(reference, 1)) * (1 / n + 1 / m) * 2 / math.pi)
    return Statistic("wasserstein", value, expected=_area(spread, widths))


def _area(difference: Floats, widths: Floats) -> float:
    """Integrate |difference|, which is linear between the cuts: from the value at a cut to the one
    before the next.
    """
    left, right = difference[1:-1:2][: len(widths)], difference[2:-1:2][: len(widths)]
    same_side = left * right >= 0
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total > 0, total, 1)
    return float(np.sum(widths * np.where(same_side, total, crossing) / 2))
