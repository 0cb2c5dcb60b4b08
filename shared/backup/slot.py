"""Reading the keys of one slot at one commit, in parts, while workers go on.

The checkpoints of the slot are watched while its keys are read, so all that was read belongs to one
commit if none of them changed. If commits come faster than the slot can be read, its leases are
taken for the last attempt: its stages stand still until it is read, and load again.

Streams only grow, and what is older than a bound never changes. So only the bounds are read with
the checkpoints, and the entries up to them afterwards. What is trimmed meanwhile at the beginning
was old; a log that is trimmed into what was not counted at that commit is read again.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from redis.client import Pipeline

from driftgauge.shared.backup.records import (
    PART_BYTES,
    Entries,
    Expiry,
    Fields,
    Group,
    Members,
    Record,
    StreamEnd,
    Text,
    parts_of,
)
from driftgauge.shared.backup.writing import Chunks
from driftgauge.shared.connections.keyspace import (
    COMMIT_FIELD,
    FIRST_CHECKPOINT,
    LAST_RANK,
    STAGES,
    Names,
    Slot,
    beside,
    is_kept,
    rank_of,
)
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.contract.keys import FORMAT_FIELD
from driftgauge.shared.errors import OwnershipLost

FREE_ATTEMPTS, ATTEMPTS = 3, 6
"""Attempts to read a slot between two commits, and all of them with those for which its leases are
taken.
"""
LEASE_MS: Final = 10_000
"""Time (ms) that a lease lasts without a renewal."""
FIRST_PAGE: Final = 16
PAGE: Final = 1000
"""Elements of the first request for a key, and most of one."""
LOG: Final = "log"
COUNT: Final = "count"


class Moved(Exception):
    """What was read does not belong to one commit."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A stream as it stood at a commit.

    Parameters
    ----------
    end
        How it stood.
    start
        Id behind which its entries are wanted.
    first
        Id of the first entry that must still be there when all have been read; empty if none must.
    """

    end: StreamEnd
    start: str
    first: str = ""


@dataclass(slots=True)
class Standing:
    """What was read of a slot at one commit, beside the records."""

    bounds: list[Bound] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Keys of kinds that Driftgauge does not use."""


