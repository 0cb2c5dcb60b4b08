"""Deduplication: finds the new entries of a batch by publisher and sequence number."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.entries.columns import NO_INTS, Batch, DeadLetter
from driftgauge.consumer.counting.entries.publishers import Publisher, to_forget, to_retire
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.arrays import Ints

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class _All:
    """All entries of a batch that could be read and have sequence numbers, in order.

    Parameters
    ----------
    kinds
        Kind of each entry: 0 for a prediction, 1 for a label, 2 for a half, 3 for a failed
        prediction; None if there are only predictions.
    """

    positions: Ints
    entry_ms: Ints
    publishers: list[bytes]
    sequences: Ints
    kinds: Ints | None = None

    @classmethod
    def of(cls, batch: Batch) -> "_All":
        others = (batch.labels, batch.halves, batch.failures)
        if not any(one.events for one in others):
            return cls(batch.positions, batch.entry_ms, batch.publishers, batch.sequences)
        parts = (batch, *others)
        positions = np.concatenate([part.positions for part in parts])
        order = np.argsort(positions, kind="stable")
        publishers = [name for part in parts for name in part.publishers]
        kinds = np.repeat(np.arange(len(parts)), [len(part.publishers) for part in parts])
        return cls(
            positions[order],
            np.concatenate([part.entry_ms for part in parts])[order],
            [publishers[place] for place in order.tolist()],
            np.concatenate([part.sequences for part in parts])[order],
            kinds[order],
        )

    def parted(self, fresh: Flags) -> "Fresh":
        """Return the places of the fresh entries among those of their kind."""
        if self.kinds is None:
            return Fresh(np.flatnonzero(fresh))
        return Fresh(
            *(np.flatnonzero(fresh[self.kinds == kind]) for kind in range(len(Fresh._fields)))
        )


class Fresh(NamedTuple):
    """Places of the entries that were not counted before, among those of their kind."""

    predictions: Ints
    labels: Ints = NO_INTS
    halves: Ints = NO_INTS
    failures: Ints = NO_INTS


class Dedupe:
    """Finds the entries of a batch whose sequence numbers were not counted before.

    Parameters
    ----------
    state
        State of the partition; its publishers and counters are changed.
    batch
        Decoded entries; dead letters are added, or removed if they were sent twice.
    retire_ms
        Time without entries (ms) after which a publisher is retired.
    """

    def __init__(self, state: CountingState, batch: Batch, retire_ms: int) -> None:
        self._state = state
        self._batch = batch
        self._numbered = _All.of(batch)
        self._retire_ms = retire_ms

    def fresh(self) -> Fresh:
        """Return the places of the events whose number was not seen before; remember the
        numbers.
        """
        batch, numbered = self._batch, self._numbered
        fresh = np.ones(len(numbered.publishers), dtype=bool)
        publishers = np.array(numbered.publishers, dtype=object)
        turns = self._turns()
        closed = start = 0
        for position in sorted(turns | batch.dead_numbers.keys() | batch.voids.keys()):
            stop = int(np.searchsorted(numbered.positions, position))
            closed += self._claim(fresh, publishers, start, stop)
            if position in turns:
                self._retire_silent(int(batch.all_ms[position]))
            if position in batch.dead_numbers:
                self._claim_dead(position)
            if position in batch.voids:
                self._claim_void(position)
            start = stop
        closed += self._claim(fresh, publishers, start, len(fresh))
        self._state.counters.duplicates += int((~fresh).sum()) - closed
        return numbered.parted(fresh)

    def _turns(self) -> set[int]:
        """Return the positions of the first entries of an hour of entry time, where publishers are
        retired.
        """
        hours = np.append(self._state.position.clock.entry, self._batch.all_ms) // HOUR_MS
        return set(np.flatnonzero(np.diff(hours)).tolist())

    def _claim_dead(self, position: int) -> None:
        """Remember the number of a dead letter, so that an entry that was sent twice is written
        once.
        """
        name, number = self._batch.dead_numbers[position]
        publisher = self._publisher(name, int(self._batch.all_ms[position]))
        if number > publisher.closed and not publisher.seen.add(number):
            del self._batch.dead[position]
            self._state.counters.duplicates += 1

    def _claim_void(self, position: int) -> None:
        """Note numbers that no event has; those that are closed are settled already."""
        name, void = self._batch.voids[position]
        publisher = self._publisher(name, int(self._batch.all_ms[position]))
        self._state.counters.void += sum(
            publisher.seen.add_span(max(first, publisher.closed + 1), last)
            for first, last in void.spans
            if max(first, publisher.closed + 1) <= last
        )

    def _claim(self, fresh: Flags, publishers: NDArray[np.object_], start: int, stop: int) -> int:
        """Remember some numbers; mark those that were seen before as not fresh.

        Returns
        -------
        int
            How many of them have closed numbers (see publishers.py).
        """
        names = set(self._numbered.publishers[start:stop])
        closed = 0
        for name in names:
            alone = len(names) == 1
            places = (
                np.arange(start, stop)
                if alone
                else start + np.flatnonzero(publishers[start:stop] == name)
            )
            closed += self._claim_run(name, fresh, places)
        return closed

    def _claim_run(self, name: bytes, fresh: Flags, places: Ints) -> int:
        publisher = self._publisher(name, int(self._numbered.entry_ms[places[-1]]))
        numbers = self._numbered.sequences[places]
        if not publisher.closed:
            fresh[places] = publisher.seen.claim(numbers)
            return 0
        late = numbers <= publisher.closed
        fresh[places[late]] = False
        for place in places[late].tolist():
            self._dead_letter(place, name, publisher.closed)
        if not late.all():
            fresh[places[~late]] = publisher.seen.claim(numbers[~late])
        return int(late.sum())

    def _dead_letter(self, place: int, name: bytes, closed: int) -> None:
        position = int(self._numbered.positions[place])
        reason = (
            f"publisher {name[:40]!r} was retired after a long silence, and its numbers up to "
            f"{closed} with it: "
            "whether this event was counted before is not known any more"
        )
        self._batch.dead[position] = DeadLetter(self._batch.entries[position], reason)

    # -- publishers --------------------------------------------------------------------------------

    def _publisher(self, name: bytes, entry_ms: int) -> Publisher:
        """Return the publisher of an entry, made if absent."""
        publisher = self._state.publishers.setdefault(name, Publisher())
        publisher.last_ms = max(publisher.last_ms, entry_ms)
        self._state.changed.add(b"publisher:" + name)
        return publisher

    def _retire_silent(self, now: int) -> None:
        """Retire and forget publishers at the beginning of an hour of entry time."""
        state = self._state
        for name, publisher in state.publishers.items():
            closed = publisher.close_surplus()
            if closed:
                state.counters.lost += closed
                state.changed.add(b"publisher:" + name)
        for name in to_retire(state.publishers, now, self._retire_ms):
            state.counters.lost += state.publishers[name].retire()
            state.changed.add(b"publisher:" + name)
        for name in to_forget(state.publishers):
            del state.publishers[name]
            state.changed.add(b"publisher:" + name)
