"""Judging one model: panes of all its partitions and people's commands in, alerts and snapshots
out, exactly once.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import redis
from redis.client import Pipeline

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.judging.advance import (
    advance,
    catch_up,
    policy_of,
    take_up,
)
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import (
    Judged,
    JudgingState,
    references_of,
    versions_named,
    versions_of,
)
from driftgauge.consumer.judging.stated import Proposal
from driftgauge.consumer.stages.attempts import DEAD_BYTES, LONGEST_REASON
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.stage import CommitClock, Pace, Stage, read_streams
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.connections.incidents import queue_incident
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.connections.streams import last_generated
from driftgauge.shared.contract import commands, pane
from driftgauge.shared.contract.alerts import ALERTS_KEPT, cloud_event
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import NO_PANE, NewReference, Pane, PaneEntry, Watermark
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.errors import BadData
from driftgauge.shared.losses import Setback
from driftgauge.shared.metrics.figures import Figures
from driftgauge.shared.otel.steps import ADVANCE, COMMIT, READ, step
from driftgauge.shared.reference.history import reference_key
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

SNAPSHOTS_KEPT = 1000
DEAD_PANES_KEPT = 1000


class Read(NamedTuple):
    """An entry of a partition's panes, as it was read."""

    partition: int
    id: str
    fields: Sequence[bytes]