class SlotReader:
    """Reads a slot.

    Parameters
    ----------
    client
        Client of the slot's server, with raw replies to XRANGE (`raw_ranges`).
    prefix
        Key prefix.
    whole_logs
        Whether entries are wanted that every reader has read.
    """

    def __init__(
        self, client: redis.Redis, prefix: str, slot: Slot, *, whole_logs: bool = False
    ) -> None:
        self._client = client
        self._slot = slot
        self._prefix = prefix
        self._whole_logs = whole_logs
        self._renew_at = 0.0
        self._leases: dict[str, bytes] = {}
        self.others: list[str] = []
        """Keys of other kinds that were left out."""

    def read(self, into: Chunks) -> None:
        """Read the slot, and give its records to `into`, those of one commit alone.

        Raises
        ------
        OwnershipLost
            If its checkpoints change all the time although its leases were taken.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._held(attempt >= FREE_ATTEMPTS):
                    self.others = self._attempt(into)
            except (redis.WatchError, Moved):
                into.discard()
            else:
                into.keep()
                return
        raise OwnershipLost(
            f"The keys of {self._slot.key(self._prefix, '*')} changed all the time while they were "
            f"read. Try again."
        )

    def _attempt(self, into: Chunks) -> list[str]:
        with self._client.pipeline(transaction=True) as pipe:
            checkpoints = self._checkpoints()
            watched = [
                self._slot.key(self._prefix, name) for name in checkpoints or self._slot.names
            ]
            pipe.watch(*watched)
            standing = Standing()
            for name in self._names(pipe, checkpoints):
                for record in self._read_key(pipe, name, standing):
                    into.add(record)
                    self._renew()
            pipe.multi()
            pipe.exists(*watched)
            pipe.execute()
        for bound in standing.bounds:
            for record in self._entries(bound):
                into.add(record)
                self._renew()
            if bound.first and self._first_of(bound.end.key) > EntryId.parse(bound.first):
                raise Moved
            into.add(bound.end)
        for expiry in standing.expiries:
            into.add(expiry)
        return standing.others

    def _checkpoints(self) -> list[str]:
        """Return the names of the checkpoints of the slot, hashes with a format, and of the one
        that it has first.
        """
        if self._slot.rank == LAST_RANK:
            return []
        first = FIRST_CHECKPOINT[self._slot.rank]
        names = [name for name in {first, *self._slot.names} if self._is_one(name)]
        there = first in names or self._client.exists(self._slot.key(self._prefix, first))
        return names if there else [first, *names]

    def _is_one(self, name: str) -> bool:
        key = self._slot.key(self._prefix, name)
        with suppress(redis.ResponseError):  # another kind
            return bool(self._client.hexists(key, FORMAT_FIELD.decode()))
        return False

    def _names(self, pipe: Pipeline, checkpoints: Sequence[str]) -> Sequence[str]:
        """Return the names of the keys of the slot: as they were listed if nothing was committed
        since then, else listed anew.

        Raises
        ------
        Moved
            If there is a checkpoint among them that is not watched yet.
        """
        slot = self._slot
        if all(
            pipe.hget(slot.key(self._prefix, name), COMMIT_FIELD) == slot.commits.get(name)
            for name in checkpoints
        ):
            return slot.names
        before, names = set(slot.names), Names(self._prefix)
        found = {
            parted[1]
            for key in pipe.scan_iter(match=f"{slot.key(self._prefix, '')}*", count=PAGE)
            if (parted := names.parted(key)) is not None
            and parted[0] == slot.tag
            and is_kept(parted[1])
            and rank_of(*parted) == slot.rank
        }
        slot.names[:] = sorted(found)
        if any(self._is_one(name) for name in found - before - {*checkpoints}):
            raise Moved
        return slot.names

    def _read_key(self, pipe: Pipeline, name: str, standing: Standing) -> Iterator[Record]:
        """Yield a key's content, for a stream none yet; note its expiry."""
        key = self._slot.key(self._prefix, name)
        kind: Any = pipe.type(key)
        left: Any = pipe.pttl(key)
        if left > 0:
            standing.expiries.append(Expiry(key, server_ms(pipe) + left))
        match kind:
            case b"string":
                yield from self._text(pipe, key)
            case b"hash":
                yield from self._fields(pipe, key)
            case b"set":
                yield from self._members(pipe, key)
            case b"stream":
                standing.bounds.append(self._bound(pipe, key, name))
            case b"none":
                pass
            case _:
                standing.others.append(key)

    def _text(self, pipe: Pipeline, key: str) -> Iterator[Text]:
        size: Any = pipe.strlen(key)
        for start in range(0, max(1, size), PART_BYTES):
            content: Any = pipe.getrange(key, start, start + PART_BYTES - 1)
            yield Text(key, content)

    def _fields(self, pipe: Pipeline, key: str) -> Iterator[Fields]:
        cursor, count = 0, FIRST_PAGE
        while True:
            found: Any = pipe.hscan(key, cursor, count=count)
            cursor, fields = found
            yield from parts_of(key, iter(fields.items()))
            if not cursor:
                return
            size = sum(len(name) + len(value) for name, value in fields.items())
            count = _next_page(count, len(fields), size)

    def _members(self, pipe: Pipeline, key: str) -> Iterator[Members]:
        cursor = 0
        while True:
            found: Any = pipe.sscan(key, cursor, count=PAGE)
            cursor, members = found
            if members:
                yield Members(key, list(members))
            if not cursor:
                return

    # -- streams -----------------------------------------------------------------------------------

    def _bound(self, pipe: Pipeline, key: str, name: str) -> Bound:
        """Find out which entries of a stream belong to the commit."""
        told: Any = pipe.xinfo_stream(key)
        groups = [self._group(pipe, key, one) for one in self._groups(pipe, key)]
        deleted = told.get("max-deleted-entry-id")
        end = StreamEnd(
            key,
            told["last-generated-id"].decode(),
            told.get("entries-added"),
            None if deleted is None else deleted.decode(),
            groups,
        )
        if name != LOG:
            return Bound(end, BEGINNING)
        counted: Any = pipe.hget(self._slot.key(self._prefix, COUNT), "offset")
        offset = BEGINNING if counted is None else counted.decode()
        reached = [offset, *(group.last_id for group in groups)]
        uncounted: Any = pipe.xrange(key, min=exclusive(offset), count=1)
        first = uncounted[0][0].decode() if uncounted else ""
        start = BEGINNING if self._whole_logs else min(reached, key=EntryId.parse)
        return Bound(end, start, first)

    def _groups(self, pipe: Pipeline, key: str) -> Sequence[Any]:
        found: Any = pipe.xinfo_groups(key)
        return list(found)

    def _group(self, pipe: Pipeline, key: str, told: Any) -> Group:
        """Return a group at the id behind which it has to be given entries: what a consumer was
        given and has not acknowledged is given again.
        """
        last: str = told["last-delivered-id"].decode()
        if not told["pending"]:
            return Group(told["name"], last, told.get("entries-read"))
        waiting: Any = pipe.xpending(key, told["name"])
        if not waiting["pending"]:
            return Group(told["name"], last)
        return Group(told["name"], str(_before(EntryId.parse(waiting["min"]))))

    def _entries(self, bound: Bound) -> Iterator[Entries]:
        """Yield the entries of a stream up to its bound."""
        key, last = bound.end.key, bound.end.last_id
        start, count = bound.start, FIRST_PAGE
        while True:
            reply: Any = self._client.xrange(key, min=exclusive(start), max=last, count=count)
            if not reply:
                return
            part = [(entry_id.decode(), fields) for entry_id, fields in reply]
            yield Entries(key, part)
            if len(reply) < count:
                return
            start = part[-1][0]
            size = sum(len(one) for _, parts in part for one in parts)
            count = _next_page(count, len(part), size)

    def _first_of(self, key: str) -> EntryId:
        """Return the id of the first entry of a log; the largest one if it has none."""
        reply: Any = self._client.xrange(key, count=1)
        return EntryId.parse(reply[0][0]) if reply else EntryId(2**64, 0)

    # -- leases ------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, hold: bool) -> Iterator[None]:  # noqa: FBT001  a switch of `read`'s
        """Take the leases of the slot's stages, whoever has them, if that is wanted. Those of
        followers stay, which commit rarely: a hook that runs would be ended.
        """
        if hold:
            names = (name for name in self._checkpoints() if name in STAGES or ":" in name)
            owners = {beside(name, "owner") for name in names}
            self._leases = {
                self._slot.key(self._prefix, owner): secrets.token_hex(16).encode()
                for owner in owners
            }
            for owner, token in self._leases.items():
                self._client.set(owner, token, px=LEASE_MS)
        try:
            yield
        finally:
            for owner, token in self._leases.items():
                _release(self._client, owner, token)
            self._leases = {}

    def _renew(self) -> None:
        """Prolong the leases that were taken. One that is somebody else's by now does no harm: his
        commit is noticed.
        """
        if self._leases and time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + LEASE_MS / 3000
            for owner in self._leases:
                self._client.pexpire(owner, LEASE_MS)


