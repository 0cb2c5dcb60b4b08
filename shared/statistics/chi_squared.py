"""The two-sample chi-squared test of homogeneity, for categories. The reference is a sample too,
not the truth.
"""

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.statistics.base import Values, statistic, undefined
from driftgauge.shared.statistics.counts import ColumnCounts


def two_sample(reference: Ints, window: Ints) -> tuple[Floats, Ints, Floats]:
    """Compare vectors of counts over the same bins.

    Parameters
    ----------
    reference, window
        Rows of each bin, shape (bins,) or (…, bins).

    Returns
    -------
    statistic, degrees of freedom, p-value
        Each of shape (…,). Bins that are empty on both sides are left out.

    Examples
    --------
    >>> reference, window = np.array([16, 18, 16, 14, 12, 12]), np.array([16, 16, 16, 16, 16, 8])
    >>> value, freedom, p = two_sample(reference, window)
    >>> int(freedom), round(float(p), 5)
    (5, 0.89853)
    """
    from scipy import special  # slow to import, and the API needs none of it

    both = np.stack(np.broadcast_arrays(reference, window), axis=-2).astype(float)
    tables = both.reshape(-1, *both.shape[-2:])
    value, freedom = np.zeros(len(tables)), np.zeros(len(tables), dtype=np.int64)
    kinds, kind_of = np.unique(tables.sum(axis=1) > 0, axis=0, return_inverse=True)
    for kind, used in enumerate(kinds):
        chosen = np.flatnonzero(kind_of.ravel() == kind)
        table = tables[chosen][..., used]
        rows, bins = table.sum(axis=2, keepdims=True), table.sum(axis=1, keepdims=True)
        expected = rows * bins / rows.sum(axis=1, keepdims=True)
        squares = (table - expected) ** 2 / expected
        value[chosen] = squares.reshape(len(chosen), -1).sum(axis=1)
        freedom[chosen] = used.sum() - 1
    p_value = np.where(freedom > 0, special.chdtrc(np.maximum(freedom, 1), value), 1.0)
    shape = both.shape[:-2]
    return value.reshape(shape), freedom.reshape(shape), p_value.reshape(shape)


@statistic("chi_squared", "Chi-squared", kinds=("categorical",))
def chi_squared(counts: ColumnCounts) -> Values:
    """Compare the categories with MISSING and UNSEEN by the two-sample chi-squared test.

    Small categories are pooled; a pool of which less than 5 rows would be expected on either side
    joins the next larger bin (Cochran's rule).
    """
    if not counts.has_rows:
        return undefined("no row to compare")
    value, freedom, p_value = two_sample(*counts.large_bins)
    return Values(value, freedom.astype(np.float64), p_value)
