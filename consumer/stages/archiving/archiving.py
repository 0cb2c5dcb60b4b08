"""The stage that archives one partition: what was counted goes to Parquet files, each row once,
and beside it what was refused.

Theory of operation:

- It reads behind counting, up to the offset that counting has committed, and leaves out what
  counting noted as repeated or unusable. So the archive holds what was counted. What counting gave
  a reason for not using, a dead letter, is a row of its own kind.
- A cut ends after `archive_rows` rows, or when its first entry is `archive_seconds` old.
- The end of a cut is committed before its files are written, and they are named by its ends. So
  whoever writes it after a crash, or although the lease is another's by now, writes the same files;
  and a file that is there is never written again.
- Then the head of the partition in the archive is moved, and the offset committed. If Redis comes
  back with an older state, the head tells how far the archive had gone: rows behind the offset are
  removed, and come again.
- A store that is slow, full or away delays this stage alone. The log waits for it, but no longer
  than `archive_lag_hours`, and no longer than Redis has room; what it could not keep is counted by
  comparing the rows with the numbers that counting has counted, and told.
- While nothing is to be archived, the stage of a model's first partition looks after its days, one
  at a turn (keeping.py).
"""

import logging
import math
import time
from collections.abc import Mapping
from typing import Final

import msgspec
import redis

from driftgauge.consumer.stages.archiving.cut import LogPart
from driftgauge.consumer.stages.archiving.keeping import Keeping
from driftgauge.consumer.stages.archiving.stream import ArchivedStream
from driftgauge.consumer.stages.archiving.uncounted import beginning
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.stage import CommitClock, Stage
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.archived import ARCHIVE_GROUP, OFFSET, STATE, Archived
from driftgauge.shared.archive.manifest import LOG_KINDS
from driftgauge.shared.archive.store import Store
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.connections.streams import create_group
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.worker")

LOOK_S: Final = 0.5
"""Pause (s) between looks at how far counting is, while something waits."""
GROUP_S: Final = 5.0
"""Pause (s) between two moves of the group that the log waits for."""
WENT_BACK_MS: Final = 3_600_000
"""Time (ms) up to which a Redis that went back was a crash: what it lost is sent again. One that
went back further was restored from a copy, and the archive alone has the rest.
"""


