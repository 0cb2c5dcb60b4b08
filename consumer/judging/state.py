"""The state of judging one model, and its form in the checkpoint: one hash field per part.

state               offsets, traffic and totals per partition, what was last reported
incident:ID         an incident that is open, or closed and remembered for its cooldown
alert:FINGERPRINT   an alert that is pending or firing, or closed and remembered for its cooldown or silence
pane:VERSION:P:N    a pane of a version's window
span:VERSION:P:N    a span of a version's labelled window
labelday:VERSION:DAY  a day of a version with the sums of its labels (labelled_days.py)
    failures:VERSION    the latest attempts of a version, and which failed (failures.py)
held:P:N-S          a pane or delta, by its entry, that was read and waits for the other partitions
history:VERSION     the PSI of its columns over the last days, in few points (history.py)
metric:VERSION      its first metric over the last day, in the same form
policy:N            a policy of the file, and from which place of the log on it is in force (stated.py)
week:VERSION        how far the whole days of a version with ordered columns are known (week.py)
day:VERSION:DAY     the sum of such a day's panes
"""  # noqa: E501  a table, or what an example prints

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.incidents.state import IncidentState
from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.consumer.judging.ordered.week import (
    DAY_MS,
    VersionDays,
    WeekProgress,
    WeekReference,
    pack_day,
    unpack_days,
)
from driftgauge.consumer.judging.stated import POLICIES_REMEMBERED, PolicyChange, Proposal
from driftgauge.consumer.judging.windows.failures import Attempts, FailureWindow
from driftgauge.consumer.judging.windows.history import History
from driftgauge.consumer.judging.windows.labelled import LabelledWindow, Span
from driftgauge.consumer.judging.windows.labelled_days import LabelledDay, LabelledDays
from driftgauge.consumer.judging.windows.merge import Merge
from driftgauge.consumer.judging.windows.window import VersionWindow, WindowPane
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract import pane as panes_of_log
from driftgauge.shared.contract.alerts import snapshot_id
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.pane import (
    Alarm,
    Delta,
    NewReference,
    Pane,
    PaneEntry,
    unpack_counts,
)
from driftgauge.shared.reference.history import reference_key

ALARMS_RECORDED = 1000
VERSIONS_REMEMBERED = 100
CHANGES_REMEMBERED = 20


class Reported(msgspec.Struct):
    """Time of a version's last snapshot report: logical time (ms), and the model's events."""

    time: int
    events: int


class JudgedBy(msgspec.Struct):
    """The reference that a version is judged by.

    Parameters
    ----------
    change, number
        The change that brought it, and its number.
    seen
        Latest change that each partition has reached: until then its alarms are about the previous
        reference.
    past
        Latest changes in order, for a backtest of times whose panes are deleted.
    """

    change: int = 0
    number: int = 0
    seen: dict[int, int] = {}
    past: list[NewReference] = []


class Judged(NamedTuple):
    """An entry that was judged: its id, what it holds, and who wrote it, empty if unknown."""

    id: str
    entry: bytes
    writer: bytes = b""


