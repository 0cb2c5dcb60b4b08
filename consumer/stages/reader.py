"""Reads a log: while a full batch is counted, Redis already sends the next one.

A reader takes a connection of its own while it reads, since a reply may be on its way while the
stage commits.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import redis
from redis.connection import Connection

from driftgauge.consumer.counting.entries.columns import Entry

READ_COUNT = 1000
"""Entries of a read, at least."""
MOST_COUNT: Final = 4000
"""Entries of a read of short ones, at most: what a read costs besides is shared by more of them."""
READ_BYTES: Final = 2_000_000
"""Bytes of their contents that a read of more than `READ_COUNT` should not pass."""
GROWTH: Final = 1.1
"""Factor between two full reads."""
SAMPLE: Final = 8
"""Entries by which their length is judged."""


class LogReader:
    """Reads one stream in order.

    Parameters
    ----------
    client
        Redis client; the reader takes a connection out of its pool until `rest`.
    stream
        Key of the log.

    Attributes
    ----------
    more
        Whether there may be more behind what was read last.
    """

    def __init__(self, client: redis.Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._connection: Connection | None = None
        self._ahead: bytes | None = None
        self._count = READ_COUNT
        self.more = False

    def read(self, offset: bytes) -> list[Entry]:
        """Return the entries after an offset, at most MOST_COUNT; none if none are there yet."""
        if self._ahead != offset:
            self._request(offset)
        entries = self._reply()
        self.more = len(entries) == self._count
        if self.more:
            self._count = next_count(self._count, entries)
            self._request(entries[-1][0])
        return entries

    def rest(self) -> None:
        """Give the connection back. A reply that is on its way is dropped with it: the stage may
        start from another offset.
        """
        if self._connection is None:
            return
        if self._ahead is not None:
            self._connection.disconnect()
        self._client.connection_pool.release(self._connection)
        self._connection = self._ahead = None

    def _request(self, offset: bytes) -> None:
        if self._ahead is not None:
            self.rest()
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
        self._ahead = offset
        self._connection.send_command(
            "XREAD", "COUNT", self._count, "STREAMS", self._stream, offset
        )

    def _reply(self) -> list[Entry]:
        assert self._connection is not None  # noqa: S101  something was requested
        reply: Any = self._connection.read_response()
        self._ahead = None
        return cast("list[Entry]", reply[0][1]) if reply else []


def next_count(count: int, entries: Sequence[Entry]) -> int:
    """Return how many entries to read behind a full read of so many: a tenth more of short ones,
    while a long log is caught up on.

    Examples
    --------
    >>> short, long = ([(b"1-0", [b"e", bytes(size)])] * 2000 for size in (299, 14_000))
    >>> next_count(2000, short), next_count(3900, short), next_count(2000, long)
    (2200, 4000, 1000)
    """
    some = entries[:: max(1, len(entries) // SAMPLE)]
    mean = sum(len(value) for _, values in some for value in values) / len(some)
    return int(min(count * GROWTH, MOST_COUNT, max(READ_COUNT, READ_BYTES / mean)))
