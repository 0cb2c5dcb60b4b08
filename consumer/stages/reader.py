"""Reads a log: while a full batch is counted, Redis already sends the next one.

A reader has a connection of its own, since a reply may be on its way while the stage commits.
"""

from typing import Any, cast

import redis
from redis.connection import ConnectionInterface

from driftgauge.consumer.counting.entries.columns import Entry

READ_COUNT = 1000
MAX_BLOCK_MS = 250


class LogReader:
    """Reads one stream in order.

    Parameters
    ----------
    client
        Redis client; the reader takes another connection to the same server.
    stream
        Key of the log.
    """

    def __init__(self, client: redis.Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._connection: ConnectionInterface | None = None
        self._ahead: bytes | None = None

    def read(self, offset: bytes, block_ms: int) -> list[Entry]:
        """Return the entries after an offset, at most READ_COUNT; wait for them if there are none
        yet.
        """
        entries = self._reply() if self._ahead == offset else None
        if not entries:
            self._request(offset, "BLOCK", block_bounds(block_ms))
            entries = self._reply()
        if len(entries) == READ_COUNT:
            self._request(entries[-1][0])
        return entries

    def reset(self) -> None:
        """Drop a reply that is on its way, before the stage starts from another offset."""
        if self._connection is not None:
            self._connection.disconnect()
        self._ahead = None

    def _request(self, offset: bytes, *block: str | int) -> None:
        if self._ahead is not None:
            self.reset()
        connection = self._connection = (
            self._connection or self._client.connection_pool.make_connection()
        )
        connection.send_command(
            "XREAD", "COUNT", READ_COUNT, *block, "STREAMS", self._stream, offset
        )
        self._ahead = offset

    def _reply(self) -> list[Entry]:
        assert self._connection is not None  # noqa: S101  something was requested
        self._ahead = None
        reply: Any = self._connection.read_response()
        return cast("list[Entry]", reply[0][1]) if reply else []


def block_bounds(block_ms: int) -> int:
    """Keep the time of a blocking read within bounds: 0 would wait for ever, too long would delay a
    hand-over.
    """
    return max(1, min(block_ms, MAX_BLOCK_MS))
