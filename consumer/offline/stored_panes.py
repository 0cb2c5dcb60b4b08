"""Reads the stored panes of a model: single panes as far back as they are kept, before that
roll-ups of hours, then of days.

Every event is included once: a roll-up says which panes it sums up, and where spans overlap the
coarser one is used.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
import redis

from driftgauge.consumer.judging.state import Progress, held_of, policies_of
from driftgauge.consumer.judging.stated import PolicyChange
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane, PaneEntry, RollUp, Watermark
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.versions.manifest import Manifest

_Entry = TypeVar("_Entry")

PAGE = 500
"""Entries read at a time."""
Resolution = Literal["pane", "hour", "day"]
Placed = tuple[int, int, str, Resolution, PaneEntry]
"""Logical time (ms), partition, entry id (empty for a roll-up), resolution, and the entry."""
LATER = 1 << 30
"""Partition number that sorts after all real ones at the same time."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Progress of judging, from its checkpoint.

    Parameters
    ----------
    held
        (partition, number) of panes that were read and are not judged yet.
    policies
        The latest policies that were taken up, in order.
    """

    progress: Progress
    held: frozenset[tuple[int, int]]
    policies: tuple[PolicyChange, ...] = ()


class History:
    """The stored panes of a model.

    Parameters
    ----------
    redis_url
        Address of the deployment's Redis.
    keys
        Key names without salts, which the manifest has.
    """

    def __init__(self, redis_url: str | None, keys: Keys, manifest: Manifest) -> None:
        self._nodes = Nodes(redis_url)
        self._keys = keys.salted(manifest.salts)
        self._model = manifest.model
        self.partitions = manifest.partitions
        self.used: dict[Resolution, int] = {}
        """Number of panes, hours and days that were yielded."""

    def judge(self) -> Judge:
        """Read how far judging has come."""
        key = self._keys.judge(self._model)
        fields: dict[bytes, bytes] = self._nodes.client(key).hgetall(key)  # type: ignore[assignment]  # bytes, not str
        packed = fields.get(b"state")
        progress = Progress() if packed is None else msgspec.json.decode(packed, type=Progress)
        return Judge(
            progress,
            frozenset(
                (one.partition, one.number) for _, one in held_of(fields) if isinstance(one, Pane)
            ),
            tuple(policies_of(fields)),
        )

    def entries(self, since_ms: int, judge: Judge) -> Iterator[PaneEntry]:
        """Yield everything that ended after a logical time, in the order in which it was judged.

        With one partition that is the order of its stream. With several, panes are in the order
        (end, partition). Alarms come at the turn that judging has recorded, older ones by their
        time.
        """
        for *_, entry in self._placed(since_ms, judge):
            yield entry

    def with_policies(self, since_ms: int, judge: Judge) -> Iterator[PaneEntry | PolicyChange]:
        """Yield the same, and each policy that was taken up before the first entry that was judged
        by it; those from before all of them come first.
        """
        policies = deque(judge.policies)
        for found in self._placed(since_ms, judge):
            while policies and _is_after(found, policies[0]):
                yield policies.popleft()
            yield found[-1]
        yield from policies

    def _placed(self, since_ms: int, judge: Judge) -> Iterator[Placed]:
        self.used = {}
        parts = [
            _Partition(self._nodes, self._keys, self._model, number)
            for number in range(self.partitions)
        ]
        merged = heapq.merge(
            *(part.read(since_ms) for part in parts),
            self._past(judge, parts),
            key=lambda found: found[:2],
        )
        ordered = merged if self.partitions == 1 else self._as_recorded(merged, judge, parts)
        for found in ordered:
            _, _, _, resolution, entry = found
            if isinstance(entry, Pane):
                self.used[resolution] = self.used.get(resolution, 0) + 1
            yield found

    def expected(self) -> int:
        """Return the approximate number of entries."""
        return sum(
            self._nodes.client(key).xlen(key)
            for partition in range(self.partitions)
            for key in (
                self._keys.panes(self._model, partition),
                self._keys.rollups(self._model, partition, "hour"),
            )
        )

    def _past(self, judge: Judge, parts: list["_Partition"]) -> Iterator[Placed]:
        """Yield the new references whose own entries are deleted together with their panes."""
        first = min((part.first_time() for part in parts), default=0)
        changes = [change for known in judge.progress.references.values() for change in known.past]
        for change in sorted(changes, key=lambda change: (change.time, change.change)):
            if change.time < first:
                yield change.time, LATER, "", "pane", change

    def _as_recorded(
        self, merged: Iterator[Placed], judge: Judge, parts: list["_Partition"]
    ) -> Iterator[Placed]:
        """Insert the recorded alarms at their turn: after as many panes as judging had
        judged then.
        """
        turns: dict[int, list[Placed]] = {}
        recorded = {(partition, entry_id) for partition, entry_id, _ in judge.progress.alarms}
        for partition, entry_id, judged in judge.progress.alarms:
            turns.setdefault(judged, []).extend(parts[partition].one(entry_id))
        done = judge.progress.judged - sum(
            part.judged(judge.progress.offsets.get(part.partition, BEGINNING), judge.held)
            for part in parts
        )
        for found in merged:
            _, partition, entry_id, resolution, entry = found
            if isinstance(entry, Pane) and resolution == "pane":
                yield from turns.pop(done, [])
                done += 1
                yield found
            elif (partition, entry_id) not in recorded:
                yield found
        for judged in sorted(turns):
            if judged >= done:
                yield from turns[judged]


def _is_after(found: Placed, change: PolicyChange) -> bool:
    """Return whether an entry was judged after a policy was taken up: it was not read by then, or
    waited for other partitions.
    """
    time, partition, entry_id, _, entry = found
    offset = EntryId.parse(change.offsets.get(partition, BEGINNING))
    unread = bool(entry_id) and EntryId.parse(entry_id) > offset
    return unread or (time > change.time and not isinstance(entry, Watermark))


class _Partition:
    """The panes of one partition."""

    def __init__(self, nodes: Nodes, keys: Keys, model: str, partition: int) -> None:
        self.partition = partition
        self._panes = keys.panes(model, partition)
        self._rollups = {span: keys.rollups(model, partition, span) for span in ("day", "hour")}
        self._client: redis.Redis = nodes.client(self._panes)
        self._first = self._first_pane()

    def read(self, since_ms: int) -> Iterator[Placed]:
        """Yield days, hours and panes, the coarse ones only for times without finer ones."""
        done = 0
        for rolled in self._rolled_up("day", 0, self._first_hour()):
            done = rolled.pane.number
            yield from self._placed(rolled, "day", since_ms)
        for rolled in self._rolled_up("hour", done, self._first):
            done = rolled.pane.number
            yield from self._placed(rolled, "hour", since_ms)
        for entry_id, packed in self._pages(
            self._panes, exclusive(EntryId(max(done, self._first - 1), 0))
        ):
            entry = _decoded(packed, pane.decode)
            if entry is None:
                continue
            time = entry.end if isinstance(entry, Pane) else entry.time
            if time > since_ms:
                yield time, self.partition, entry_id, "pane", entry

    def one(self, entry_id: str) -> list[Placed]:
        """Return one entry of the panes stream in a list; an empty list if it is deleted."""
        found: Any = self._client.xrange(self._panes, entry_id, entry_id)
        decoded = [_decoded(fields.get(pane.FIELD, b""), pane.decode) for _, fields in found]
        return [
            (0, self.partition, entry_id, "pane", entry) for entry in decoded if entry is not None
        ]

    def judged(self, offset: str, held: frozenset[tuple[int, int]]) -> int:
        """Return how many of the stored panes were judged."""
        waiting = sum(partition == self.partition for partition, _ in held)
        return max(0, EntryId.parse(offset).ms - self._first + 1 - waiting)

    def first_time(self) -> int:
        """Return the logical time (ms) at which the stored single panes begin."""
        first = str(EntryId(self._first, 0))
        found: Any = self._client.xrange(self._panes, first, first)
        entry = _decoded(found[0][1].get(pane.FIELD, b""), pane.decode) if found else None
        return entry.start if isinstance(entry, Pane) else LATER << 30

    def _placed(self, rolled: RollUp, resolution: Resolution, since_ms: int) -> Iterator[Placed]:
        """Yield the alarms of a roll-up, then its sum."""
        end = rolled.pane.end
        if end > since_ms:
            yield from ((end, self.partition, "", resolution, alarm) for alarm in rolled.kept)
            yield end, self.partition, "", resolution, rolled.pane

    def _rolled_up(self, span: str, done: int, before: int) -> Iterator[RollUp]:
        """Yield the roll-ups that begin after pane `done` and before pane `before`."""
        for _, packed in self._pages(self._rollups[span], "-"):
            rolled = _decoded(packed, pane.decode_rollup)
            if rolled is None:
                continue
            if rolled.first >= before:
                return
            if rolled.first > done:
                yield rolled

    def _first_pane(self) -> int:
        """Return the number of the first stored single pane; that of the next pane if there is
        none.
        """
        found: Any = self._client.xrange(self._panes, count=1)
        if not found:
            return LATER
        number, suffix = EntryId.parse(found[0][0])
        return number + 1 if suffix or not number else number

    def _first_hour(self) -> int:
        """Return the number of the first pane in the first stored hour; without any hour, that of
        the first single pane.
        """
        found: Any = self._client.xrange(self._rollups["hour"], count=1)
        rolled = _decoded(found[0][1].get(pane.FIELD, b""), pane.decode_rollup) if found else None
        return self._first if rolled is None else min(rolled.first, self._first)

    def _pages(self, stream: str, first: str) -> Iterator[tuple[str, bytes]]:
        start = first
        while True:
            found: Any = self._client.xrange(stream, start, count=PAGE)
            for entry_id, fields in found:
                yield entry_id.decode(), fields.get(pane.FIELD, b"")
            if len(found) < PAGE:
                return
            start = exclusive(found[-1][0])


def _decoded(packed: bytes, decode: Callable[[bytes], _Entry]) -> _Entry | None:
    """Read a stored entry; None for one that Driftgauge did not write, which judging passed over
    too.
    """
    try:
        return decode(packed)
    except UNREADABLE:
        return None
