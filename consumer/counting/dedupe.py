"""Which entries of a batch are new, by publisher and sequence number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consumer.counting.clock import HOUR_MS
from consumer.counting.columns import Batch, DeadLetter
from consumer.counting.publishers import Publisher, to_forget, to_retire
from consumer.counting.state import CountingState
from shared.reference import Ints

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class _Numbered:
    """All entries of a batch that bear numbers and could be read, in order.

    Parameters
    ----------
    is_label
        Of each; None if there are only predictions.
    """

    positions: Ints
    entry_ms: Ints
    publishers: list[bytes]
    sequences: Ints
    is_label: Flags | None = None

    @classmethod
    def of(cls, batch: Batch) -> "_Numbered":
        labels = batch.labels
        if not labels.labels:
            return cls(batch.positions, batch.entry_ms, batch.publishers, batch.sequences)
        positions = np.concatenate((batch.positions, labels.positions))
        order = np.argsort(positions, kind="stable")
        publishers = batch.publishers + labels.publishers
        return cls(
            positions[order],
            np.concatenate((batch.entry_ms, labels.entry_ms))[order],
            [publishers[place] for place in order.tolist()],
            np.concatenate((batch.sequences, labels.sequences))[order],
            order >= len(batch.predictions),
        )

    def parted(self, fresh: Flags) -> tuple[Ints, Ints]:
        """Give the places of the fresh ones among the predictions, and among the labels."""
        if self.is_label is None:
            return np.flatnonzero(fresh), np.zeros(0, np.int64)
        return np.flatnonzero(fresh[~self.is_label]), np.flatnonzero(fresh[self.is_label])


class Dedupe:
    """One batch against the numbers that have come before.

    Parameters
    ----------
    state
        Its publishers and counters are changed.
    batch
        Dead letters are added to it, or taken out when they were sent twice.
    retire_ms
        Silence after which a publisher is retired.
    """

    def __init__(self, state: CountingState, batch: Batch, retire_ms: int) -> None:
        self._state = state
        self._batch = batch
        self._numbered = _Numbered.of(batch)
        self._retire_ms = retire_ms

    def fresh(self) -> tuple[Ints, Ints]:
        """Give the places of the predictions, and of the labels, whose number was not seen before; remember the numbers."""
        batch, counters, numbered = self._batch, self._state.counters, self._numbered
        fresh = np.ones(len(numbered.publishers), dtype=bool)
        publishers = np.array(numbered.publishers, dtype=object)
        closed = start = 0
        for position, (name, number) in batch.dead_numbers.items():
            stop = int(np.searchsorted(numbered.positions, position))
            closed += self._claim(fresh, publishers, start, stop)
            publisher = self._publisher(name, int(batch.all_ms[position]))
            if number > publisher.closed and not publisher.seen.add(number):
                del batch.dead[position]  # the dead letter of an entry that was sent twice is written once
                counters.duplicates += 1
            start = stop
        closed += self._claim(fresh, publishers, start, len(fresh))
        counters.duplicates += int((~fresh).sum()) - closed
        self._retire_silent()
        return numbered.parted(fresh)

    def _claim(self, fresh: Flags, publishers: NDArray[np.object_], start: int, stop: int) -> int:
        """Remember some numbers; mark those that were seen before as not fresh.

        Returns
        -------
        int
            How many of them bear closed numbers.
        """
        names = set(self._numbered.publishers[start:stop])
        closed = 0
        for name in names:
            alone = len(names) == 1
            places = np.arange(start, stop) if alone else start + np.flatnonzero(publishers[start:stop] == name)
            for run in self._without_long_gaps(places):
                closed += self._claim_run(name, fresh, run)
        return closed

    def _without_long_gaps(self, places: Ints) -> list[Ints]:
        """Part places of one publisher where it was silent for as long as a retirement takes: nearly never."""
        times = self._numbered.entry_ms[places]
        if times[-1] - times[0] <= self._retire_ms:
            return [places]
        return np.split(places, np.flatnonzero(np.diff(times) > self._retire_ms) + 1)

    def _claim_run(self, name: bytes, fresh: Flags, places: Ints) -> int:
        first_ms, last_ms = self._numbered.entry_ms[places[[0, -1]]].tolist()
        publisher = self._publisher(name, first_ms)
        publisher.last_ms = max(publisher.last_ms, last_ms)
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
            f"publisher {name[:40]!r} was retired after a long silence, and its numbers up to {closed} with it: "
            "whether this event was counted before is not known any more"
        )
        self._batch.dead[position] = DeadLetter(self._batch.entries[position], reason)

    # -- publishers -----------------------------------------------------------------------------------------------

    def _publisher(self, name: bytes, entry_ms: int) -> Publisher:
        """Give a publisher at an entry of its own; one that was silent for too long is retired first."""
        publisher = self._state.publishers.setdefault(name, Publisher())
        if publisher.is_silent(entry_ms, self._retire_ms) and not publisher.retired and publisher.seen.bounds:
            self._retire(publisher)
        publisher.last_ms = max(publisher.last_ms, entry_ms)
        self._state.changed.add(b"publisher:" + name)
        return publisher

    def _retire(self, publisher: Publisher) -> None:
        self._state.counters.lost += publisher.retire()

    def _retire_silent(self) -> None:
        """Retire publishers once an hour of entry time."""
        state, now = self._state, int(self._batch.all_ms[-1])
        if now // HOUR_MS == state.position.clock.entry // HOUR_MS:
            return
        for name in to_retire(state.publishers, now, self._retire_ms):
            self._retire(state.publishers[name])
            state.changed.add(b"publisher:" + name)
        for name in to_forget(state.publishers):
            del state.publishers[name]
            state.changed.add(b"publisher:" + name)
