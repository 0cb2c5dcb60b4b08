"""Reading a Redis stream backwards: from its end, or from before an entry, towards its beginning.

This is the one way in which stored entries are looked through, newest first: the histories of
alerts and reports, the predictions of a log, a version's numbers over time, the newest entry of a
stream. `Backwards` decides what to ask for and what becomes of the answers; it knows no connection.
`backwards` and `backwards_async` send its requests by the two kinds of client.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import redis
import redis.asyncio

from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.unpacking import UNREADABLE

FIRST_PAGE: Final = 16
"""Entries of the first request, before the size of an entry is known."""
PAGE_ENTRIES: Final = 500
"""Most entries of a request."""
PAGE_BYTES: Final = 1 << 20
"""About the most bytes of a request: fewer entries are asked for where they are large."""

LEAST_DELETED: Final = "0-1"
"""Id to which the highest deleted id of a stream can be set back; 0-0 would leave it as it is."""

Fields = Mapping[bytes, bytes]
"""An entry's fields, as redis-py gives them."""
Decoded = TypeVar("Decoded")

logger = logging.getLogger("driftgauge.streams")


class Backwards(Generic[Decoded]):
    """One walk through a stream: its bounds, its position, and the number of skipped entries.

    Parameters
    ----------
    decode
        Function that converts an entry's fields to an item of the walk, or returns None to skip it.
        An entry for which it raises one of `UNREADABLE` was written by hand or by another release:
        it is skipped and counted.
    before
        Id of the entry before which the walk begins; None begins at the newest entry.
    inclusive
        Whether the entry `before` is itself part of the walk.
    most_entries, most_bytes
        Bounds at which the walk ends although the stream goes on; bytes are exceeded by at most a
        request.

    Attributes
    ----------
    read, read_bytes
        Entries that were received so far, and the bytes of their fields.
    unreadable
        Number of entries that could not be decoded.

    Examples
    --------
    >>> walk = Backwards(lambda fields: int(fields[b"e"]), before="9-0")
    >>> walk.request()
    ('(9-0', 16)
    >>> list(walk.take([(b"8-0", {b"e": b"80"}), (b"7-0", {b"e": b"junk"})]))
    [(EntryId(ms=8, sequence=0), 80)]
    >>> walk.unreadable, walk.request()
    (1, None)
    """

    def __init__(
        self,
        decode: Callable[[Fields], Decoded | None],
        before: str | EntryId | None = None,
        *,
        inclusive: bool = False,
        most_entries: int | None = None,
        most_bytes: int | None = None,
    ) -> None:
        self.read = self.read_bytes = self.unreadable = 0
        self._decode = decode
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._asked = 0
        self._end = "+"
        if before is not None:
            self._end = str(before) if inclusive else exclusive(before)
        self._over = False

    def request(self) -> tuple[str, int] | None:
        """Return the next request, as upper bound and count of an XREVRANGE; None at the end."""
        room = [PAGE_ENTRIES if self.read else FIRST_PAGE]
        if self._most_entries is not None:
            room.append(self._most_entries - self.read)
        if self.read:
            mean = max(1, self.read_bytes // self.read)
            room.append(max(1, PAGE_BYTES // mean))
            if self._most_bytes is not None:
                left = self._most_bytes - self.read_bytes
                room.append(max(1, left // mean) if left > 0 else 0)
        self._asked = min(room)
        return None if self._over or self._asked <= 0 else (self._end, self._asked)

    def take(self, reply: Sequence[tuple[bytes, Fields]]) -> Iterator[tuple[EntryId, Decoded]]:
        """Take in the reply to the last request; return the wanted entries in it, newest first."""
        self._over = len(reply) < self._asked
        self.read += len(reply)
        self.read_bytes += sum(
            len(name) + len(value) for _, fields in reply for name, value in fields.items()
        )
        if reply:
            self._end = exclusive(reply[-1][0])
        for entry_id, fields in reply:
            try:
                decoded = self._decode(fields)
            except UNREADABLE:
                self.unreadable += 1
                continue
            if decoded is not None:
                yield EntryId.parse(entry_id), decoded

    def finish(self, stream: str) -> None:
        """Log the number of unreadable entries; called when the walk ends or is left."""
        if self.unreadable:
            logger.debug(
                "%s: %d of %d entries could not be read and were passed over",
                stream,
                self.unreadable,
                self.read,
            )


def whole(fields: Fields) -> Fields:
    """Return the fields as they are, for a walk that decodes nothing."""
    return fields


def backwards(
    client: redis.Redis, stream: str, walk: Backwards[Decoded]
) -> Iterator[tuple[EntryId, Decoded]]:
    """Yield the wanted entries of a stream, newest first, each with its id, reading as they are
    used.
    """
    try:
        while (request := walk.request()) is not None:
            reply: Any = client.xrevrange(stream, max=request[0], count=request[1])
            yield from walk.take(reply)
    finally:
        walk.finish(stream)


async def backwards_async(
    client: redis.asyncio.Redis, stream: str, walk: Backwards[Decoded]
) -> AsyncIterator[tuple[EntryId, Decoded]]:
    """Do as `backwards` with a client for asyncio; between pages other tasks have their turn."""
    try:
        while (request := walk.request()) is not None:
            reply: Any = await client.xrevrange(stream, max=request[0], count=request[1])
            for found in walk.take(reply):
                yield found
            await asyncio.sleep(0)
    finally:
        walk.finish(stream)


def create_group(client: redis.Redis, stream: str, group: str, reached: str) -> bool:
    """Create a consumer group, and its stream; return False if it is there already.

    Parameters
    ----------
    reached
        Id of the last entry that the new group has read.
    """
    try:
        client.xgroup_create(stream, group, id=reached, mkstream=True)
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
        return False
    return True


def last_generated(client: redis.Redis, stream: str) -> str:
    """Return the last id that a stream has given, even if its entry is deleted; `0-0` if there is
    no stream. Both are asked at one instant, between which it could be deleted.
    """
    with client.pipeline(transaction=True) as pipe:
        pipe.exists(stream)
        pipe.xinfo_stream(stream)
        exists, details = pipe.execute(raise_on_error=False)
    if not exists:
        return BEGINNING
    if isinstance(details, Exception):
        raise details
    last: bytes = details["last-generated-id"]
    return last.decode()


def set_back(
    pipe: redis.client.Pipeline, stream: str, last: EntryId, told: Mapping[str, Any]
) -> None:
    """Queue that a stream goes on behind an entry, which is its newest one: all behind it were
    deleted.

    From Redis 7.2 on a stream does not go back behind the highest id that was deleted, unless that
    is set back before; Redis 6.2 does not know it.

    Parameters
    ----------
    told
        What XINFO STREAM tells of the stream now.
    """
    if last == EntryId(0, 0):  # it has no entry
        pipe.unlink(stream)
        return
    if "max-deleted-entry-id" in told:
        highest: bytes = told["last-generated-id"]
        pipe.execute_command("XSETID", stream, highest, "MAXDELETEDID", LEAST_DELETED)
    pipe.execute_command("XSETID", stream, str(last))


def newest(client: redis.Redis, stream: str) -> tuple[EntryId, Fields] | None:
    """Return the last entry of a stream, as id and fields; None if the stream has none."""
    return next(backwards(client, stream, Backwards(whole, most_entries=1)), None)


async def newest_async(client: redis.asyncio.Redis, stream: str) -> tuple[EntryId, Fields] | None:
    """Do as `newest` with a client for asyncio."""
    async for found in backwards_async(client, stream, Backwards(whole, most_entries=1)):
        return found
    return None
