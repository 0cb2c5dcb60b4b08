"""Drift among the rare categories of a column: those that have no cell of their own.

They are parted by a hash of their names into buckets, of which reference and window have counts.
When categories change, the shares of the buckets change less, since the changes of several
categories meet in one bucket; and since the hash has nothing to do with the change, by a factor
that is known: with p_i the shares of the categories among the rare rows and P_b those of the
buckets, the chi-squared divergence of the buckets is that of the categories times

    a = sum over buckets of (sum of p_i^2 in the bucket) / P_b,

the inverse of the categories in a bucket if all are equally frequent. So the divergence of the
categories is estimated from that of the buckets, in the unit of PSI, which is the same for small
changes. It is judged as PSI is: above a floor, and by more than chance explains, by the noncentral
law of the two-sample chi-squared statistic.
"""

from dataclasses import dataclass

import numpy as np

from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
from driftgauge.shared.statistics.chi_squared import two_sample

ROWS_PER_GROUP = 3.0
"""Rows that a group of buckets is expected to have on average, in the smaller sample: with fewer
the statistic passes high quantiles of its law too often, up to 4 times where buckets differ much.
"""
LEAST_PAIRS = 20
"""Pairs of rare reference rows with the same category, without which it is not known how many
categories share a bucket.
"""


@dataclass(frozen=True)
class RareCategories:
    """The rare categories of one column.

    Parameters
    ----------
    first
        First cell of their buckets in the vector of all cells; behind the cells of OTHER stand
        those of UNSEEN.
    rows
        All rows of the reference.
    reference
        Reference rows of each bucket.
    pairs
        Ordered pairs of these rows that have the same category.

    Examples
    --------
    >>> names = [f"c{place}" for place in np.random.default_rng(0).integers(0, 1000, 20_000)]
    >>> column = CategoricalReference.build("c", names)
    >>> rare = RareCategories.of(ReferenceProfile(20_000, (column,)), 0)
    >>> half = [name for name in names if hash(int(name[1:]) % 2)]
    >>> window = np.bincount(column.cells(half), minlength=len(column.counts))
    >>> rare.groups(len(half)), 0.9 < rare.psi(window, len(half)) < 1.2
    (512, True)
    >>> rare.psi(window, len(half)) > rare.threshold(0.25, 1e-6, window, len(half))
    True
    """

    first: int
    rows: int
    reference: Ints
    pairs: Ints

    words = "PSI among rare categories"
    may_be_critical = True

    @classmethod
    def of(cls, profile: ReferenceProfile, place: int) -> "RareCategories | None":
        """Take them from a column of a profile; None if it has no buckets to hold against each
        other.
        """
        column = profile.columns[place]
        if not isinstance(column, CategoricalReference) or sum(column.pairs) < LEAST_PAIRS:
            return None
        top = len(column.categories)
        counts = np.array(column.counts[top : column.missing], dtype=np.int64)
        return cls(
            int(profile.offsets[place]) + top,
            profile.rows,
            counts.reshape(2, -1).sum(axis=0),
            np.array(column.pairs, dtype=np.int64),
        )

    def groups(self, m: int) -> int:
        """Return how many groups of neighbouring buckets a window of m rows is parted into, so that
        each is expected to have enough rows in the smaller sample; a power of two.
        """
        expected = float(self.reference.sum()) * min(1.0, m / max(self.rows, 1))
        return int(
            min(len(self.reference), 1 << max(int(expected / ROWS_PER_GROUP), 1).bit_length() - 1)
        )

    def psi(self, cells: Ints, m: int) -> float:
        """Return the estimated PSI of the column that is due to its rare categories, 0 or more.

        Parameters
        ----------
        cells
            Window rows over all cells.
        m
            All rows of the window.
        """
        groups, buckets = self.groups(m), len(self.reference)
        window = (
            cells[self.first : self.first + 2 * buckets].reshape(2, groups, -1).sum(axis=(0, 2))
        )
        if groups == 1 or not window.any():
            return 0.0
        value, freedom, _ = two_sample(self.reference.reshape(groups, -1).sum(axis=1), window)
        return max(float(value - freedom), 0.0) * self._scale(m) / self._resolution(groups)

    def threshold(self, floor: float, alpha: float, _cells: Ints, m: int) -> float:
        """Return the estimate that is exceeded with probability alpha when the true one is
        `floor`.
        """
        groups = self.groups(m)
        if groups == 1:
            return float("inf")
        resolution = self._resolution(groups)
        bound = threshold(floor * resolution, alpha, groups, self.rows, m)
        return (bound - (groups - 1) * self._scale(m)) / resolution

    def _scale(self, m: int) -> float:
        return 1 / self.rows + 1 / m

    def _resolution(self, groups: int) -> float:
        """Return `a` of the groups: 1 if each has one category."""
        rows, pairs = (
            part.reshape(groups, -1).sum(axis=1) for part in (self.reference, self.pairs)
        )
        total = int(rows.sum())
        return min(float((pairs / np.maximum(rows, 1)).sum()) / (total - 1), 1.0)