class Progress(msgspec.Struct):
    """Offsets, counters and times of the state.

    Parameters
    ----------
    offsets
        Id of the last panes entry judged, per partition.
    totals
        Events counted, per partition.
    events_per_day
        Measured traffic, per partition; None until it is known.
    reported
        Last snapshot report of each version.
    watermarks
        Logical time (ms) reached, per partition (see merge.py).
    waiting
        Number of panes and label deltas per partition that were read and wait for other partitions.
    judged
        Number of panes judged.
    alarms
        (partition, entry id, number of panes judged before it) of the latest alarms and new
        references of a model with several partitions: these bypass the merge, so their order of
        judging must be stored.
    now
        Logical time (ms) of the last judged entry.
    first_seen
        Logical time (ms) of the first pane or alarm of the latest versions.
    last_rows
        The model's events at each version's latest pane, while it has a window.
    commands
        Id of the last command applied.
    commands_refused
        Commands that could not be applied.
    dead
        Entries of the panes that went to the dead letters, since judging fails on them.
    unjudged
        Number of labels of each version since its performance was judged.
    labels_too_late
        Number of labels whose day was not kept any more.
    rolled_back, rolled_back_at
        Number of times that a partition's panes went back to a number that was judged before, and
        the offset at which they did last, until they were seen there again.
    marks
        CRC-32 of the entry at each partition's offset, as it was read.
    writers
        Who wrote it, where that is known.
    references
        Reference that a version is judged by, if it ever was another than the registered one.
    """

    offsets: dict[int, str] = {}
    totals: dict[int, int] = {}
    events_per_day: dict[int, float | None] = {}
    reported: dict[str, Reported] = {}
    watermarks: dict[int, int | None] = {}
    waiting: dict[int, int] = {}
    judged: int = 0
    alarms: list[tuple[int, str, int]] = []
    now: int = 0
    first_seen: dict[str, int] = {}
    last_rows: dict[str, int] = {}
    commands: str = BEGINNING
    commands_refused: int = 0
    dead: int = 0
    unjudged: dict[str, int] = {}
    labels_too_late: int = 0
    rolled_back: dict[int, int] = {}
    rolled_back_at: dict[int, str] = {}
    marks: dict[int, int] = {}
    writers: dict[int, str] | msgspec.UnsetType = msgspec.UNSET
    references: dict[str, JudgedBy] = {}

    @property
    def events(self) -> int:
        """Number of the model's events."""
        return sum(self.totals.values())

    def model_events_per_day(self, expected: float) -> float:
        """Return the model's traffic (events per day); the expected one until every partition has
        measured its own.
        """
        rates = [rate for rate in self.events_per_day.values() if rate is not None]
        return sum(rates) if rates and len(rates) == len(self.events_per_day) else expected

    def mark(self, partition: int, entry: bytes, writer: bytes = b"") -> None:
        """Remember what the entry at a partition's offset holds, and who wrote it."""
        self.marks[partition] = crc32(entry)
        writers = dict(self.writers or {})
        writers.pop(partition, None)
        if writer:
            writers[partition] = writer.decode(errors="replace")
        self.writers = writers or msgspec.UNSET

    def note_end(self, partition: int, last_id: str, judged: Judged | None = None) -> bool:
        """Compare a partition's offset with its panes; return True once each time they went back.

        A shard that failed over to an older replica counts again from there. The panes that it
        writes again have numbers that were judged before: nothing is judged twice, and judging
        continues after the offset. If they are as many as before by now, the one at the offset
        was written by another, or is another one, than what was read; from then on it is the one
        that is expected there, so that panes that go back once more are noticed although nothing
        was judged in between.

        Parameters
        ----------
        last_id
            Id of the partition's last entry.
        judged
            The last entry up to the offset; None if it is kept no more.
        """
        offset = self.offsets.get(partition, BEGINNING)
        fewer = EntryId.parse(last_id) < EntryId.parse(offset)
        known = self.rolled_back_at.get(partition) == offset
        back = (fewer or self._is_another(partition, offset, judged)) and not known
        if back:
            self.rolled_back[partition] = self.rolled_back.get(partition, 0) + 1
            self.rolled_back_at[partition] = offset
        if (back or known) and judged is not None and judged.id == offset:
            self.mark(partition, judged.entry, judged.writer)
            del self.rolled_back_at[partition]
        return back

    def _is_another(self, partition: int, offset: str, judged: Judged | None) -> bool:
        if judged is None or partition not in self.marks:
            return False
        if (judged.id, crc32(judged.entry)) != (offset, self.marks[partition]):
            return True
        known = (self.writers or {}).get(partition)  # unset: an earlier release judged it
        return known is not None and known != judged.writer.decode(errors="replace")

    def is_new(self, partition: int, entry_id: str) -> bool:
        """Return whether an entry comes after the offset."""
        return EntryId.parse(entry_id) > EntryId.parse(self.offsets.get(partition, BEGINNING))

    def see(self, version: str, now: int) -> None:
        """Note that a version is in use; the oldest of many are forgotten."""
        self.now = max(self.now, now)
        if version not in self.first_seen:
            kept = list(self.first_seen.items())[1 - VERSIONS_REMEMBERED :]
            self.first_seen = {**dict(kept), version: now}

    def record(self, entry: Alarm | NewReference, entry_id: str) -> None:
        """Record after how many panes an entry was judged."""
        self.alarms = [
            *self.alarms[1 - ALARMS_RECORDED :],
            (entry.partition, entry_id, self.judged),
        ]

    def reference_key(self, version: str) -> str:
        """Return the `reference_key` of a version with the reference that it is judged by."""
        known = self.references.get(version)
        return reference_key(version, known.number) if known is not None else version

    def note_change(self, entry: NewReference) -> bool:
        """Note a change of reference; return whether it is new. Every partition has it, and the
        first one applies it.
        """
        known = self.references.setdefault(entry.version, JudgedBy())
        known.seen[entry.partition] = max(entry.change, known.seen.get(entry.partition, 0))
        if entry.change <= known.change:
            return False
        known.change, known.number = entry.change, entry.number
        known.past = [*known.past[1 - CHANGES_REMEMBERED :], entry]
        return True

    def is_outdated(self, alarm: Alarm) -> bool:
        """Return whether an alarm is about another reference than the one that its version is
        judged by now.
        """
        known = self.references.get(alarm.version)
        return known is not None and known.seen.get(alarm.partition, 0) < known.change


