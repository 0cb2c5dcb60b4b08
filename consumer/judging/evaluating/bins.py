"""The PSI bins of all columns of a version, pooled for a number of window rows, and the PSI over
them.
"""

from dataclasses import dataclass

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.statistics.counts import pooled_bins
from driftgauge.shared.statistics.psi import ABSENT_SHARE


@dataclass(frozen=True)
class PooledBins:
    """The PSI bins of all columns in one vector: the bin of each cell, the first bin of each
    column, and the reference's shares.
    """

    bin_of_cell: Ints
    starts: Ints
    sizes: Ints
    reference: Floats

    @classmethod
    def of(cls, profile: ReferenceProfile, rows: int) -> "PooledBins":
        places, shares = [], []
        sizes: list[int] = []
        for column in profile.columns:
            place, reference = pooled_bins(column, profile.rows, rows)
            places.append(place + sum(sizes))
            shares.append(reference / max(profile.rows, 1))
            sizes.append(len(reference))
        joined = np.concatenate(shares)
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        return cls(
            np.concatenate(places),
            starts,
            np.array(sizes),
            np.where(joined > 0, joined, ABSENT_SHARE),
        )

    def psi(self, cells: Ints, rows: int) -> Floats:
        """Return the PSI of every column."""
        window = np.bincount(self.bin_of_cell, weights=cells, minlength=len(self.reference)) / rows
        window = np.where(window > 0, window, ABSENT_SHARE)
        return np.add.reduceat(
            (window - self.reference) * np.log(window / self.reference), self.starts
        )
