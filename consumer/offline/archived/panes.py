"""An archive is counted again: rows become panes by the code that counts the log.

Counting is a function of the log and its policy, and the archive has what was counted, in its
order. So the panes are those of the worker, but for what the archive does not keep: failed
predictions, and the exact times of ticks (ticks.py).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.offline.archived.events import (
    Ending,
    Events,
    batch_of,
    labels_of,
    predictions_of,
)
from driftgauge.consumer.offline.archived.ticks import OpenPane, Silences, after_all
from driftgauge.shared.archive.manifest import FileEntry, Kind
from driftgauge.shared.archive.ordered import in_order
from driftgauge.shared.archive.scan import Range, Told, files
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.pane import Pane, PaneEntry
from driftgauge.shared.reference.history import ReferenceChange
from driftgauge.shared.versions.manifest import PublishedVersion

NONE: Events[Any] = Events.of([])
Counted = Callable[[int], None]
"""A function that is told how many rows were counted."""


@dataclass(frozen=True)
class Past:
    """What of an archive is counted, and by what.

    Parameters
    ----------
    wanted
        Its logical times.
    versions
        Versions by `reference_key`; rows of others are passed over.
    changes
        Changes of reference, each with its entry time (ms), in order.
    policies
        Policy of counting of each partition.
    told
        Told of each file that cannot be read.
    """

    store: Store
    wanted: Range
    versions: Mapping[str, PublishedVersion]
    changes: Sequence[tuple[int, ReferenceChange]]
    policies: Sequence[CountingPolicy]
    told: Told
    counted: Counted = lambda _rows: None

    def files(self, kind: Kind) -> list[tuple[str, FileEntry]]:
        """Return the files of a kind, whatever their times: late rows are counted late."""
        return files(self.store, kind, Range(self.wanted.model), self.told)

    def panes(self) -> Iterator[PaneEntry]:
        """Count them; yield what counting wrote to its panes, in the order of logical time.

        Raises
        ------
        OSError
            If the archive does not answer.
        """
        found = self.files("predictions")
        known = [one for one in found if one[1].version in self.versions]
        labels = self.files("labels") if self._labelled else []
        parts = [
            self._partition(policy, *(_of(policy.partition, one) for one in (known, labels)))
            for policy in self.policies
        ]
        yield from heapq.merge(*parts, key=_place)

    @property
    def _labelled(self) -> bool:
        return any(version.manifest.labels for version in self.versions.values())

    def _partition(
        self,
        policy: CountingPolicy,
        predictions: list[tuple[str, FileEntry]],
        labels: list[tuple[str, FileEntry]],
    ) -> Iterator[PaneEntry]:
        since = self.wanted.since
        inside = [file.span[0] for _, file in predictions if since is None or file.last >= since]
        if not inside:
            return
        first = min(inside)
        predictions, labels = (
            [one for one in found if one[1].span[1] > first] for found in (predictions, labels)
        )
        model = self.wanted.model
        counting = _Counting(self, policy)
        known = _Labels(in_order(self.store, "labels", model, labels, self.told))
        schemas = {name: one.schema.stream for name, one in self.versions.items()}
        for batches in in_order(self.store, "predictions", model, predictions, self.told):
            rows, over = self._within(predictions_of(batches, schemas), counting)
            if len(rows):
                if not counting.begun:
                    known.until(EntryId(int(rows.ms[0]), int(rows.numbers[0])))
                end = EntryId(int(rows.ms[-1]), int(rows.numbers[-1]))
                yield from counting.take(rows, known.until(end))
                self.counted(len(rows))
            if over:
                known.close()
                break
        yield from counting.end(known)

    def _within(
        self, rows: Events[Prediction], counting: "_Counting"
    ) -> tuple[Events[Prediction], bool]:
        """Return the rows within the wanted times, and whether later ones came."""
        times = np.array([one.time for one in rows.events], dtype=np.int64)
        reached = np.maximum.accumulate(np.minimum(times, rows.ms))
        reached = np.maximum(reached, counting.reached)
        first, last = 0, len(rows)
        if self.wanted.since is not None and not counting.begun:
            first = int(np.searchsorted(reached, self.wanted.since))
        if self.wanted.until is not None:
            last = int(np.searchsorted(reached, self.wanted.until))
        counting.reached = int(reached[-1]) if len(rows) else counting.reached
        return rows[first:last], last < len(rows)


def _of(partition: int, found: list[tuple[str, FileEntry]]) -> list[tuple[str, FileEntry]]:
    return [one for one in found if one[1].partition == partition]


def _place(entry: PaneEntry) -> tuple[int, int]:
    return entry.end if isinstance(entry, Pane) else entry.time, entry.partition


class _Labels:
    """The labels of a partition, taken out up to a place of the log."""

    def __init__(self, batches: Iterator[list[Any]]) -> None:
        self._batches = batches
        self._held: Events[Label] = NONE

    def until(self, end: EntryId) -> Events[Label]:
        """Take out those before an entry."""
        while not len(self._held) or self._held.before(end) == len(self._held):
            found = next(self._batches, None)
            if found is None:
                break
            self._held = self._held.then(labels_of(found))
        number = self._held.before(end)
        taken, self._held = self._held[:number], self._held[number:]
        return taken

    def rest(self) -> Iterator[Events[Label]]:
        """Yield all that are left."""
        yield self._held
        for found in self._batches:
            yield labels_of(found)

    def close(self) -> None:
        """Leave out what is left."""
        self._batches, self._held = iter(()), NONE


@dataclass
class _Counting:
    """Counts the rows of one partition."""

    past: Past
    policy: CountingPolicy
    state: CountingState = field(default_factory=CountingState)
    begun: bool = False
    reached: int = 0
    numbered: int = 0

    def __post_init__(self) -> None:
        versions = self.past.versions
        self.cells = {name: CellMap.of(version) for name, version in versions.items()}
        self.schemas = {name: version.schema.stream for name, version in versions.items()}
        self.changes = deque(self.past.changes)
        self.last = (0, 0)

    def take(self, rows: Events[Prediction], labels: Events[Label]) -> Iterator[PaneEntry]:
        """Count rows, and the labels before the last of them."""
        self.begun = True
        times = np.array([one.time for one in rows.events], dtype=np.int64)
        logical = np.maximum.accumulate(np.minimum(times, rows.ms))
        logical = np.maximum(logical, self.state.position.clock.logical)
        silences = Silences.of(self.policy, rows.ms, logical, self.last)
        done = first = 0
        while done < len(rows):
            stop = silences.next(done, first, self._pane)
            until, ending = len(rows), None
            if stop is not None:
                until, ending = stop.row, None if stop.tick is None else Ending(stop.tick)
            changed = self._change(rows, until, ending)
            if changed is not None:
                until, ending = changed
            elif ending is not None:
                first = until + 1
            given = self._labels_before(rows, labels, until, ending)
            yield from self._advance(rows[done:until], labels[:given], ending)
            done, labels = until, labels[given:]
        self.last = int(rows.ms[-1]), int(logical[-1])

    def end(self, labels: _Labels) -> Iterator[PaneEntry]:
        """Close the last pane by a tick, and join the labels that came behind it."""
        if not self.begun:
            return
        ms = self.last[0]
        pane = self._pane
        if pane is not None:
            ms = after_all(self.policy, *self.last, pane)
            yield from self._advance(NONE, labels.until(EntryId(ms + 1, 0)), Ending(ms))
        for left in labels.rest():
            if len(left):
                ms = max(ms, int(left.ms[-1]))
                yield from self._advance(NONE, left, None)
        yield from self._advance(NONE, NONE, Ending(ms + self.policy.pane_seconds * 1000))

    @property
    def _pane(self) -> OpenPane | None:
        pane = self.state.pane
        return None if pane is None else OpenPane(pane.start, pane.size)

    def _change(
        self, rows: Events[Prediction], until: int, ending: Ending | None
    ) -> tuple[int, Ending] | None:
        """Return the next change of reference, and the row before which it stands, if it comes
        before a row and a tick.
        """
        if not self.changes:
            return None
        ms, change = self.changes[0]
        row = rows.before(EntryId(ms + 1, 0))
        if row > until or row == len(rows) or (row == until and ending and ending.ms <= ms):
            return None
        self.changes.popleft()
        return row, Ending(ms, change)

    @staticmethod
    def _labels_before(
        rows: Events[Prediction], labels: Events[Label], until: int, ending: Ending | None
    ) -> int:
        if ending is not None:
            return labels.before(EntryId(ending.ms + 1, 0))
        if until == len(rows):
            return len(labels)
        return labels.before(EntryId(int(rows.ms[until]), int(rows.numbers[until])))

    def _advance(
        self, rows: Events[Prediction], labels: Events[Label], ending: Ending | None
    ) -> list[PaneEntry]:
        if not len(rows) and not len(labels) and ending is None:
            return []
        batch = batch_of(rows, labels, ending, self.numbered, self.schemas)
        self.numbered += len(batch.entries)
        return [entry for _, _, entry in advance(self.state, batch, self.cells, self.policy).panes]
