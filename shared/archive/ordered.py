"""Rows of one partition in the order of its log, whatever files they are in.

A file's rows are in that order, and files of other days or versions overlap it a little. So files
are read side by side, and memory holds a batch of each that overlaps.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from driftgauge.shared.archive.manifest import FileEntry, Kind
from driftgauge.shared.archive.scan import Range, Told, scan
from driftgauge.shared.archive.store import Store
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.entry_id import EntryId

AT_ONCE: Final = 20_000
"""Rows that are collected before they are yielded."""


def in_order(
    store: Store, kind: Kind, model: str, found: Sequence[tuple[str, FileEntry]], told: Told
) -> Iterator[list[Any]]:
    """Yield the rows of files of one partition as lists of record batches, each of one file.

    The rows of a list come before those of the next one in the log; within a list, sort them by
    their entries (`places`).

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    waiting = sorted(found, key=lambda one: one[1].span, reverse=True)
    opened: list[_Rows] = []
    collected: list[Any] = []
    while waiting or opened:
        end = min((one.end for one in opened), default=None)
        while waiting and (end is None or waiting[-1][1].span[0] < end):
            batches = scan(store, kind, Range(model), told, found=[waiting.pop()])
            rows = _Rows(batches)
            if rows.batch is not None:
                opened.append(rows)
                end = rows.end if end is None else min(end, rows.end)
        if end is None:
            break
        collected += [part for one in opened for part in one.until(end)]
        opened = [one for one in opened if one.batch is not None]
        if sum(part.num_rows for part in collected) >= AT_ONCE:
            yield collected
            collected = []
    if collected:
        yield collected


def places(batch: Any) -> tuple[Ints, Ints]:
    """Return the two parts of the ids of a batch's entries."""
    ms = batch.column("entry_time").cast(pa.int64()).to_numpy()
    return ms, batch.column("entry_number").to_numpy()


class _Rows:
    """The rows of a file that are still to come, batch by batch."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self._next()

    def _next(self) -> None:
        self.batch: Any = next((one for one in self._batches if one.num_rows), None)
        if self.batch is not None:
            self._ms, self._numbers = places(self.batch)
            self.end = EntryId(int(self._ms[-1]), int(self._numbers[-1]))

    def until(self, end: EntryId) -> Iterator[Any]:
        """Take out the rows up to an entry, which is in this batch or behind it."""
        before = (self._ms < end.ms) | ((self._ms == end.ms) & (self._numbers <= end.sequence))
        rows = int(np.count_nonzero(before))
        if rows:
            yield self.batch.slice(0, rows)
        if rows == len(before):
            self._next()
        else:
            self.batch = self.batch.slice(rows)
            self._ms, self._numbers = self._ms[rows:], self._numbers[rows:]