class JudgingStage(Stage):
    """Judges one model.

    Parameters
    ----------
    client
        Redis client of the model's slot.
    policy
        Policy of the settings, without a file.
    proposed
        Returns what the policy file that is in force states of the model; None if there is none.
    keys
        Key names with the model's salts.
    readers
        On a cluster, a client for the panes of each partition; None if one XREAD reads them all.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        model: str,
        partitions: int,
        policy: JudgingPolicy,
        *,
        proposed: Callable[[], Proposal | None] = lambda: None,
        keys: Keys | None = None,
        readers: Sequence[redis.Redis] | None = None,
    ) -> None:
        keys = keys or Keys(settings.key_prefix)
        self.name = f"judging {model}"
        self.client = client
        self._settings = policy
        self._proposed = proposed
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            client,
            keys.judge(model),
            keys.judge_owner(model),
            keys.judge_epoch(model),
            self.lease_ms,
        )
        self._model = model
        self._streams = {keys.panes(model, partition): partition for partition in range(partitions)}
        self._commands = keys.commands(model)
        self._readers = readers
        self._dead = keys.judge_dead(model)
        self._alerts, self._snapshots, self._current, self._brief, self._figures = (
            keys.alerts(model),
            keys.snapshots(model),
            keys.current(model),
            keys.brief(model),
            keys.figures(model),
        )
        self._most = settings.metrics_features, settings.metrics_segments
        self._keys = keys
        self._published = PublishedVersions(client, keys, model)
        self._versions: dict[str, JudgedVersion] = {}
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)
        self._pace = Pace(settings.lease_ms)

    def load(self) -> None:
        self._pace.slow_down()
        keys = self._keys
        self.check_types(
            "stream",
            self._alerts,
            keys.incidents(self._model),
            self._snapshots,
            self._commands,
            self._dead,
        )
        for stream in self._streams:
            self.check_types("stream", stream, client=self._reader_of(stream))
        self.check_types(
            "hash", self._current, self._brief, self._figures, keys.open_incidents(self._model)
        )
        fields = self.checkpoint.load()
        with self.checkpoint.reading():
            versions, references = versions_of(fields), references_of(fields)
        self._learn(versions)
        self._published.require(versions, self.checkpoint.key)
        self._learn_references(references)
        sizes = {
            name: int(version.reference.offsets[-1]) for name, version in self._versions.items()
        }
        with self.checkpoint.reading():
            self._state = JudgingState.unpack(fields, sizes)
        self._clock.reset()
        self._note_ends()
        self._take_up()
        self._catch_up()

    def _note_ends(self) -> None:
        """Find partitions whose panes went back, and commit that at once."""
        progress = self._state.progress
        back = [
            (key, progress.offsets[place])
            for key, place in self._streams.items()
            if progress.note_end(place, self._last_id(key), self._judged_last(key))
        ]
        if not back:
            return
        log.error(
            "%s: panes went back to numbers judged before (a failover to an older replica?).",
            self.name,
        )
        now = server_ms(self.client)
        setbacks = [Setback(key, f"entry {at}", "an earlier one", now) for key, at in back]
        self.checkpoint.commit_setbacks(self._state.pack_changed(), setbacks)

    def _catch_up(self) -> None:
        """Group alerts that an earlier release left without an incident, and commit that at
        once.
        """
        alerts = self._state.alerts.values()
        self._learn({alert.version for alert in alerts if alert.state == "firing"})
        incidents = catch_up(self._state, self._model, self._versions, self.policy)
        if not incidents:
            return
        log.info("%s: %d incidents brought up to their alerts.", self.name, len(incidents))
        outputs = Outputs(incidents=incidents)
        self.checkpoint.commit(self._state.pack_changed(), lambda pipe: self._queue(pipe, outputs))

    @property
    def policy(self) -> JudgingPolicy:
        """The policy that is in force for the model."""
        return policy_of(self._state, self._settings)

    def _take_up(self) -> None:
        """Take up the policy of a newer file, and commit that at once: its place in the log is the
        last entry that was committed before.
        """
        proposal = self._proposed()
        if proposal is None or not self._state.yields_to(proposal):
            return
        self._learn({alert.version for alert in self._state.alerts.values()})
        outputs = take_up(self._state, self._model, self._versions, self._settings, proposal)
        self.checkpoint.commit(self._state.pack_changed(), lambda pipe: self._queue(pipe, outputs))
        self._clock.reset()
        change = self._state.policies[-1]
        log.info(
            "%s: policy %d, of %s (%s), is in force after pane %d.",
            self.name,
            change.number,
            change.origin.who,
            change.origin.digest,
            change.judged,
        )

    def _last_id(self, stream: str) -> str:
        return last_generated(self._reader_of(stream), stream)

    def _judged_last(self, stream: str) -> Judged | None:
        """Read the last entry up to the offset, if any was judged."""
        offset = self._state.progress.offsets.get(self._streams[stream])
        if offset is None:
            return None
        found: Any = self._reader_of(stream).xrevrange(stream, max=offset, count=1)
        return next(
            (
                Judged(name.decode(), fields.get(pane.FIELD, b""), fields.get(pane.WRITER, b""))
                for name, fields in found
            ),
            None,
        )

    @property
    def positions(self) -> Mapping[str, str]:
        """The people's commands, and the panes of the partitions that are read now."""
        progress = self._state.progress
        panes = {
            stream: progress.offsets.get(partition, BEGINNING)
            for stream, partition in self._streams.items()
            if not self._state.merge.is_full(partition)
        }
        return {self._commands: progress.commands, **panes}

    def turn(self) -> bool:
        self._learn_changes()
        self._take_up()
        with step(READ):
            found = self._read(self.positions)
        asked = [
            (entry_id.decode(), _field(fields, commands.FIELD))
            for stream, part in found
            if stream.decode() == self._commands
            for entry_id, fields in part
        ]
        entries = [
            Read(self._streams[name], entry_id.decode(), fields)
            for stream, part in found
            if (name := stream.decode()) != self._commands
            for entry_id, fields in part
        ]
        if entries or asked:
            for part in self.attempts.parts(entries) if entries else ([],):
                self._judge(part, asked)
                asked = []
        else:
            self.hold()
        return any(len(part) >= self._pace.entries for _, part in found)

    def _reader_of(self, stream: str) -> redis.Redis:
        if self._readers is None or stream not in self._streams:
            return self.client
        return self._readers[self._streams[stream]]

    def _read(self, positions: Mapping[str, str]) -> list[tuple[bytes, list[Entry]]]:
        """Read panes and commands with one XREAD; on a cluster with one for each slot."""
        if self._readers is None:
            return read_streams(self.client, positions, self._pace.entries)
        return [
            found
            for stream, offset in positions.items()
            for found in read_streams(self._reader_of(stream), {stream: offset}, self._pace.entries)
        ]

    def finish(self) -> None:
        """Do nothing, since every turn commits what it judged."""

    def id_of(self, entry: "Read") -> str:
        """Return the id of an entry with its partition, since panes of all partitions are
        numbered alike.
        """
        return f"{entry.partition} {entry.id}"

    def _judge(self, read: Sequence["Read"], asked: list[tuple[str, bytes | None]]) -> None:
        begun = time.monotonic()
        aside = self.attempts.aside(read) if read else None
        dead = [(read[0], f"judging fails on it: {aside}")] if aside is not None else []
        entries: list[tuple[str, PaneEntry]] = []
        reached = dict(self._state.progress.offsets)
        for one in read if aside is None else ():
            try:
                entries.append((one.id, _pane_of(one)))
            except UNREADABLE as error:  # passed over here, and a dead letter below
                _check_follows(one, reached.get(one.partition, BEGINNING))
                dead.append((one, f"it cannot be read: {error}"))
                entries.append((one.id, self._passed_over(one)))
            reached[one.partition] = one.id
        if aside is not None:
            entries.append((read[0].id, self._passed_over(read[0])))
        alerted = {alert.version for alert in self._state.alerts.values()} if asked else set[str]()
        named = {version for _, entry in entries for version in versions_named(entry)} | alerted
        self._learn(named)
        if not named <= self._versions.keys():  # panes wait while no version is published any more
            self._published.require_any()
        try:
            self._learn_references(
                {
                    (entry.version, entry.number)
                    for _, entry in entries
                    if isinstance(entry, NewReference)
                }
            )
        except BadData as error:  # the entry is to blame, so it is set aside after some attempts
            raise ValueError(str(error)) from error
        with step(ADVANCE):
            outputs = advance(self._state, entries, self._model, self._versions, self.policy, asked)
        progress = self._state.progress
        for one in {one.partition: one for one in read}.values():
            entry, writer = (_field(one.fields, name) or b"" for name in (pane.FIELD, pane.WRITER))
            progress.mark(one.partition, entry, writer)
        for reason in outputs.refused:
            log.warning("%s: refused: %s", self.name, reason)

        def queue(pipe: Pipeline) -> None:
            self._queue(pipe, outputs)
            for letter, reason in dead:
                self._queue_dead(pipe, letter, reason)

        with step(COMMIT):
            self.checkpoint.commit(self._state.pack_changed(), queue)
        self._clock.reset()
        self._pace.took(len(entries), time.monotonic() - begun)

    def _passed_over(self, entry: "Read") -> Watermark:
        """Return what is judged instead of an entry that is set aside: time and events stay as they
        are.
        """
        self._state.progress.dead += 1
        time_ms = self._state.merge.watermarks.get(entry.partition) or 0
        return Watermark(
            entry.partition, time_ms, self._state.progress.totals.get(entry.partition, 0)
        )

    def _queue_dead(self, pipe: Pipeline, entry: "Read", reason: str) -> None:
        letter: dict[Any, Any] = {
            "partition": entry.partition,
            "entry_id": entry.id,
            "reason": reason[:LONGEST_REASON],
            pane.FIELD: (_field(entry.fields, pane.FIELD) or b"")[:DEAD_BYTES],
        }
        pipe.xadd(self._dead, letter, maxlen=DEAD_PANES_KEPT, approximate=True)

    def _queue(self, pipe: Pipeline, outputs: Outputs) -> None:
        for alert in outputs.alerts:
            pipe.xadd(self._alerts, {"e": cloud_event(alert)}, maxlen=ALERTS_KEPT, approximate=True)
        for incident in outputs.incidents:
            queue_incident(pipe, self._keys, incident)
        for snapshot in outputs.snapshots:
            pipe.xadd(
                self._snapshots,
                {"e": cloud_event(snapshot)},
                maxlen=SNAPSHOTS_KEPT,
                approximate=True,
            )
        if outputs.current:
            current: dict[Any, Any] = {
                version: msgspec.json.encode(found) for version, found in outputs.current.items()
            }
            pipe.hset(self._current, mapping=current)
            brief: dict[Any, Any] = {
                version: msgspec.json.encode(Brief.of(found))
                for version, found in outputs.current.items()
            }
            pipe.hset(self._brief, mapping=brief)
        self._queue_figures(pipe, outputs)

    def _queue_figures(self, pipe: Pipeline, outputs: Outputs) -> None:
        """Queue what /metrics shows of the versions that are judged, and the end of the others."""
        figures: dict[Any, Any] = {
            version: msgspec.json.encode(Figures.of(found, *self._most))
            for version, found in outputs.current.items()
            if version not in outputs.ended
        }
        if figures:
            pipe.hset(self._figures, mapping=figures)
        if outputs.ended:
            pipe.hdel(self._figures, *sorted(outputs.ended))

    def _learn(self, names: set[str]) -> None:
        """Fetch versions that are not known yet."""
        for name, version in self._published.fetch(names - self._versions.keys()).items():
            self._versions[name] = JudgedVersion.of(version)

    def _learn_references(self, wanted: set[tuple[str, int]]) -> None:
        """Fetch accepted references that are not known yet; without one of them the stage cannot
        continue.
        """
        new = {pair for pair in wanted if reference_key(*pair) not in self._versions}
        self._published.require_references(new)
        for version, number in new:
            for name, found in self._published.references({(version, number)}).items():
                self._versions[name] = JudgedVersion.of(found, number)

    def _learn_changes(self) -> None:
        """Use calibrations that were published meanwhile."""
        for name, version in self._published.changed().items():
            if name in self._versions:
                self._versions[name] = JudgedVersion.of(version)


