"""Bins of ordered features, in which 7 whole days are compared with the reference's days.

A feature whose rows follow each other (a sensor, a season) varies from week to week far more than
independent rows would. So it is judged once a logical day on the last 7 whole days, by PSI over the
reference's bins, against a threshold that comes from replaying the reference (replay_threshold.py).
Both sides cover whole weeks, since a threshold for 7 days does not hold for a shorter window.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.calibration import Timeline
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.statistics.counts import MIN_EXPECTED, Pooling
from driftgauge.shared.statistics.psi import ABSENT_SHARE

WEEK = 7
LEAST_ROWS = int(2 * MIN_EXPECTED)
"""Rows of 7 days below which nothing can be compared: two bins as small as a bin may be."""


@dataclass(frozen=True)
class DayBins:
    """The bins of all columns in one vector, in which days are counted, and how they are pooled to
    judge a week.

    Parameters
    ----------
    bin_of_cell
        The bin of each cell of the reference.
    pooled
        Pooled bin of each bin.
    starts, sizes
        First pooled bin of each column, and the number of its pooled bins.
    """

    bin_of_cell: Ints
    pooled: Ints
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, profile: ReferenceProfile, week_rows: int) -> "DayBins":
        """Lay out the bins; those with too few rows in a week of the reference are pooled, so that
        a week of few rows has fewer, coarser bins.
        """
        bin_of_cell, pooled, bins = [], [], 0
        sizes: list[int] = []
        for column in profile.columns:
            cells = np.array(column.bin_of_cell)
            own = Pooling(column).of(profile.rows, max(week_rows, 1))
            bin_of_cell.append(cells + bins)
            pooled.append(own.bin_of_cell[np.unique(cells, return_index=True)[1]] + sum(sizes))
            sizes.append(len(own.reference))
            bins += int(cells.max()) + 1
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        return cls(np.concatenate(bin_of_cell), np.concatenate(pooled), starts, np.array(sizes))

    def of_cells(self, place: int) -> Ints:
        """Return the pooled bin of each cell of one column, counted from the column's first."""
        pooled: Ints = self.pooled[self.bin_of_cell] - self.starts[place]
        own: Ints = pooled[(pooled >= 0) & (pooled < self.sizes[place])]
        return own

    def count(self, cells: Ints) -> Ints:
        """Sum a vector of all cells to bins."""
        return np.bincount(self.bin_of_cell, weights=cells, minlength=len(self.pooled)).astype(
            np.int64
        )

    def pool(self, counts: Ints) -> Ints:
        """Sum bins, shape (…, bins), to pooled bins."""
        order, begins = self._runs
        return np.add.reduceat(counts[..., order], begins, axis=-1)

    @cached_property
    def _runs(self) -> tuple[Ints, Ints]:
        """The bins in the order of their pooled bins, and where each of those begins; none is
        empty.
        """
        order = np.argsort(self.pooled, kind="stable")
        return order, np.flatnonzero(np.diff(self.pooled[order], prepend=-1))

    def psi(self, reference: Ints, window: Ints) -> Floats:
        """Return the PSI of every column, shape (…, columns), of pooled counts (…, pooled bins); 0
        where a side has no row.

        Both sides broadcast.
        """
        p, q = self._shares(reference), self._shares(window)
        both = self._rows(reference) * self._rows(window) > 0
        value: Floats = np.add.reduceat((q - p) * np.log(q / p), self.starts, axis=-1)
        return np.where(both, value, 0.0)

    def rows(self, counts: Ints) -> int:
        """Return the rows of a day or week: those of the column that has most, since a column may
        be absent.
        """
        return int(self._rows(self.pool(counts)).max(initial=0))

    def _rows(self, counts: Ints) -> Ints:
        rows: Ints = np.add.reduceat(counts, self.starts, axis=-1)
        return rows

    def _shares(self, counts: Ints) -> Floats:
        rows = np.repeat(np.maximum(self._rows(counts), 1), self.sizes, axis=-1)
        return np.where(counts > 0, counts / rows, ABSENT_SHARE)


def week_rows(timeline: Timeline) -> int:
    """Return the mean rows of 7 days of a time-ordered reference."""
    present = max(
        (int(part.sum()) for part in np.split(timeline.totals, np.cumsum(timeline.bins)[:-1])),
        default=0,
    )
    return present // max(timeline.weeks, 1)