def _next_page(count: int, found: int, size: int) -> int:
    """Return how many elements to ask for next: about `PART_BYTES` of them, as those were that were
    found last, but not many more than the last time.

    Examples
    --------
    >>> _next_page(16, 16, 1600), _next_page(160, 160, 160 << 20)
    (160, 1)
    """
    fitting = PART_BYTES * found // max(1, size) if found else count
    return max(1, min(PAGE, 10 * count, fitting))


def raw_ranges(client: redis.Redis) -> redis.Redis:
    """Make the client return raw replies to XRANGE: redis-py would make a dict of each entry, and
    lose a field whose name comes twice.
    """
    client.set_response_callback("XRANGE", lambda reply, **_: reply)
    return client


def _release(client: redis.Redis, owner: str, token: bytes) -> None:
    with client.pipeline(transaction=True) as pipe, suppress(redis.WatchError):  # another has it
        pipe.watch(owner)
        if pipe.get(owner) == token:
            pipe.multi()
            pipe.delete(owner)
            pipe.execute()


def _before(entry_id: EntryId) -> EntryId:
    """Return the id right before another one."""
    if entry_id.sequence:
        return EntryId(entry_id.ms, entry_id.sequence - 1)
    return EntryId(max(0, entry_id.ms - 1), 2**64 - 1 if entry_id.ms else 0)