def _check_follows(read: Read, reached: str) -> None:
    """Check that an entry that cannot be read stands where panes stand: behind one that is far
    beyond, panes would not be judged. Counting moves what is no worker's away, at its next pane or
    tick.

    Raises
    ------
    BadData
        If Redis's clock made its id: panes never come so far.
    ValueError
        If it is beyond the next pane; after some attempts it is set aside all the same, since panes
        before it may have been deleted.
    """
    found = EntryId.parse(read.id).ms
    if found <= EntryId.parse(reached).ms + 1:
        return
    words = (
        f"An entry {read.id} of the panes of partition {read.partition}, which come to {reached}, "
        "cannot be read; counting moves it to its dead letters if no worker wrote it."
    )
    raise BadData(words) if found >= NO_PANE else ValueError(words)


def _pane_of(read: Read) -> PaneEntry:
    """Read an entry of the panes; one of `UNREADABLE` if it is none, or of another partition."""
    entry: PaneEntry = pane.decode(_field(read.fields, pane.FIELD) or b"")
    if entry.partition != read.partition:
        raise ValueError(f"it is of partition {entry.partition}, and stands in {read.partition}")
    if isinstance(entry, Pane) and (entry.number, 0) != EntryId.parse(read.id):
        raise ValueError(f"it is pane {entry.number}, and stands at {read.id}")
    return entry


def _field(fields: Sequence[bytes], name: bytes) -> bytes | None:
    return dict(zip(fields[::2], fields[1::2], strict=True)).get(name)
