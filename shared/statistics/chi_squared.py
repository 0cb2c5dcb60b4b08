"""The two-sample chi-squared test of homogeneity, for categories. The reference is a sample too,
not the truth.
"""

import numpy as np
from scipy import special

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.statistics.base import statistic, undefined
from driftgauge.shared.statistics.counts import MIN_EXPECTED, ColumnCounts


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
    value, freedom, p_value = two_sample(*_without_small(*counts.bins))
    return Statistic("chi_squared", value, expected=float(freedom), p_value=p_value)


def _without_small(reference: Ints, window: Ints) -> tuple[Ints, Ints]:
    """Join the last bin with the next larger one, if it has too few rows for the law of the test;
    that both are told by their sums leaves the law as it is.

    Examples
    --------
    >>> _without_small(np.array([300, 200, 1]), np.array([100, 120, 2]))
    (array([300, 201]), array([100, 122]))
    """
    table = np.array((reference, window))
    rows, bins = table.sum(axis=1), table.sum(axis=0)
    if len(bins) < 2 or bins[-1] * rows.min() / rows.sum() >= MIN_EXPECTED:
        return reference, window
    smallest = int(np.argmin(bins[:-1]))
    table[:, smallest] += table[:, -1]
    return table[0, :-1], table[1, :-1]
