"""Reads a log: while a full batch is counted, Redis already sends the next one.

A reader takes a connection of its own while it reads, since a reply may be on its way while the
stage commits.
"""

from typing import Any, cast

import redis
from redis.connection import Connection

from driftgauge.consumer.counting.entries.columns import Entry

READ_COUNT = 1000


class LogReader:
    """Reads one stream in order.

    Parameters
    ----------
    client
        Redis client; the reader takes a connection out of its pool until `rest`.
    stream
        Key of the log.
    """

    def __init__(self, client: redis.Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._connection: Connection | None = None
        self._ahead: bytes | None = None

    def read(self, offset: bytes) -> list[Entry]:
        """Return the entries after an offset, at most READ_COUNT; none if none are there yet."""
        if self._ahead != offset:
            self._request(offset)
        entries = self._reply()
        if len(entries) == READ_COUNT:
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
        self._connection.send_command("XREAD", "COUNT", READ_COUNT, "STREAMS", self._stream, offset)

    def _reply(self) -> list[Entry]:
        assert self._connection is not None  # noqa: S101  something was requested
        reply: Any = self._connection.read_response()
        self._ahead = None
        return cast("list[Entry]", reply[0][1]) if reply else []
