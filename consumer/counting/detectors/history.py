"""What the latest values of each column were, for what an alarm says happened. Every detector that
looks at values keeps the same, so that no two of them state opposite effects for one column.

A value is kept as the group of ranks that its cell belongs to: the tenths and tails of the
reference, or MISSING. Nothing is drawn at random here: all values of a tie are in one group, whose
share in the reference is known.
"""

import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.detectors.base import Observed
from driftgauge.consumer.counting.detectors.effect import RECENT, Effect, estimate
from driftgauge.consumer.counting.detectors.rank_cells import BORDERS, CELLS, MISSING, in_order
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import ColumnReference, ReferenceProfile

Bytes = NDArray[np.int8]


class History:
    """The latest values of some columns.

    Parameters
    ----------
    columns
        Which columns of the reference are watched, C of them.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> column = NumericReference.build("x", np.repeat([0.0, 1.0], [900, 100]))
    >>> history = History(ReferenceProfile(1000, (column,)), [0])
    >>> history.take(Observed(column.cells(np.tile([0.0, 1.0], 100))[None], np.empty(0), []))
    >>> round(history.effect(0, 0).mean_rank, 2)
    0.7
    """

    def __init__(self, reference: ReferenceProfile, columns: list[int]) -> None:
        self._columns = columns
        self._groups = np.full(int(reference.offsets[-1]), MISSING, dtype=np.int8)
        self._laws = np.empty((len(columns), CELLS))
        self._ordered = [reference.columns[column].kind == "numeric" for column in columns]
        for row, column in enumerate(columns):
            first, missing = int(reference.offsets[column]), int(reference.offsets[column + 1]) - 1
            self._groups[first:missing], self._laws[row] = _grouped(reference.columns[column])
        self._before = np.full((len(columns), RECENT), -1, dtype=np.int8)
        self._new: Ints = np.empty((len(columns), 0), dtype=np.int64)
        """The cells of the newest events, which become groups where they are looked at."""

    def take(self, observed: Observed) -> None:
        """Remember new events."""
        self._before, self._new = self._until(RECENT, 0), observed.cells_of(self._columns)

    def _until(self, most: int, after: int) -> Bytes:
        """Return the groups of the latest values but the last few, oldest first, at most so many,
        shape (C, values).
        """
        end = self._new.shape[1] - after
        new = self._groups.take(self._new[:, max(0, end - most) : max(0, end)])
        missing = most - new.shape[1]
        if not missing:
            return new
        last = RECENT + min(0, end)
        return np.concatenate((self._before[:, max(0, last - missing) : last], new), axis=1)

    def effect(self, place: int, after: int) -> Effect:
        """Estimate what happened to a column.

        Parameters
        ----------
        place
            Of the column among the watched ones.
        after
            Events of the latest ones that came after the alarm, and are left out.
        """
        recent = self._until(RECENT, after)[place]
        return estimate(recent[recent >= 0], self._laws[place], ordered=self._ordered[place])

    def pack(self) -> bytes:
        """Return what it remembers."""
        return self._until(RECENT, 0).tobytes()

    def restore(self, packed: bytes) -> None:
        """Take up what `pack` returned; what was kept in another form is forgotten."""
        if len(packed) == len(self._columns) * RECENT:
            self._before = np.frombuffer(packed, dtype=np.int8).reshape(-1, RECENT)


def _grouped(column: ColumnReference) -> tuple[Bytes, Floats]:
    """Return the group of each cell but MISSING, and the shares of all groups in the reference;
    each has half a row more, so that none is impossible.
    """
    places, counts = in_order(column)
    total = max(int(counts.sum()), 1)
    middles = (np.cumsum(counts) - counts / 2) / total
    groups = np.searchsorted(BORDERS, middles).astype(np.int8)
    rows = np.bincount(groups, weights=counts, minlength=CELLS) + 0.5
    rows[MISSING] = column.counts[-1] + 0.5
    return groups[places], rows / rows.sum()
