"""Counting one partition: entries of the log in, panes out, exactly once."""

import logging
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import redis
from redis.client import Pipeline

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.clock import FULL_PANE_TICK_S, HOUR_MS, IDLE_TICK_S
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.client_ids import KEPT_BYTES, unpack
from driftgauge.consumer.counting.entries.columns import DeadLetter
from driftgauge.consumer.counting.exchanges.pairing import Paired
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.panes.rollups import SPAN_MS, first_kept
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import (
    CountingState,
    references_of,
    versions_of,
)
from driftgauge.consumer.stages.attempts import DEAD_BYTES, LONGEST_REASON
from driftgauge.consumer.stages.checkpoint import SAFE_ADVICE, Checkpoint
from driftgauge.consumer.stages.reader import MOST_COUNT, LogReader
from driftgauge.consumer.stages.room import Readers, Room
from driftgauge.consumer.stages.stage import CommitClock, Pace, Stage
from driftgauge.consumer.stages.stores.exchanges import ExchangeStore
from driftgauge.consumer.stages.stores.pending import PendingStore
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.connections.streams import create_group, last_generated, set_back
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.entry_id import BEGINNING, FIRST, EntryId, exclusive
from driftgauge.shared.contract.events import (
    MONITOR_GROUP,
    PREDICTION,
    REFUSED,
    TICK,
    UNCOUNTED,
    encode,
)
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import NO_PANE, PaneEntry, RollUp, Span
from driftgauge.shared.errors import BadData, OwnershipLost
from driftgauge.shared.losses import Setback
from driftgauge.shared.otel.steps import ADVANCE, COMMIT, READ, current, step
from driftgauge.shared.reference.history import reference_key
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

LONGEST_IDLE_S = 600.0
"""Longest time (s) without entries after which time passes by a tick; IDLE_TICK_S is the least."""
PAUSE_PER_SILENCE, PAUSE_OF_ONE = 1.0, 4.0
"""Between them, the time to the next tick in multiples of the silence so far, so that a thousand
silent models cost nothing: where other partitions wait for this one's time, and where none does.
"""
STRANGERS_AT_ONCE = 100
"""Most foreign entries of the panes that are moved in one transaction."""
DEAD_LETTERS_KEPT = 10_000