OF_VERSIONS: Final = (b"pane:", b"span:", b"failures:")
"""Beginnings of the fields whose versions must be known to read the checkpoint."""


@dataclass(slots=True)
class JudgingState:
    """Everything that judging one model knows. `advance` owns it; `changed` names the fields to
    commit.
    """

    progress: Progress = field(default_factory=Progress)
    windows: dict[str, VersionWindow] = field(default_factory=dict)
    alerts: dict[str, AlertState] = field(default_factory=dict)
    incidents: dict[str, IncidentState] = field(default_factory=dict)
    merge: Merge = field(default_factory=Merge)
    labelled: dict[str, LabelledWindow] = field(default_factory=dict)
    labelled_days: dict[str, LabelledDays] = field(default_factory=dict)
    held: dict[int, deque[bytes]] = field(default_factory=dict)
    """Names of the checkpoint fields of the entries that wait in the merge, per partition, in
    order.
    """
    days: dict[str, VersionDays] = field(default_factory=dict)
    histories: dict[str, History] = field(default_factory=dict)
    metrics: dict[str, History] = field(default_factory=dict)
    failures: dict[str, FailureWindow] = field(default_factory=dict)
    """Latest attempts of each version, which may have failed."""
    policies: list[PolicyChange] = field(default_factory=list)
    """The latest policies that were taken up, in order; the last one is in force."""
    changed: dict[bytes, bytes | Callable[[], bytes]] = field(default_factory=dict)
    """Fields to write, or functions that pack them at the end of a step, so that only the last
    state is packed. An empty value deletes the field.
    """

    def report_of(self, model: str, version: str) -> str:
        """Return the id of a version's latest snapshot report; empty if it has none."""
        last = self.progress.reported.get(version)
        return "" if last is None else snapshot_id(model, version, last.events)

    def alerts_of(self, version: str) -> list[AlertState]:
        """Return the open alerts of a version in a fixed order, whatever the order in the
        checkpoint.
        """
        found = [
            alert for alert in self.alerts.values() if alert.version == version and alert.is_open
        ]
        return sorted(found, key=lambda alert: (alert.started, alert.fingerprint))

    def keep_pane(self, version: str, pane: WindowPane) -> None:
        self.changed[f"pane:{version}:{pane.key}".encode()] = lambda: msgspec.msgpack.encode(pane)

    def drop_pane(self, version: str, pane: WindowPane) -> None:
        self.changed[f"pane:{version}:{pane.key}".encode()] = b""

    def keep_attempts(self, version: str, attempts: Attempts, *, least: int, days: int) -> None:
        """Add the attempts of a pane to those of a version."""
        window = self.failures.setdefault(version, FailureWindow())
        window.add(attempts, least=least, days=days)
        self.changed[f"failures:{version}".encode()] = window.pack

    def keep_psi(self, version: str, now: int, psi: Floats, oldest: int) -> None:
        """Store an evaluation's PSI of all columns."""
        history = self.histories.setdefault(version, History())
        history.add(now, psi, oldest)
        self.changed[f"history:{version}".encode()] = lambda: msgspec.msgpack.encode(history)

    def keep_metric(self, version: str, now: int, value: float, oldest: int) -> None:
        """Store the first metric of an evaluation."""
        history = self.metrics.setdefault(version, History())
        history.add(now, np.array([value]), oldest)
        self.changed[f"metric:{version}".encode()] = lambda: msgspec.msgpack.encode(history)

    def drop_histories(self, version: str) -> None:
        """Forget a version's numbers over time."""
        for name, known in (("history", self.histories), ("metric", self.metrics)):
            if known.pop(version, None) is not None:
                self.changed[f"{name}:{version}".encode()] = b""

    def keep_span(self, version: str, span: Span) -> None:
        self.changed[f"span:{version}:{span.key}".encode()] = lambda: msgspec.msgpack.encode(span)

    def drop_span(self, version: str, span: Span) -> None:
        self.changed[f"span:{version}:{span.key}".encode()] = b""

    def keep_labelled_day(self, version: str, day: LabelledDay) -> None:
        name = f"labelday:{version}:{day.day}".encode()
        days = self.labelled_days[version]
        self.changed[name] = lambda: days.packed(day)

    def forget_falls(self, subject: str) -> None:
        """Forget on which past days a subject was bad (`LabelledDay.bad`)."""
        for version, days in self.labelled_days.items():
            for day in days.days.values():
                if subject in day.bad:
                    del day.bad[subject]
                    day.told.pop(subject, None)
                    self.keep_labelled_day(version, day)

    def trim_labelled_days(self, version: str, now: int, days: int) -> None:
        """Drop the days of a version that are too old for labels."""
        for day in self.labelled_days[version].trim(now, days):
            self.changed[f"labelday:{version}:{day}".encode()] = b""

    def drop_labelled(self, version: str) -> None:
        """Forget a version's labelled window and days."""
        for day in self.labelled_days.pop(version, LabelledDays()).days:
            self.changed[f"labelday:{version}:{day}".encode()] = b""
        for spans in self.labelled.pop(version).spans.values():
            for span in spans:
                self.drop_span(version, span)
        self.progress.unjudged.pop(version, None)

    def hold(self, entry: Pane | Delta, entry_id: str) -> None:
        name = f"held:{entry.partition}:{entry_id}".encode()
        self.held.setdefault(entry.partition, deque()).append(name)
        self.changed[name] = panes_of_log.encode(entry)

    def let_go(self, entry: Pane | Delta) -> None:
        """Forget the first entry of its partition that waits in the merge."""
        self.changed[self.held[entry.partition].popleft()] = b""

    def count_day(self, version: str, reference: WeekReference | None, pane: WindowPane) -> None:
        """Add a pane to its day, for a version with ordered columns; days that are not needed any
        more are dropped.
        """
        if reference is None:
            return
        day = pane.start // DAY_MS
        known = self.days.setdefault(version, VersionDays(WeekProgress(day, day)))
        dropped = known.add(day, reference.bins.count(unpack_counts(pane.cells)))
        self.changed |= {f"day:{version}:{old}".encode(): b"" for old in dropped}
        if day in known.days:
            counts = known.days[day]
            self.changed[f"day:{version}:{day}".encode()] = lambda: pack_day(counts)
        self.keep_week(version)
        if known.due:
            for other in [
                name for name, days in self.days.items() if days.progress.today < day - WEEK
            ]:
                self._drop_days(other)

    def keep_week(self, version: str) -> None:
        progress = self.days[version].progress
        self.changed[f"week:{version}".encode()] = lambda: msgspec.json.encode(progress)

    def _drop_days(self, version: str) -> None:
        """Forget the days of a version that had no event for a week."""
        known = self.days.pop(version)
        self.changed |= {f"day:{version}:{day}".encode(): b"" for day in known.days}
        self.changed[f"week:{version}".encode()] = b""

    def keep_alert(self, alert: AlertState) -> None:
        self.alerts[alert.fingerprint] = alert
        self.changed[f"alert:{alert.fingerprint}".encode()] = lambda: msgspec.json.encode(alert)

    def forget_alerts(self, now: int) -> None:
        """Forget the closed alerts whose cooldown and silence are over."""
        over = [
            alert
            for alert in self.alerts.values()
            if not alert.is_open and not alert.is_remembered(now)
        ]
        for alert in over:
            self.drop_alert(alert.fingerprint)

    def drop_alert(self, fingerprint: str) -> None:
        del self.alerts[fingerprint]
        self.changed[f"alert:{fingerprint}".encode()] = b""

    def yields_to(self, proposal: Proposal) -> bool:
        """Return whether a proposed policy is to be taken up: it is the first one, or newer."""
        return not self.policies or self.policies[-1].yields_to(proposal)

    def keep_policy(self, change: PolicyChange) -> None:
        """Store a policy that is in force from here on; the oldest of many is forgotten."""
        known = [*self.policies, change]
        self.changed[f"policy:{change.number}".encode()] = msgspec.json.encode(change)
        for old in known[:-POLICIES_REMEMBERED]:
            self.changed[f"policy:{old.number}".encode()] = b""
        self.policies = known[-POLICIES_REMEMBERED:]

    def keep_incident(self, incident: IncidentState) -> None:
        """Store an incident."""
        self.incidents[incident.id] = incident
        self.changed[f"incident:{incident.id}".encode()] = lambda: msgspec.json.encode(incident)

    def forget_incidents(self, before: int) -> None:
        """Forget the incidents that ended before a logical time (ms), but none whose end is still
        to be told.
        """
        over = [
            one
            for one in self.incidents.values()
            if one.ended is not None and one.ended < before and not one.is_told
        ]
        for incident in over:
            del self.incidents[incident.id]
            self.changed[f"incident:{incident.id}".encode()] = b""

    def read(self, packed: bytes, *, incident: bool) -> None:
        """Read an alert or an incident of a checkpoint."""
        if incident:
            found = msgspec.json.decode(packed, type=IncidentState)
            self.incidents[found.id] = found
        else:
            alert = msgspec.json.decode(packed, type=AlertState)
            self.alerts[alert.fingerprint] = alert

    def pack_changed(self) -> dict[bytes, bytes]:
        """Return the fields that changed since the last call; an empty value deletes one."""
        self.progress.watermarks = self.merge.watermarks
        self.progress.waiting = {
            partition: len(held) for partition, held in self.merge.held.items() if held
        }
        packed = {
            name: found if isinstance(found, bytes) else found()
            for name, found in self.changed.items()
        }
        packed[b"state"] = msgspec.json.encode(self.progress)
        self.changed = {}
        return packed

    @classmethod
    def unpack(cls, fields: Mapping[bytes, bytes], sizes: Mapping[str, int]) -> "JudgingState":
        """Read a checkpoint's fields; `sizes` is the number of cells of every version that
        `versions_of` names.
        """
        state = cls(days=unpack_days(fields))
        panes: dict[str, list[WindowPane]] = defaultdict(list)
        spans: dict[str, list[Span]] = defaultdict(list)
        days: dict[str, list[LabelledDay]] = defaultdict(list)
        over_time = {b"history": state.histories, b"metric": state.metrics}
        for name, packed in fields.items():
            kind, _, rest = name.partition(b":")
            if kind == b"state":
                state.progress = msgspec.json.decode(packed, type=Progress)
            elif kind in {b"alert", b"incident"}:
                state.read(packed, incident=kind == b"incident")
            elif kind == b"span":
                spans[rest.decode().split(":")[0]].append(msgspec.msgpack.decode(packed, type=Span))
            elif kind == b"labelday":
                days[rest.decode().split(":")[0]].append(
                    msgspec.msgpack.decode(packed, type=LabelledDay)
                )
            elif kind in over_time:
                over_time[kind][rest.decode()] = msgspec.msgpack.decode(packed, type=History)
            elif kind == b"pane":
                panes[rest.decode().split(":")[0]].append(
                    msgspec.msgpack.decode(packed, type=WindowPane)
                )
        state.failures = failures_of(fields)
        state.policies = policies_of(fields)
        state.merge.watermarks = state.progress.watermarks
        for name, held in held_of(fields):
            state.merge.held.setdefault(held.partition, deque()).append(held)
            state.held.setdefault(held.partition, deque()).append(name)
        state.labelled_days = {version: LabelledDays.of(found) for version, found in days.items()}
        state.labelled = {version: LabelledWindow.of(found) for version, found in spans.items()}
        for version, found in panes.items():
            state.windows[version] = VersionWindow.of(sizes[version], found)
        return state


