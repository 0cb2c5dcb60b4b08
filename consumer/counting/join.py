"""The join: predictions meet their labels, each exactly once, whichever comes first.

Theory of operation:

- A join happens at the position in the log of the later of the two. Predictions are counted pane by
  pane, each pane as a whole; so before anything is written to the panes stream, `join` processes
  the labels up to that position.
- Predictions without a label in or before the batch only start to wait, all at once. The others are
  processed one by one, in the order of the log.
- An equal further label changes nothing. A different one replaces the first, in the stored
  prediction and in the joined row for judging.
- A prediction is kept for some days (pending.py). A label without a prediction is *early* if the
  prediction still comes, and *unknown* if it does not.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.entries.client_ids import digests_of
from driftgauge.consumer.counting.entries.columns import Labels
from driftgauge.consumer.counting.error_detection import Moment, detect_errors
from driftgauge.consumer.counting.labels.pending import (
    EARLY_MOST,
    Early,
    Truth,
    Waiting,
    is_expired,
)
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.pane import Delta, PaneEntry


@dataclass(slots=True)
class Arrival:
    """A prediction that starts to wait for its label, at its position in the batch."""

    position: int
    entry_ms: int
    digest: bytes
    waiting: Waiting


@dataclass(slots=True)
class Stretch:
    """Predictions that are being counted: their positions in the batch, logical times (ms), and the
    number of events before them.
    """

    total: int
    time: int
    positions: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    times: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def moment(self, position: int) -> tuple[int, int]:
        """Return logical time (ms) and number of events after all entries up to a position."""
        rows = int(np.searchsorted(self.positions, position, side="right"))
        return int(self.times[rows - 1]) if rows else self.time, self.total + rows


class Joiner:
    """Joins the labels of one batch.

    Parameters
    ----------
    state
        State of the partition, changed in place.
    labels
        Labels of the batch; `fresh` are the positions of those that were not counted before.
    write
        Function that writes a delta or an alarm after the last closed pane.
    """

    def __init__(
        self,
        state: CountingState,
        labels: Labels,
        fresh: Ints,
        versions: Mapping[str, CellMap],
        policy: CountingPolicy,
        write: Callable[[PaneEntry], None],
    ) -> None:
        self._state = state
        self._pending = state.pending
        self._pending.wait_days = policy.label_wait_days
        self._counts = state.counters.labels
        self._versions = versions
        self._policy = policy
        self._write = write
        self._positions = labels.positions[fresh].tolist()
        self._entry_ms = labels.entry_ms[fresh].tolist()
        self._labels, self._digests = labels.events, labels.digests
        if len(fresh) < len(labels.events):
            self._labels = [labels.events[place] for place in fresh.tolist()]
            self._digests = [labels.digests[place] for place in fresh.tolist()]
        self._touched = set(self._digests)
        self._textual = {
            name: known.layout.kind == "categorical"
            for name, known in versions.items()
            if known.layout is not None
        }
        self._watches = any(known.errors is not None for known in versions.values())
        self._next = 0
        self._arrivals: list[Arrival] = []
        self._arrived = 0
        self._stretch = Stretch(state.counters.events, state.position.clock.logical)

    # -- predictions -------------------------------------------------------------------------------

    def enter(self, positions: Ints, times: Ints) -> None:
        """Join the labels that come before the predictions that are counted next."""
        if not self._idle:
            self.join(int(positions[0]) - 1)
        time, total = self._stretch.moment(int(positions[0]))
        self._stretch = Stretch(total, time, positions, times)

    def wait(
        self,
        predictions: Sequence[Prediction],
        positions: Ints,
        entry_ms: Ints,
        segments: Sequence[bytes] | None,
    ) -> None:
        """Store predictions that count for drift, of one pane and one day of entry time, to wait
        for their labels.

        Parameters
        ----------
        segments
            Packed segments of each prediction; None if no version has any.
        """
        day, pane = int(entry_ms[0]) // DAY_MS, self._state.position.closed + 1
        rows = self._that_wait(predictions)
        if not rows:
            return
        self._pending.forget(day, self._counts)
        room = max(0, self._policy.label_pending_max - self._pending.size)
        self._counts.full += max(0, len(rows) - room)
        chosen = [predictions[row] for row in rows[:room]]
        self._pending.day(day).predictions += len(chosen)
        self._state.changed.add(b"labels")
        digests = digests_of([one.id for one in chosen])
        parts = [b""] * len(chosen) if segments is None else [segments[row] for row in rows[:room]]
        waiting = [
            Waiting(pane, one.version, one.time, one.prediction, one.probabilities, None, part)  # type: ignore[arg-type]  # none is None
            for one, part in zip(chosen, parts, strict=True)
        ]
        pairs = zip(digests, waiting, strict=True)
        if not self._touched and not self._pending.early:
            self._pending.put_all(day, pairs)
            return
        for row, (digest, one) in zip(rows, pairs, strict=False):
            if digest in self._touched or digest in self._pending.early:
                self._arrivals.append(Arrival(int(positions[row]), int(entry_ms[row]), digest, one))
            else:
                self._pending.put(day, digest, one)

    def _that_wait(self, predictions: Sequence[Prediction]) -> list[int]:
        """Return the rows of versions with labels that have a prediction and count for drift."""
        names = {prediction.version for prediction in predictions}
        sources = {
            name: self._versions[name].sources
            for name in names
            if self._versions[name].layout is not None
        }
        return [
            row
            for row, one in enumerate(predictions)
            if one.prediction is not None and one.source in sources.get(one.version, ())
        ]

    def pass_time(self, now: int) -> None:
        """Note the logical time (ms) to which a tick advanced."""
        self._stretch = Stretch(self._state.counters.events, now)

    # -- labels ------------------------------------------------------------------------------------

    @property
    def _idle(self) -> bool:
        return self._next == len(self._labels) and self._arrived == len(self._arrivals)

    def join(self, until: int) -> None:
        """Process labels, and predictions with a label in or before this batch, up to a position in
        the batch.
        """
        while not self._idle:
            arrival = self._arrivals[self._arrived] if self._arrived < len(self._arrivals) else None
            comes = arrival is not None and arrival.position <= until
            before = arrival.position if arrival is not None and comes else until + 1
            stop = bisect_left(self._positions, before, self._next)
            if stop > self._next:
                self._take(self._next, stop)
                self._next = stop
            elif arrival is not None and comes:
                self._arrived += 1
                self._arrive(arrival)
            else:
                return

    def revise(self, position: int, entry_ms: int, *, all_of_them: bool = False) -> None:
        """Write the joined rows for judging if they are due."""
        closed, revisions = self._state.position.closed, self._state.revisions
        if not (all_of_them or revisions.due(closed, entry_ms)):
            return
        fresh = revisions.first_labels(closed) if self._watches else []
        revised = revisions.take(closed, entry_ms, self._versions)
        if revised:
            self._state.changed.add(b"labels")
            time, total = self._stretch.moment(position)
            self._write(Delta(self._policy.partition, time, total, revisions.number, revised))
            for alarm in detect_errors(
                self._state, self._policy, self._versions, fresh, Moment(time, total)
            ):
                self._write(alarm)

    def _arrive(self, arrival: Arrival) -> None:
        day = arrival.entry_ms // DAY_MS
        self._pending.put(day, arrival.digest, arrival.waiting)
        early = self._pending.release(arrival.digest)
        if early is not None:
            self._first(day, arrival.digest, arrival.waiting, early, arrival.entry_ms)
            self.revise(arrival.position, arrival.entry_ms)

    def _take(self, start: int, stop: int) -> None:
        """Take some labels, in their order."""
        pending, revisions = self._pending, self._state.revisions
        closed = self._state.position.closed
        self._state.changed.add(b"labels")
        today, layers = -1, list[tuple[int, Mapping[bytes, Waiting]]]()
        for place in range(start, stop):
            label, digest, now = self._labels[place], self._digests[place], self._entry_ms[place]
            if now // DAY_MS != today:
                today = now // DAY_MS
                pending.forget(today, self._counts)
                layers = pending.layers(today)
            for day, known in layers:
                waiting = known.get(digest)
                if waiting is None:
                    continue
                if waiting.label is None:
                    self._first(day, digest, waiting, label, now)
                else:
                    self._again(day, digest, waiting, label.label, now)
                break
            else:
                self._hold(digest, label, today)
            if revisions.due(closed, now):
                self.revise(self._positions[place], now)

    def _first(
        self, day: int, digest: bytes, waiting: Waiting, label: Label | Early, now: int
    ) -> None:
        """Join the first label of a prediction."""
        if not self._fits(waiting, label.label):
            self._counts.unfit += 1
            return
        self._counts.joined += 1
        self._pending.label(day, digest, waiting, label.label)
        self._state.revisions.join(digest, waiting, label.label, label.time, now)

    def _again(self, day: int, digest: bytes, waiting: Waiting, label: Truth, now: int) -> None:
        """Take a further label of a prediction."""
        if label == waiting.label:
            self._counts.repeated += 1
        elif not self._fits(waiting, label):
            self._counts.unfit += 1
        else:
            self._counts.corrected += 1
            self._state.revisions.correct(digest, waiting, label, now)
            self._pending.put(day, digest, waiting.labelled(label))

    def _hold(self, digest: bytes, label: Label, day: int) -> None:
        """Keep a label whose prediction has not arrived."""
        early = self._pending.early.get(digest)
        if early is not None and early.label == label.label:
            self._counts.repeated += 1
        elif early is not None:
            self._counts.corrected += 1
            self._pending.hold(digest, Early(label.label, label.time, early.day))
        elif is_expired(label.id, self._pending.oldest(day)):
            self._counts.expired += 1
        elif len(self._pending.early) >= min(EARLY_MOST, self._policy.label_pending_max):
            self._counts.refused += 1
        else:
            self._pending.hold(digest, Early(label.label, label.time, day))

    def _fits(self, waiting: Waiting, label: Truth) -> bool:
        """Return whether a label is of the kind that the prediction's version predicts."""
        return self._textual.get(waiting.version) is isinstance(label, str)