class CountingStage(Stage):
    """Counts one partition of one model.

    Parameters
    ----------
    client
        Redis client of the partition's slot.
    keys
        Key names with the model's salts.
    published
        Published versions of the model, which are in another slot; None reads them by the stage's
        own client.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        model: str,
        policy: CountingPolicy,
        *,
        keys: Keys | None = None,
        published: PublishedVersions | None = None,
    ) -> None:
        keys, partition = keys or Keys(settings.key_prefix), policy.partition
        self.name = f"counting {model}.{partition}"
        self.client = client
        self.policy = policy
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            client,
            keys.count(model, partition),
            keys.owner(model, partition),
            keys.epoch(model, partition),
            self.lease_ms,
        )
        self._log = keys.log(model, partition)
        self._reader = LogReader(client, self._log)
        self._panes = keys.panes(model, partition)
        self._rollups: dict[Span, str] = {
            span: keys.rollups(model, partition, span) for span in SPAN_MS
        }
        self._dead = keys.dead(model, partition)
        self._uncounted = keys.uncounted(model, partition)
        self._ids = partial(keys.ids, model, partition)
        self._pending = PendingStore(client, keys, model, partition, policy.label_wait_days)
        self._exchanges = ExchangeStore(client, keys, model, partition)
        self._published = published or PublishedVersions(client, keys, model)
        self._cell_maps: dict[str, CellMap] = {}
        self._usual_version = ""
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, settings.commit_events)
        self._pace = Pace(settings.lease_ms, MOST_COUNT)
        self._retention_ms = int(settings.log_retention_hours * HOUR_MS)
        self._room = Room(self._log, settings.max_memory_share)
        archive_lag_ms = int(settings.archive_lag_hours * HOUR_MS)
        self._readers = Readers(
            client, self._log, None if settings.archive_url is None else archive_lag_ms
        )
        self._pane_hours = settings.pane_retention_hours
        self._rollup_days: dict[Span, int] = {
            "hour": settings.hour_retention_days,
            "day": settings.day_retention_days,
        }

    def load(self) -> None:
        streams = (self._log, self._panes, *self._rollups.values(), self._dead, self._uncounted)
        self.check_types("stream", *streams)
        self._pace.slow_down()
        fields = self.checkpoint.load()
        if not fields:
            self._begin_anew()
        offset = fields.pop(b"offset", BEGINNING.encode())
        with self.checkpoint.reading():
            EntryId.parse(offset)
            versions, references = versions_of(fields), references_of(fields)
        self._learn(versions)
        self._published.require(versions, self.checkpoint.key)
        self._learn_references(references)
        self._published.require_references(references)
        with self.checkpoint.reading():
            self._state = CountingState.unpack(fields, self._cell_maps)
        self._measure_ids()
        self._pending.load(self._state.pending, self._state.position.clock.entry)
        self._offset = offset
        self._panes_out: list[tuple[int, int, PaneEntry]] = []
        self._rollups_out: list[tuple[Span, RollUp]] = []
        self._dead_out: list[DeadLetter] = []
        self._paired_out: list[Paired] = []
        self._uncounted_out: list[bytes] = []
        self._clock.reset()
        self._last_event = self._last_entry = self._last_room = time.monotonic()
        self._silent_s, self._early = 0.0, 1.0
        self._last_pane = EntryId(self._state.position.closed, self._state.position.written)
        self._check_panes()
        self._prepare_log(offset)
        self._readers.begin()
        self._prepare_uncounted(offset)

    def _begin_anew(self) -> None:
        """Delete what stands beside a checkpoint that is gone: the log is counted again from its
        beginning, and by what an earlier count had left its events would be known.
        """
        entries: Any = self.client.xrange(self._log, count=1)
        if not entries:  # a new model, as a rule
            return
        now_ms = server_ms(self.client)
        first_ms = max(EntryId.parse(entries[0][0]).ms, now_ms - self.policy.retire_ms)
        oldest = max(0, (first_ms - self.policy.retire_ms) // HOUR_MS - 2)
        stale = [
            *map(self._ids, range(oldest, now_ms // HOUR_MS + 2)),
            *self._pending.keys_at(now_ms),
            *self._exchanges.keys_between(first_ms, now_ms),
        ]
        self.checkpoint.require_unchanged()
        self.client.unlink(*stale)

    def _check_panes(self) -> None:
        """Check that the panes go no further than the checkpoint; what others wrote behind them is
        moved away.

        Raises
        ------
        BadData
            If they do: counting anew beside them could not continue them.
        """
        self._clear_panes()
        last = EntryId.parse(last_generated(self.client, self._panes))
        if last > self._last_pane:
            self.checkpoint.require_unchanged()
        if last.ms >= NO_PANE:  # its entry was deleted by hand; only the stream's last id is left
            with self.client.pipeline(transaction=True) as pipe:
                set_back(pipe, self._panes, self._last_pane, self._stream_of_panes())
                pipe.execute()
        elif last > self._last_pane:
            raise self._ahead(last)

    def _clear_panes(self) -> None:
        """Move what others wrote behind our last pane to the dead letters: their ids would refuse
        ours.

        Raises
        ------
        BadData
            If it is panes.
        OwnershipLost
            If another worker has taken over since the checkpoint was read, and wrote them.
        """
        while True:
            found: Any = self.client.xrange(
                self._panes, exclusive(self._last_pane), count=STRANGERS_AT_ONCE
            )
            if not found:
                return
            self.checkpoint.require_unchanged()
            for entry_id, fields in found:
                if self._is_ours(entry_id, fields):
                    raise self._ahead(EntryId.parse(entry_id))
            told = self._stream_of_panes()
            with self.client.pipeline(transaction=True) as pipe:
                for entry_id, fields in found:
                    content = [part for pair in fields.items() for part in pair]
                    reason = "it stands behind the last pane, and no worker wrote it"
                    self._queue_dead(pipe, entry_id, reason, content)
                    pipe.xdel(self._panes, entry_id)
                if len(found) < STRANGERS_AT_ONCE:
                    set_back(pipe, self._panes, self._last_pane, told)
                pipe.execute()
            log.error(
                "%s: %d entries of %s are of no worker; they are in %s now",
                self.name,
                len(found),
                self._panes,
                self._dead,
            )

    def _stream_of_panes(self) -> Mapping[str, Any]:
        told: Any = self.client.xinfo_stream(self._panes)
        return dict(told)

    def _ahead(self, last: EntryId) -> BadData:
        return BadData(
            f"{self._panes} goes on to {last}, but its checkpoint {self.checkpoint.key} only to "
            f"{self._last_pane}: the checkpoint was deleted, or restored from an older copy. "
            f"{SAFE_ADVICE}"
        )

    def _is_ours(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> bool:
        try:
            entry = pane.decode(fields.get(pane.FIELD, b""))
        except UNREADABLE:
            return False
        number = entry.number if isinstance(entry, pane.Pane) else EntryId.parse(entry_id).ms
        return (entry.partition, number) == (self.policy.partition, EntryId.parse(entry_id).ms)

    def _measure_ids(self) -> None:
        """Count the clients' ids that are kept, by hour: they are loaded when they are needed."""
        ids, entry_ms = self._state.ids, self._state.position.clock.entry
        oldest = max(ids.first, (entry_ms - self.policy.retire_ms) // HOUR_MS - 1)
        hours = range(oldest, ids.last + 1)
        with self.client.pipeline(transaction=False) as pipe:
            for hour in hours:
                pipe.strlen(self._ids(hour))
            sizes = pipe.execute() if hours else []
        ids.restore(
            {hour: size // KEPT_BYTES for hour, size in zip(hours, sizes, strict=True) if size}
        )

    def _load_ids(self, batch: columns.Batch) -> None:
        """Load the clients' ids of the hours of a batch; usually they are there."""
        ids = self._state.ids
        for hour in ids.absent(batch.predictions, batch.entry_ms.tolist(), self.policy.retire_ms):
            packed: bytes | None = self.client.get(self._ids(hour))  # type: ignore[assignment]  # bytes, not str
            ids.hours[hour] = unpack(packed or b"")

    def _prepare_log(self, offset: bytes) -> None:
        """Create the consumer group that shows the offset. If the log went back to an older state,
        move its last id beyond the offset. A log that was read and has no group is another one:
        the former was deleted. A group that shows an offset where there is no checkpoint tells that
        the counts were deleted.
        """
        is_new = create_group(self.client, self._log, MONITOR_GROUP, offset.decode())
        is_counted = offset != BEGINNING.encode()
        if is_new and is_counted:
            self.checkpoint.note_setback(
                Setback(self._log, f"entry {offset.decode()}", "", server_ms(self.client))
            )
        elif not is_new and not is_counted:
            self._note_lost_counts()
        details: Any = self.client.xinfo_stream(self._log)
        last: bytes = details["last-generated-id"]
        if EntryId.parse(last) < EntryId.parse(offset):
            self.client.execute_command("XSETID", self._log, offset)
        elif last == offset != BEGINNING.encode():  # silent already, before this worker came
            silent_ms = server_ms(self.client) - EntryId.parse(last).ms
            self._silent_s = max(0, silent_ms) / 1000
            self._last_event -= self._silent_s
            self._early = random.uniform(0.5, 1.0)  # not with all others that load now

    def _note_lost_counts(self) -> None:
        """Note that the counts are gone if the log's group shows that it was counted: also where no
        worker remembers that.
        """
        groups: Any = self.client.xinfo_groups(self._log)
        reached = next(
            (one["last-delivered-id"] for one in groups if one["name"] == MONITOR_GROUP.encode()),
            BEGINNING.encode(),
        )
        if reached == BEGINNING.encode():
            return
        if not self.checkpoint.is_set_back:
            before = f"entry {reached.decode()} of its log"
            self.checkpoint.note_setback(
                Setback(self.checkpoint.key, before, "", server_ms(self.client))
            )
        self.checkpoint.require_unchanged()
        self.client.xgroup_setid(self._log, MONITOR_GROUP, BEGINNING)

    def _prepare_uncounted(self, offset: bytes) -> None:
        """Begin the stream of what is not counted: its first entry tells from where on it is whole,
        also where nothing is left out for long, or the log was counted before there was one. What
        goes beyond the offset is of counts that are gone.
        """
        begin = max(EntryId.parse(offset), FIRST)
        if EntryId.parse(last_generated(self.client, self._uncounted)) > begin:
            self.checkpoint.require_unchanged()
            self.client.unlink(self._uncounted)
        if not self.client.exists(self._uncounted):
            self.client.xadd(self._uncounted, {UNCOUNTED: b""}, id=str(begin))

    @property
    def positions(self) -> Mapping[str, str]:
        """The log, and the id of the last entry that was read."""
        return {self._log: self._offset.decode()}

    @property
    def reached_ms(self) -> int | None:
        """Entry time (ms) of the last entry that was read."""
        return EntryId.parse(self._offset).ms

    @property
    def due_at(self) -> float:
        """When the next commit or the next tick is due."""
        return min(self._clock.due_at, self._tick_at)

    def turn(self) -> bool:
        self._learn_changes()
        with step(READ):
            entries = self._reader.read(self._offset)
        for part in self._parts(entries):
            begun = time.monotonic()
            self._count(part)
            self._pace.took(len(part), time.monotonic() - begun)
            if self._clock.due or self.attempts.aside(part) is not None:
                self._commit()  # else the next failure would throw away what was set aside
        if time.monotonic() >= self._tick_at:
            self._tick()
        if self._clock.due or any(isinstance(entry, pane.Alarm) for _, _, entry in self._panes_out):
            self._commit()
        else:
            self.hold()
        return self._reader.more

    def rest(self) -> None:
        self._reader.rest()

    def finish(self) -> None:
        if self._clock.pending:
            self._commit()

    def _parts(self, entries: Sequence[columns.Entry]) -> Iterator[Sequence[columns.Entry]]:
        """Yield the entries in parts that are counted well within the lease, however many columns
        they have.
        """
        start = 0
        while start < len(entries):
            part = entries[start : start + self._pace.entries]
            yield from self.attempts.parts(part)
            start += len(part)

    def _count(self, entries: Sequence[columns.Entry]) -> None:
        usual, aside = self._cell_maps.get(self._usual_version), self.attempts.aside(entries)
        if aside is None:
            batch = columns.read(entries, usual.decoder if usual is not None else None)
        else:
            batch = columns.unusable(entries[0], f"counting fails on it: {aside}")
        if batch.predictions:
            self._usual_version = batch.predictions[-1].version
        changes = {(change.version, change.number) for change in batch.changes.values()}
        waiting = self._pending.fetch(self._state.pending, batch.labels.digests)
        self._exchanges.fetch(self._state.exchanges, batch.halves.digests)
        self._learn(batch.versions | waiting | {version for version, _ in changes})
        self._learn_references(changes)
        self._load_ids(batch)
        _link(batch)
        with step(ADVANCE):
            outputs = advance(self._state, batch, self._cell_maps, self.policy)
        self._panes_out += outputs.panes
        self._rollups_out += outputs.rollups
        self._dead_out += outputs.dead
        self._paired_out += outputs.paired
        self._uncounted_out += [entries[place][0] for place in outputs.uncounted]
        self._offset = entries[-1][0]
        self._clock.pending += len(entries)
        now = time.monotonic()
        others = (batch.labels, batch.halves, batch.failures)
        if batch.predictions or any(one.events for one in others):
            self._last_event, self._early = now, 1.0
        if batch.predictions or batch.ticks:  # labels alone let no time pass
            self._last_entry, self._silent_s = now, 0.0
        if not self._full or any(isinstance(entry, pane.Pane) for _, _, entry in outputs.panes):
            self._last_room = now

    def _learn(self, names: set[str]) -> None:
        """Fetch versions that are not known yet; the events of one that is not published are dead
        letters, unless the registration of the whole model is gone.
        """
        new = names - self._cell_maps.keys()
        found = self._published.fetch(new)
        if len(found) < len(new):
            self._published.require_any()
        for name, version in found.items():
            self._cell_maps[name] = CellMap.of(version)

    def _learn_references(self, wanted: set[tuple[str, int]]) -> None:
        """Fetch accepted references that are not known yet."""
        new = {pair for pair in wanted if reference_key(*pair) not in self._cell_maps}
        for name, version in self._published.references(new).items():
            self._cell_maps[name] = CellMap.of(version)

    def _learn_changes(self) -> None:
        """Use calibrations that were published meanwhile."""
        for name, version in self._published.changed().items():
            if name in self._cell_maps:
                self._cell_maps[name] = CellMap.of(version)

    @property
    def _full(self) -> bool:
        open_pane = self._state.pane
        return open_pane is not None and open_pane.size >= self.policy.pane_events

    @property
    def _tick_at(self) -> float:
        """When a tick is due, by the monotonic clock (s), so that clock jumps do not delay panes:
        when no entries come, when the open pane is old enough to close, or when a full one does not
        close because event time stands still.
        """
        alone = self.policy.partitions == 1
        counters = self._state.counters
        counted = counters.events or counters.failed or self._state.exchanges.size
        if not counted and (alone or self._state.position.clock.entry):
            return math.inf  # nobody waits for a time without an event, or it was told once
        silent_s = self._last_entry - self._last_event
        pause_s = silent_s * (PAUSE_OF_ONE if alone else PAUSE_PER_SILENCE)
        pause_s = max(IDLE_TICK_S, self._early * min(pause_s, LONGEST_IDLE_S))
        at, open_pane = self._last_entry + pause_s, self._state.pane
        if open_pane is not None:
            age_s = (self._state.position.clock.logical - open_pane.start) / 1000
            old_at = self._last_entry - self._silent_s + self.policy.pane_seconds - age_s
            at = min(at, max(self._last_entry + IDLE_TICK_S, old_at))
        return min(at, self._last_room + FULL_PANE_TICK_S) if self._full else at

    def _tick(self) -> None:
        """Append a tick to the log; it is read like any other entry."""
        self.client.xadd(self._log, {b"t": TICK})
        self._last_entry = self._last_room = time.monotonic()

    # -- commit ------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Commit state, offset, panes, roll-ups, dead letters and the group's offset in one
        transaction. Then trim the streams, which a full Redis allows outside of a transaction with
        writes.
        """
        self._find_kept()
        if self._panes_out:
            self._clear_panes()
        with step(COMMIT):
            fields = {**self._state.pack_changed(), b"offset": self._offset}
            self.checkpoint.commit(fields, self._queue_outputs)
        self._last_pane = EntryId(self._state.position.closed, self._state.position.written)
        self._trim()
        self._panes_out, self._rollups_out = [], []
        self._dead_out, self._paired_out, self._uncounted_out = [], [], []
        self._clock.reset()

    def _queue_outputs(self, pipe: Pipeline) -> None:
        writer = self.checkpoint.token[: pane.WRITER_DIGITS]
        for number, suffix, entry in self._panes_out:
            written: dict[Any, Any] = {pane.FIELD: pane.encode(entry), pane.WRITER: writer}
            pipe.xadd(self._panes, written, id=str(EntryId(number, suffix or 0)))
        for span, rolled in self._rollups_out:
            pipe.xadd(
                self._rollups[span],
                {pane.FIELD: pane.encode(rolled)},
                id=str(EntryId(rolled.pane.number, 0)),
            )
        for letter in self._dead_out:
            content = [
                part
                for pair in zip(letter.entry[1][::2], letter.entry[1][1::2], strict=True)
                for part in pair
            ]
            self._queue_dead(pipe, letter.entry[0], letter.reason, content)
        if self._uncounted_out:
            told: dict[Any, Any] = {UNCOUNTED: b" ".join(self._uncounted_out)}
            if self._dead_out:
                told[REFUSED] = _reasons(self._dead_out)
            pipe.xadd(self._uncounted, told, id=self._offset)
        self._queue_ids(pipe)
        self._pending.queue(self._state.pending, pipe)
        self._exchanges.queue(self._state.exchanges, pipe)
        for publisher, number, prediction in self._paired_out:
            fields: dict[Any, Any] = {
                b"t": PREDICTION,
                b"p": publisher,
                b"s": number,
                b"e": encode(prediction),
            }
            pipe.xadd(self._log, fields)

    def _queue_dead(
        self, pipe: Pipeline, entry_id: bytes, reason: str, content: Sequence[bytes]
    ) -> None:
        """Queue a dead letter: the id and the fields of the entry, and the reason."""
        pipe.execute_command(
            "XADD",
            self._dead,
            "MAXLEN",
            "~",
            DEAD_LETTERS_KEPT,
            "*",
            "entry_id",
            entry_id,
            "reason",
            reason[:LONGEST_REASON],
            *(part[:DEAD_BYTES] for part in content),
        )

    def _trim(self) -> None:
        """Show the offset, and trim committed entries that are older than their retention: those of
        the log that every reader has read, and panes and roll-ups.

        Raises
        ------
        OwnershipLost
            If the log, or its group, is not there any more.
        """
        oldest = self._state.position.clock.entry - self._retention_ms
        try:
            read = self._readers.offsets(self._state.position.clock.entry)
            keep_from = min(EntryId.parse(self._offset).ms, oldest, *read)
            with self.client.pipeline(transaction=False) as pipe:
                pipe.xgroup_setid(self._log, MONITOR_GROUP, self._offset)
                if keep_from > 0:
                    kept = str(EntryId(keep_from, 0))
                    pipe.xtrim(self._log, minid=kept, approximate=True)
                    pipe.xtrim(self._uncounted, minid=kept, approximate=True)
                for stream, first in self._first_kept.items():
                    if first:
                        pipe.xtrim(stream, minid=str(EntryId(first, 0)), approximate=True)
                pipe.execute()
        except redis.ResponseError as error:
            if refusal(error) or isinstance(error, MOVED):
                raise
            raise OwnershipLost(f"{self._log} was deleted, or its group ({error}).") from error

    def make_room(self) -> None:
        """Trim counted entries of the log if Redis is full, whoever owns the stage, since they are
        not read again. Other readers of the log that are behind are passed over: they may miss
        entries, but no event is refused for their sake.
        """
        room = self._room.keep_from(self.client)
        committed: Any = self.client.hget(self.checkpoint.key, "offset") if room else None
        if committed is None:
            return
        keep_from = min(EntryId.parse(committed).ms, room)
        self._room.pass_over(self._readers.behind(keep_from))
        if keep_from > 0:
            for stream in (self._log, self._uncounted):
                self.client.xtrim(stream, minid=str(EntryId(keep_from, 0)), approximate=True)

    def _queue_ids(self, pipe: Pipeline) -> None:
        added, gone = self._state.ids.take_changes()
        for hour, digests in added.items():
            pipe.append(self._ids(hour), b"".join(digests))
            pipe.pexpire(self._ids(hour), 2 * self.policy.retire_ms)
        for hour in gone:
            pipe.delete(self._ids(hour))

    def _find_kept(self) -> None:
        """Find the first pane and roll-ups that are young enough to keep, and forget the ages
        before them.
        """
        state = self._state
        entry_ms = state.position.clock.entry
        self._first_kept = {
            self._panes: first_kept(state.position.hours, entry_ms // HOUR_MS - self._pane_hours)
        }
        for span, stream in self._rollups.items():
            self._first_kept[stream] = state.rollups.first_kept(
                span, self._rollup_days[span], entry_ms
            )


def _reasons(letters: Sequence[DeadLetter]) -> bytes:
    """Return why entries were refused: each reason, with the ids of its entries."""
    found: dict[str, list[str]] = defaultdict(list)
    for letter in letters:
        found[letter.reason[:LONGEST_REASON]].append(letter.entry[0].decode())
    return encode({reason: " ".join(ids) for reason, ids in found.items()})


def _link(batch: columns.Batch) -> None:
    """Link a turn that is traced with the traces of its events, and note how many those are."""
    span = current.get()
    if span is not None:
        span.note(events=len(batch.predictions))
        span.link(one.trace for one in batch.predictions if one.trace is not None)
