"""The two-sample chi-squared test of homogeneity, for categories. The reference is a sample too,
not the truth.
"""

import numpy as np
from scipy import special

from driftgauge.consumer.judging.statistics.base import (
    NOT_FOR_THIS_KIND,
    ColumnCounts,
    statistic,
    undefined,
)
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import Statistic


def two_sample(reference: Ints, window: Ints) -> tuple[float, int, float]:
    """Compare two vectors of counts over the same bins.

    Returns
    -------
    statistic, degrees of freedom, p-value
        Bins that are empty on both sides are left out.

    Examples
    --------
    >>> value, freedom, p = two_sample(
    ...     np.array([16, 18, 16, 14, 12, 12]), np.array([16, 16, 16, 16, 16, 8])
    ... )
    >>> freedom, round(p, 5)
    (5, 0.89853)
    """
    table = np.array((reference, window), dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    value = float(((table - expected) ** 2 / expected).sum())
    freedom = table.shape[1] - 1
    return value, freedom, float(special.chdtrc(freedom, value)) if freedom else 1.0


@statistic("chi_squared")
def chi_squared(counts: ColumnCounts) -> Statistic:
    """Chi-squared over the categories with MISSING and UNSEEN, small ones pooled."""
    if counts.is_numeric:
        return undefined("chi_squared", NOT_FOR_THIS_KIND)
    if not counts.n or not counts.m:
        return undefined("chi_squared", "no row to compare")
    value, freedom, p_value = two_sample(*counts.bins)
    return Statistic("chi_squared", value, expected=float(freedom), p_value=p_value)