class Archiving(Stage):
    """Archives a partition.

    Parameters
    ----------
    client
        Redis client of the partition's slot, with raw replies to XREAD.
    store
        The archive.
    published
        Published versions of the model.
    keeping
        What looks after the model's days; None if another partition's stage does.
    """

    retry_s = (1.0, 60.0)

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        keys: Keys,
        model: str,
        partition: int,
        store: Store,
        published: PublishedVersions,
        keeping: Keeping | None = None,
    ) -> None:
        self.name = f"archiving {model}.{partition}"
        self.client = client
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            client,
            keys.archive(model, partition),
            keys.archive_owner(model, partition),
            keys.archive_epoch(model, partition),
            self.lease_ms,
        )
        self._log, self._count = keys.log(model, partition), keys.count(model, partition)
        self._uncounted = keys.uncounted(model, partition)
        self._partition = partition
        self._in_archive = ArchivedStream(store, model, partition, f"p{partition}", LOG_KINDS)
        self._published, self._keeping = published, keeping
        self._seconds, self._most_rows = settings.archive_seconds, settings.archive_rows
        self._lag_ms = int(settings.archive_lag_hours * 3_600_000)
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)
        self._grouped_at = 0.0

    def load(self) -> None:
        """Load the state, and bring offset and archive in line with each other.

        Raises
        ------
        DriftgaugeError
            If the archive does not answer.
        """
        self.check_types("stream", self._log, self._uncounted)
        fields = self.checkpoint.load()
        with self.checkpoint.reading():
            self._state = msgspec.json.decode(fields.get(STATE, b"{}"), type=Archived)
            self._offset = fields.get(OFFSET, b"").decode() or beginning(
                self.client, self._uncounted
            )
            EntryId.parse(self._offset)
        self._waiting_since: float | None = None
        self._due_at = 0.0
        self._level = False
        self._clock.reset()
        self._hold_log(at_once=True)
        head = self._in_archive.read_head()
        self.hold()
        if head is None:
            return
        lost_plan = head.plan not in {"", self._state.plan}
        if EntryId.parse(head.end) > EntryId.parse(self._offset):
            if not fields or head.end == self._state.plan:
                self._move_to(head.end)
            else:
                self._went_back(EntryId.parse(head.end))
        if lost_plan:  # some files of a cut that comes again, in other parts
            self._remove_behind()

    def _went_back(self, head: EntryId) -> None:
        """Bring archive and checkpoint together after Redis came back with an older state."""
        if head.ms - EntryId.parse(self._offset).ms > WENT_BACK_MS:
            log.error(
                "%s: Redis came back with a state from %s; the archive goes on to %s and keeps its "
                "rows. What is sent again of the last seconds is in it twice.",
                self.name,
                self._offset,
                head,
            )
            self._move_to(str(head))
        else:
            self._remove_behind()

    def _remove_behind(self) -> None:
        """Remove what is archived behind the offset: it comes again."""
        self._in_archive.remove_behind(self._offset, self.name, self.hold)

    def _move_to(self, end: str) -> None:
        """Go on behind an entry up to which all is archived already."""
        self._offset = end
        self._commit(msgspec.structs.replace(self._state, plan="", counted=-1, since=0))

    # -- turns -------------------------------------------------------------------------------------

    @property
    def positions(self) -> Mapping[str, str]:
        """The log, while all of it is archived; else time decides what is next."""
        return {self._log: self._offset} if self._level else {}

    @property
    def due_at(self) -> float:
        """When counting is looked at again, or the next cut is due."""
        kept = math.inf if self._keeping is None else self._keeping.due_at
        return min(self._due_at, kept)

    @property
    def reached_ms(self) -> int | None:
        """Entry time (ms) up to which all is archived."""
        return EntryId.parse(self._offset).ms

    @property
    def archived(self) -> Archived:
        """What was archived since the archive began."""
        return self._state

    def turn(self) -> bool:
        """Write a cut if one is due, or look after a day; return whether there may be more."""
        return self._archive() or (self._keeping is not None and self._keeping.turn(self.hold))

    def _archive(self) -> bool:
        """Write a cut if one is due; return whether there may be another."""
        self._hold_log()
        self.hold()
        if self._state.plan:
            self._write(self._part(self._state.plan, None))
            return True
        reached, told, newest = self._look()
        now = time.monotonic()
        if EntryId.parse(reached) <= EntryId.parse(self._offset):
            self._level = newest is None or EntryId.parse(newest) <= EntryId.parse(self._offset)
            self._waiting_since = None
            self._due_at = math.inf if self._level else now + LOOK_S
            return False
        self._level = False
        since = self._waiting_since = self._waiting_since or now
        if now < since + self._seconds and self._rows_waiting(told) < self._most_rows:
            self._due_at = min(since + self._seconds, now + LOOK_S)
            return False
        part = self._part(reached, self._most_rows)
        self._write(part, told.events if part.end == reached else None)
        if part.end == reached:
            self._waiting_since = None
            self._due_at = time.monotonic() + LOOK_S
        return part.end != reached

    def finish(self) -> None:
        """Do nothing: what is not archived yet stays in the log."""

    def _look(self) -> tuple[str, Counters, str | None]:
        """Return how far counting is, its counters, and the id of the newest entry of the log."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hmget(self._count, [OFFSET, counters.FIELD])
            pipe.xrevrange(self._log, count=1)
            (offset, packed), newest = pipe.execute()
        told = msgspec.json.decode(packed, type=Counters) if packed else Counters()
        return (
            offset.decode() if offset else BEGINNING,
            told,
            newest[0][0].decode() if newest else None,
        )

    def _rows_waiting(self, told: Counters) -> int:
        """Return about how many predictions wait to be archived."""
        return told.events - max(self._state.counted, 0) - self._state.since

    def _part(self, until: str, most: int | None) -> LogPart:
        """Read the rows of the next cut."""
        part = LogPart(
            self.client,
            self._log,
            self._uncounted,
            self._published,
            self._partition,
            self._offset,
        )
        part.read(until, most, self.hold)
        return part

    def _write(self, part: LogPart, counted: int | None = None) -> None:
        """Write a cut, and commit it.

        Parameters
        ----------
        counted
            Predictions that counting had counted at the end of the cut; None if that is not known.
        """
        rows, span = part.rows, (self._offset, part.end)
        if rows.number:
            if self._state.plan != part.end:
                self._commit(msgspec.structs.replace(self._state, plan=part.end))
            self._in_archive.write(span, rows.groups(), self.hold)
        state = msgspec.structs.replace(
            self._state,
            plan="",
            predictions=self._state.predictions + rows.predictions,
            labels=self._state.labels + rows.labels,
            refused=self._state.refused + rows.refused,
            since=self._state.since + rows.predictions,
        )
        if counted is not None:
            state = state.level_with(counted)
        if state.missing > self._state.missing:
            log.error(
                "%s: %d predictions left the log before they could be archived; the archive lacks "
                "them. It was behind for too long: see docs/archive.md.",
                self.name,
                state.missing - self._state.missing,
            )
        self._offset = part.end
        self._commit(state)

    def _commit(self, state: Archived) -> None:
        self.checkpoint.commit(
            {OFFSET: self._offset.encode(), STATE: msgspec.json.encode(state)}, lambda _: None
        )
        self._state = state
        self._clock.reset()
        self._hold_log(at_once=not state.plan)

    def _hold_log(self, *, at_once: bool = False) -> None:
        """Let the log wait for what is not archived, but not for longer than it may."""
        now = time.monotonic()
        if not at_once and now - self._grouped_at < GROUP_S:
            return
        self._grouped_at = now
        oldest = EntryId(max(0, server_ms(self.client) - self._lag_ms), 0)
        place = str(max(EntryId.parse(self._offset), oldest))
        if not create_group(self.client, self._log, ARCHIVE_GROUP, place):
            self.client.xgroup_setid(self._log, ARCHIVE_GROUP, place)
