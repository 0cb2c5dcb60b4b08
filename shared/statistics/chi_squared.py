"""The two-sample chi-squared test of homogeneity, for categories. The reference is a sample too,
not the truth.
"""

import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.statistics.base import statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts


def two_sample(reference: Ints, window: Ints) -> tuple[float, int, float]:
    """Compare two vectors of counts over the same bins.

    Returns
    -------
    statistic, degrees of freedom, p-value
        Bins that are empty on both sides are left out.

    Examples
    --------
    >>> reference, window = np.array([16, 18, 16, 14, 12, 12]), np.array([16, 16, 16, 16, 16, 8])
    >>> value, freedom, p = two_sample(reference, window)
    >>> freedom, round(p, 5)
    (5, 0.89853)
    """
    from scipy import special  # slow to import, and the API needs none of it

    table = np.array((reference, window), dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    freedom = table.shape[1] - 1
    return value, freedom, float(special.chdtrc(freedom, value)) if freedom else 1.0


@statistic("chi_squared", "Chi-squared", kinds=("categorical",))
def chi_squared(counts: ColumnCounts) -> Statistic:
    """Compare the categories with MISSING and UNSEEN by the two-sample chi-squared test.

    Small categories are pooled; a pool of which less than 5 rows would be expected on either side
    joins the next larger bin (Cochran's rule).
    """
    if not counts.n or not counts.m:
        return undefined("chi_squared", "no row to compare")
    value, freedom, p_value = two_sample(*counts.large_bins)
    return Statistic("chi_squared", value, expected=float(freedom), p_value=p_value)
