"""Counting's one step: state and a batch of log entries in, changed state and outputs out.

`advance(a + b)` has the same result as `advance(a)` followed by `advance(b)`: every decision
depends on the position of an entry in the log, never on how the log was cut into batches. Each list
of the outputs has the same bytes in the same order, and so has each field of the checkpoint. There
is no order between the lists: each goes to a stream of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import compress, pairwise
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np

from driftgauge.consumer.counting.clock import DAY_MS, HOUR_MS
from driftgauge.consumer.counting.dedupe import Dedupe
from driftgauge.consumer.counting.detection import detect
from driftgauge.consumer.counting.entries.client_ids import CLIENT_ID
from driftgauge.consumer.counting.entries.columns import VERSION, Batch, DeadLetter, Failures
from driftgauge.consumer.counting.exchanges.pairing import Paired, Pairer
from driftgauge.consumer.counting.group import Group, segments_of
from driftgauge.consumer.counting.join import Joiner
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.consumer.counting.panes.rollups import mark
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState, InUse, Position
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.counters import VersionTraffic
from driftgauge.shared.contract.events import Failure, Prediction
from driftgauge.shared.contract.pane import (
    Alarm,
    NewReference,
    OddValues,
    PaneEntry,
    RollUp,
    Span,
    Watermark,
)
from driftgauge.shared.reference.history import ReferenceChange, reference_key

MIN_PANE_MS = 1000
ID, TIME = attrgetter("id"), attrgetter("time")
FORGOTTEN = (
    "it came so late that its client's ids are forgotten for want of room "
    "(DRIFTGAUGE_CLIENT_IDS_MAX): whether another try of it was counted is not known any more"
)


def unknown(version: str) -> str:
    """Say why entries of a version cannot be counted."""
    return f"version {version!r} was never published, or cannot be read, so its schema is unknown"


class Failing:
    """The failed predictions of a batch that are to be counted, in their order.

    Parameters
    ----------
    places
        Places of those that are.
    """

    def __init__(self, failures: Failures, places: Ints) -> None:
        self._failures = failures
        self._places = places.tolist()
        self._positions = failures.positions[places].tolist()
        self._next = 0

    def before(self, position: int) -> Iterator[tuple[Failure, int]]:
        """Yield those before a position in the batch that were not yet, with their entry times."""
        while self._next < len(self._places) and self._positions[self._next] < position:
            place = self._places[self._next]
            self._next += 1
            yield self._failures.events[place], int(self._failures.entry_ms[place])


@dataclass(slots=True)
class Outputs:
    """Outputs of a step: entries of the panes stream with their ids, roll-ups, dead letters,
    predictions to write to the log, and the places in the batch of the events that were not
    counted.
    """

    panes: list[tuple[int, int, PaneEntry]] = field(default_factory=list)
    rollups: list[tuple[Span, RollUp]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    paired: list[Paired] = field(default_factory=list)
    uncounted: list[int] = field(default_factory=list)

    @property
    def urgent(self) -> bool:
        """Whether there is an alarm, which is committed at once."""
        return any(isinstance(entry, Alarm) for _, _, entry in self.panes)

    def write(self, position: Position, entry: PaneEntry) -> None:
        """Write an entry that is not a pane after the last closed pane."""
        position.written += 1
        self.panes.append((position.closed, position.written, entry))


def advance(
    state: CountingState, batch: Batch, versions: Mapping[str, CellMap], policy: CountingPolicy
) -> Outputs:
    """Count a batch.

    Parameters
    ----------
    state
        State of the partition, changed in place. Discard it if the outputs could not be committed.
    batch
        Decoded entries, as `columns.read` returns them.
    versions
        Cell maps by `reference_key`: of all published versions among `batch.versions`, and of all
        references that the state or the batch's changes name.
    policy
        Policy of counting for the partition.
    """
    return _Step(state, batch, versions, policy).run()


class _Step:
    """One step over a batch, which is cut into runs of predictions between ticks, new references
    and logical midnights.
    """

    def __init__(
        self,
        state: CountingState,
        batch: Batch,
        versions: Mapping[str, CellMap],
        policy: CountingPolicy,
    ) -> None:
        self.state = state
        self.batch = batch
        self.versions = versions
        self.policy = policy
        self.outputs = Outputs()
        self._write = partial(self.outputs.write, state.position)
        # no method of the step itself: the joiner has it too, and what goes in circles, all entries
        # of the batch among it, would wait for the garbage collector
        self.changed = state.changed
        self.entry_ms = 0
        self.place = 0

    def run(self) -> Outputs:
        batch = self.batch
        fresh, labels, halves, failures = Dedupe(self.state, batch, self.policy.retire_ms).fresh()
        fresh = self._without_known_ids(self._usable(fresh))
        self._drop_unknown_changes()
        self._pair(halves)
        self.timed = np.delete(np.arange(len(batch.entries)), batch.failures.positions)
        failures = self._known_failures(failures)
        self.failing = Failing(batch.failures, failures)
        self._note_uncounted(
            batch.positions[fresh],
            batch.labels.positions[labels],
            batch.halves.positions[halves],
            batch.failures.positions[failures],
        )
        self.joiner = Joiner(
            self.state, batch.labels, labels, self.versions, self.policy, self._write
        )
        dead = sorted(batch.dead.items())
        self.outputs.dead += [letter for _, letter in dead]
        self.state.counters.dead += len(dead)
        start = 0
        for position in sorted((*batch.ticks, *batch.changes)):
            stop = int(np.searchsorted(batch.positions[fresh], position))
            self._count(fresh[start:stop])
            self._fail(position)
            if position in batch.changes:
                self._change_reference(position, batch.changes[position])
            else:
                self._tick(position)
            start = stop
        self._count(fresh[start:])
        self._fail(len(batch.entries))
        self.joiner.join(len(batch.entries))
        self._hold_time()
        ids = self.state.ids
        ids.forget(int(batch.all_ms[-1]), self.policy.retire_ms)
        self.state.position.id_hours = ids.first, ids.last
        self.changed |= {b"state", b"counters"}
        return self.outputs

    # -- what is counted ---------------------------------------------------------------------------

    def _usable(self, fresh: Ints) -> Ints:
        """Leave out predictions of unknown versions, and those that do not fit their schema: they
        become dead letters.
        """
        predictions = self.batch.predictions
        chosen = (
            predictions
            if len(fresh) == len(predictions)
            else [predictions[place] for place in fresh]
        )
        names = set(map(VERSION, chosen))
        checked = self.batch.checked
        if checked is not None and all(
            name in self.versions and self.versions[name].schema.kinds == checked for name in names
        ):
            return fresh
        usable = []
        for place, prediction in zip(fresh.tolist(), chosen, strict=True):
            fault = self._fault(prediction)
            if fault is None:
                usable.append(place)
            else:
                position = int(self.batch.positions[place])
                self.batch.dead[position] = DeadLetter(self.batch.entries[position], fault)
        return np.array(usable, dtype=np.int64)

    def _fault(self, prediction: Prediction) -> str | None:
        if prediction.version not in self.versions:
            return unknown(prediction.version)
        return self.versions[prediction.version].fault(prediction)

    def _known_failures(self, fresh: Ints) -> Ints:
        """Leave out failed predictions of unknown versions: they become dead letters."""
        failures = self.batch.failures
        known = []
        for place in fresh.tolist():
            version = failures.events[place].version
            if version in self.versions:
                known.append(place)
                continue
            position = int(failures.positions[place])
            self.batch.dead[position] = DeadLetter(self.batch.entries[position], unknown(version))
        return np.array(known, dtype=np.int64)

    def _note_uncounted(self, *counted: Ints) -> None:
        """Note the events that are repeated or cannot be used, for who keeps what was counted."""
        batch = self.batch
        others = [*batch.ticks, *batch.changes, *batch.voids]
        if sum(map(len, counted)) + len(others) < len(batch.entries):
            left = np.ones(len(batch.entries), dtype=bool)
            left[np.concatenate((*counted, np.array(others, dtype=np.int64)))] = False
            self.outputs.uncounted = np.flatnonzero(left).tolist()

    def _drop_unknown_changes(self) -> None:
        """Leave out changes to references that were never published: they become dead letters."""
        for position, change in list(self.batch.changes.items()):
            if reference_key(change.version, change.number) not in self.versions:
                reason = (
                    f"reference {change.number} of version {change.version!r} was never published, "
                    "or cannot be read"
                )
                self.batch.dead[position] = DeadLetter(self.batch.entries[position], reason)
                del self.batch.changes[position]

    def _without_known_ids(self, usable: Ints) -> Ints:
        """Leave out predictions that a client sent again under its own id. Ids that the API made
        cannot be sent again, so they are not looked up. An id of an hour that was forgotten makes a
        dead letter.
        """
        predictions, known = self.batch.predictions, 0
        if not any(map(CLIENT_ID, predictions)):
            return usable
        first = []
        for place in usable.tolist():
            found = self._claim(place) if predictions[place].client_id else "new"
            known += found == "known"
            if found == "new":
                first.append(place)
            elif found == "unknown":
                position = int(self.batch.positions[place])
                self.batch.dead[position] = DeadLetter(self.batch.entries[position], FORGOTTEN)
        self.state.counters.duplicates += known
        return np.array(first, dtype=np.int64)

    def _claim(self, place: int) -> Literal["new", "known", "unknown"]:
        """Claim the id of a prediction."""
        prediction, policy = self.batch.predictions[place], self.policy
        entry_ms = int(self.batch.entry_ms[place])
        return self.state.ids.claim(
            prediction.id, prediction.received, entry_ms, policy.retire_ms, policy.client_ids_max
        )

    def _pair(self, halves: Ints) -> None:
        """Make predictions of the halves that met; those that cannot wait become dead letters."""
        batch, pairer = self.batch, Pairer(self.state)
        self.outputs.paired, refused = pairer.pair(batch.halves, halves)
        for place, reason in refused.items():
            position = int(batch.halves.positions[place])
            batch.dead[position] = DeadLetter(batch.entries[position], reason)
        pairer.pass_time(int(batch.all_ms[-1]))

    # -- time --------------------------------------------------------------------------------------

    def _reach(self, place: int, entry_ms: int) -> None:
        """Note the position in the batch at which the next output is written; labels up to it are
        joined first.
        """
        self.joiner.join(place)
        self.place, self.entry_ms = place, int(entry_ms)

    def _tick(self, position: int) -> None:
        """Advance logical time without an event: a full or old pane closes, and a watermark tells
        judging the time.
        """
        state, now = self.state, self._pass_time(position)
        pane = state.pane
        if pane is not None and (pane.size >= self.policy.pane_events or self._old(pane, now)):
            self._close(now)
        self._roll_up(state.pane.start if state.pane is not None else now)
        self.joiner.revise(position, self.entry_ms, all_of_them=True)
        self._write(Watermark(self.policy.partition, now, state.counters.events))

    def _pass_time(self, position: int) -> int:
        """Advance logical time as entry time did, up to an entry that is not an event; return it
        (ms).
        """
        state, all_ms = self.state, self.batch.all_ms
        self._reach(position, all_ms[position])
        clock, pane = state.position.clock, state.pane
        clock.entry = self._passed_until(position)
        if not clock.logical and pane is not None:  # only failed predictions came so far
            clock.logical = pane.start
        now = clock.tick(self.entry_ms)
        self.joiner.pass_time(now)
        if (
            state.position.traffic.day is not None
        ):  # the first day begins with the first event, and is no whole day
            self._begin_day(now)
        return now

    def _change_reference(self, position: int, change: ReferenceChange) -> None:
        """Count a version by another reference from here on: its detectors start again, and judging
        gets an entry.

        A change that is already known, or older than the latest one, is ignored, since changes may
        be sent twice.
        """
        state, now = self.state, self._pass_time(position)
        references = state.position.references
        if change.change <= references.get(change.version, InUse()).change:
            return
        self._close(now)
        references[change.version] = InUse(change.change, change.number)
        for name, version in [key for key in state.detectors if key[1] == change.version]:
            del state.detectors[name, version]
            self.changed.add(f"detector:{name}:{version}".encode())
        self._write(
            NewReference(
                self.policy.partition,
                now,
                state.counters.events,
                change.version,
                change.change,
                change.number,
                change.who,
                change.reason,
                change.undo,
            )
        )

    def _cell_map(self, version: str) -> CellMap:
        """Return the cell map of a version with the reference that it is counted by."""
        return self.versions[self.state.position.reference_key(version)]

    def _count(self, places: Ints) -> None:
        """Count a run of predictions, by days of logical time and of entry time."""
        if not len(places):
            return
        predictions = self.batch.predictions
        if len(places) < len(predictions):
            predictions = [predictions[place] for place in places.tolist()]
        event_ms = np.fromiter(map(TIME, predictions), np.int64, count=len(predictions))
        positions, entry_ms = self.batch.positions[places], self.batch.entry_ms[places]
        before = self.state.position.clock.logical
        times = self.state.position.clock.advance(event_ms, entry_ms)
        turns = np.diff(times // DAY_MS) | np.diff(entry_ms // DAY_MS)
        cuts = [0, *(np.flatnonzero(turns) + 1).tolist(), len(places)]
        for first, last in pairwise(cuts):
            self._fail(int(positions[first]), int(times[first - 1]) if first else before)
            self._reach(int(positions[first]) - 1, entry_ms[first])
            self._begin_day(int(times[first]))
            part = slice(first, last)
            self._count_day(predictions[part], times[part], entry_ms[part], positions[part])

    def _begin_day(self, now: int) -> None:
        """Close the pane at a logical midnight, so that days are sums of panes, and update the
        measured traffic.
        """
        if not self.state.position.traffic.begin(now // DAY_MS):
            return
        if self.state.pane is not None:
            self._close((self.state.pane.start // DAY_MS + 1) * DAY_MS)

    # -- counts ------------------------------------------------------------------------------------

    def _count_day(
        self, predictions: list[Prediction], times: Ints, entry_ms: Ints, positions: Ints
    ) -> None:
        """Count predictions of one day: detectors see them, panes sum them up, labels are
        joined.
        """
        groups = self._groups(predictions)
        before = self.state.counters.events
        with_labels = any(group.cell_map.layout is not None for group in groups)
        segments = segments_of(groups, len(predictions)) if with_labels else None
        self.state.position.traffic.count += sum(int(group.counted.sum()) for group in groups)
        alarms = [alarm for group in groups for alarm in self._detect(group, times)]
        alarms.sort(key=lambda alarm: alarm.total)
        first = 0
        while first < len(predictions):
            if first:
                self._fail(int(positions[first]), int(times[first - 1]))
            last, closes = self._pane_end(times, first)
            self.joiner.enter(positions[first:last], times[first:last])
            if with_labels:
                own = segments[first:last] if segments is not None else None
                self.joiner.wait(
                    predictions[first:last], positions[first:last], entry_ms[first:last], own
                )
            due = [alarm for alarm in alarms if alarm.total - before <= last]
            told = [self._with_odd(alarm, groups, first, alarm.total - before) for alarm in due]
            del alarms[: len(due)]
            self._add(groups, first, last)
            self._fail(int(positions[last - 1]))
            for alarm in told:
                row = alarm.total - before - 1
                self._reach(int(positions[row]), entry_ms[row])
                self._alarm(alarm)
            if closes:
                self._reach(int(positions[last - 1]), entry_ms[last - 1])
                self._close(int(times[last - 1]))
            first = last

    def _groups(self, predictions: list[Prediction]) -> list[Group]:
        """Group predictions by version, and map each to its cells."""
        names = list(map(VERSION, predictions))
        if len(set(names)) == 1:
            return [
                Group.of(
                    names[0], self._cell_map(names[0]), predictions, np.arange(len(predictions))
                )
            ]
        groups = []
        for name in dict.fromkeys(names):
            rows = np.array([row for row, other in enumerate(names) if other == name])
            groups.append(
                Group.of(name, self._cell_map(name), [predictions[row] for row in rows], rows)
            )
        return groups

    def _detect(self, group: Group, times: Ints) -> Iterator[Alarm]:
        """Pass the rows that count for drift to the version's detectors."""
        rows = group.rows[group.counted]
        if not len(rows):
            return
        every = len(rows) == len(group.rows)
        cells = group.cells if every else group.cells[:, group.counted]
        marks = group.marks if every or group.marks is None else group.marks[:, group.counted]
        ids = list(
            map(
                ID,
                group.predictions if every else compress(group.predictions, group.counted),
            )
        )
        yield from detect(
            self.state,
            self.policy,
            group.version,
            group.cell_map,
            cells,
            ids,
            times[rows],
            self.state.counters.events + rows + 1,
            marks,
        )

    # -- failed predictions ------------------------------------------------------------------------

    def _passed_until(self, position: int) -> int:
        """Return the entry time (ms) of the last entry before a position that let time pass: any
        but a failed prediction.
        """
        clock, before = (
            self.state.position.clock,
            self.timed[: np.searchsorted(self.timed, position)],
        )
        if len(before):
            return int(self.batch.all_ms[before[-1]])
        return clock.held or clock.entry or (int(self.batch.all_ms[0]) if position else 0)

    def _hold_time(self) -> None:
        """Note the entry time of the last entry, and that of the last one that let time pass."""
        clock, last = self.state.position.clock, len(self.batch.entries)
        fails = not len(self.timed) or int(self.timed[-1]) < last - 1
        held = self._passed_until(last) if fails else 0
        clock.held, clock.entry = held, int(self.batch.all_ms[-1])

    def _fail(self, position: int, now: int | None = None) -> None:
        """Count the failed predictions before a position in the open pane.

        They let no time pass and close no pane: ticks do, which come while there are no
        predictions. Before the first event of all, a pane begins at the time of its first failure.

        Parameters
        ----------
        now
            Logical time (ms) there; that of the clock if None.
        """
        for failure, entry_ms in self.failing.before(position):
            pane = self.state.pane
            if pane is None:
                reached = self.state.position.clock.logical if now is None else now
                pane = self.state.pane = OpenPane(reached or min(failure.time, entry_ms))
            cells = self._cell_map(failure.version)
            pane.block(failure.version, cells.size, cells.segments).fail(failure.error)
            pane.failed += 1
            self.state.counters.failed += 1
            self.changed.add(b"pane")

    def _with_odd(self, alarm: Alarm, groups: list[Group], first: int, last: int) -> Alarm:
        """Add to an alarm the odd values of its column in the open pane, to which the rows from
        `first` to before `last` are to be added.
        """
        pane = self.state.pane
        assert pane is not None  # noqa: S101  _pane_end has opened it
        group = next(one for one in groups if one.version == alarm.version)
        column = next(
            place
            for place, reference in enumerate(group.cell_map.reference.columns)
            if reference.name == alarm.column
        )
        part = slice(*np.searchsorted(group.rows, (first, last)).tolist())
        known = pane.blocks[alarm.version].odd if alarm.version in pane.blocks else {}
        found = [known.get(column), group.odd.values(part, group.counted).get(column)]
        values = [one for one in found if one is not None]
        return (
            msgspec.structs.replace(alarm, odd=reduce(OddValues.then, values)) if values else alarm
        )

    # -- panes -------------------------------------------------------------------------------------

    def _old(self, pane: OpenPane, now: int) -> bool:
        return now - pane.start >= self.policy.pane_seconds * 1000

    def _pane_end(self, times: Ints, first: int) -> tuple[int, bool]:
        """Return the row after the open pane's last one, and whether the pane closes there."""
        pane = self.state.pane
        if pane is None:
            pane = self.state.pane = OpenPane(int(times[first]))
        full = first + max(self.policy.pane_events - pane.events, 1) - 1
        aged = first + int(np.searchsorted(times[first:], pane.start + MIN_PANE_MS))
        old = first + int(
            np.searchsorted(times[first:], pane.start + self.policy.pane_seconds * 1000)
        )
        last = min(max(full, aged), old)
        return (last + 1, True) if last < len(times) else (len(times), False)

    def _add(self, groups: list[Group], first: int, last: int) -> None:
        """Add rows to the open pane."""
        pane, counters = self.state.pane, self.state.counters
        assert pane is not None  # noqa: S101  _pane_end has opened it
        for group in groups:
            part = slice(*np.searchsorted(group.rows, (first, last)).tolist())
            rows = part.stop - part.start
            if not rows:
                continue
            told = group.add_to(
                pane.block(group.version, group.cell_map.size, group.cell_map.segments), part
            )
            told.add_to(counters.traffic.setdefault(group.version, VersionTraffic()))
            counters.versions[group.version] = counters.versions.get(group.version, 0) + rows
        pane.events += last - first
        counters.events += last - first
        self.changed.add(b"pane")

    def _close(self, end: int) -> None:
        """Close the open pane."""
        pane, position = self.state.pane, self.state.position
        if pane is None:
            return
        self.state.pane = None
        self.changed.add(b"pane")
        position.closed += 1
        position.written = 0
        mark(position.hours, self.entry_ms // HOUR_MS, position.closed)
        closed = pane.closed(
            self.policy.partition,
            position.closed,
            end,
            self.state.counters.events,
            position.traffic.per_day,
        )
        self.outputs.panes.append((position.closed, 0, closed))
        self.joiner.revise(self.place, self.entry_ms)
        self._roll_up(pane.start)
        self.state.rollups.take(closed, pane.blocks)

    def _roll_up(self, now: int) -> None:
        """Write the roll-ups of hours and days that are complete at a logical time (ms), before
        which no further pane starts.
        """
        self.outputs.rollups += self.state.rollups.complete(now, self.entry_ms)

    def _alarm(self, alarm: Alarm) -> None:
        """Write an alarm that was raised while the open pane was counted."""
        self._write(alarm)
        pane = self.state.pane
        assert pane is not None  # noqa: S101  its event was added to it
        self._roll_up(pane.start)
        self.state.rollups.note(alarm, pane.start, self.state.position.closed + 1)