def failures_of(fields: Mapping[bytes, bytes]) -> dict[str, FailureWindow]:
    """Read the latest attempts of each version from a checkpoint's fields."""
    return {
        name.decode().partition(":")[2]: FailureWindow.unpack(packed)
        for name, packed in fields.items()
        if name.startswith(b"failures:")
    }


def policies_of(fields: Mapping[bytes, bytes]) -> list[PolicyChange]:
    """Read the policies of a checkpoint, in the order in which they were taken up."""
    found = [
        msgspec.json.decode(packed, type=PolicyChange)
        for name, packed in fields.items()
        if name.startswith(b"policy:")
    ]
    return sorted(found, key=lambda change: change.number)


def held_of(fields: Mapping[bytes, bytes]) -> list[tuple[bytes, Pane | Delta]]:
    """Read the waiting entries from a checkpoint's fields: field name and entry, in the order of
    each partition.
    """
    names = [name for name in fields if name.startswith(b"held:")]
    found = [(name, panes_of_log.decode(fields[name])) for name in sorted(names, key=_held_order)]
    return [(name, entry) for name, entry in found if isinstance(entry, (Pane, Delta))]


def _held_order(name: bytes) -> tuple[int, EntryId]:
    _, partition, entry_id = name.decode().split(":")
    return int(partition), EntryId.parse(entry_id)


def versions_of(fields: Mapping[bytes, bytes]) -> set[str]:
    """Return the versions that a checkpoint's panes belong to."""
    named = {name.decode().split(":")[1] for name in fields if name.startswith(OF_VERSIONS)}
    return named.union(*(versions_named(entry) for _, entry in held_of(fields)))


def versions_named(entry: PaneEntry) -> set[str]:
    """Return the versions that an entry is about."""
    if isinstance(entry, Pane):
        return set(entry.blocks)
    if isinstance(entry, Delta):
        return {revised.version for revised in entry.revised}
    return {entry.version} if isinstance(entry, Alarm | NewReference) else set()


def references_of(fields: Mapping[bytes, bytes]) -> set[tuple[str, int]]:
    """Return the versions that are judged by another reference than the registered one, and its
    number.
    """
    packed = fields.get(b"state")
    progress = Progress() if packed is None else msgspec.json.decode(packed, type=Progress)
    return {
        (version, known.number) for version, known in progress.references.items() if known.number
    }
