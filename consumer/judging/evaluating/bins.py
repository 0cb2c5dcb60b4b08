"""The PSI bins of all columns of a version, pooled for a number of window rows, and the PSI over
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.statistics.counts import Pooled
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
    def of(cls, columns: Sequence[Pooled], rows: int) -> "PooledBins":
        """Join the pooled bins of all columns, of a reference of some rows."""
        sizes = np.array([len(pooled.reference) for pooled in columns])
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        shares = np.concatenate([pooled.reference for pooled in columns]) / max(rows, 1)
        places = [pooled.bin_of_cell + start for pooled, start in zip(columns, starts, strict=True)]
        return cls(
            np.concatenate(places), starts, sizes, np.where(shares > 0, shares, ABSENT_SHARE)
        )

    def psi(self, cells: Ints, rows: int) -> Floats:
        """Return the PSI of every column."""
        window = np.bincount(self.bin_of_cell, weights=cells, minlength=len(self.reference)) / rows
        window = np.where(window > 0, window, ABSENT_SHARE)
        return np.add.reduceat(
            (window - self.reference) * np.log(window / self.reference), self.starts
        )
