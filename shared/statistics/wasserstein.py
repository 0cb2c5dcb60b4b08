"""The first Wasserstein distance: the area between two distribution functions, in units of the
feature.

Inside a cell the values are taken as evenly spread, so it is close for smooth features and
approximate for discrete ones. What lies outside the reference's range is taken to lie at its end,
since no more than the number of such values is counted: then the distance is at least so large, as
its note says.
"""

import math
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.statistics.base import Values, statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts, without_values

TOO_WIDE: Final = "the values are further apart than the largest number"


def of_samples(reference: Floats, window: Floats) -> float:
    """Return the distance of two samples, exactly, by SciPy."""
    from scipy.stats import wasserstein_distance  # slow to import, and few ask for it

    return float(wasserstein_distance(reference, window))


@statistic("wasserstein", "Wasserstein (approx.)", kinds=("numeric",), exact=of_samples)
def wasserstein(counts: ColumnCounts) -> Values:
    """Return the first Wasserstein distance of the values that are not missing, in their unit.

    From counts it is approximate, from samples exact.
    """
    if note := without_values(counts):
        return undefined(note)
    with np.errstate(over="ignore"):
        widths = np.diff(counts.side.cuts)
    if not np.isfinite(widths).all():
        return undefined(TOO_WIDE)
    reference, window = counts.distributions
    value = _area(reference - window, widths)
    n, m = counts.side.values, counts.values
    sizes = (1 / n + 1 / m)[..., None]
    spread = np.sqrt(reference * (1 - np.minimum(reference, 1)) * sizes * 2 / math.pi)
    outside = (counts.window[..., 0] + counts.window[..., -2]) / m
    notes = [
        f"at least: {100 * share:.3g} % of the values lie beyond the reference's" if share else ""
        for share in np.ravel(outside).tolist()
    ]
    return Values(value, _area(spread, widths), note=notes)


def _area(difference: Floats, widths: Floats) -> Floats:
    """Integrate |difference|, which is linear between neighbouring cuts.

    It goes from its value at a cut to its value just before the next one.
    """
    ends = 2 * len(widths) + 1
    left, right = difference[..., 1:ends:2], difference[..., 2:ends:2]
    same_side = left * right >= 0
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total > 0, total, 1)
    found: Floats = np.sum(widths * np.where(same_side, total, crossing) / 2, axis=-1)
    return found
