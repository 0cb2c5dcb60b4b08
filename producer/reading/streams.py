"""Reading Redis streams: redis-py's replies brought into one form."""

from collections.abc import Mapping
from typing import Any

import redis.asyncio

from driftgauge.shared.connections.redis_client import BLOCK_MS

Entry = tuple[str, bytes]
"""An entry's id, and its field `e`: empty if it has none."""


async def newest(client: redis.asyncio.Redis, key: str, count: int) -> list[Entry]:
    """Give the last entries of a stream, newest first."""
    found: Any = await client.xrevrange(key, count=count)
    return [_entry(entry) for entry in found]


async def following(
    client: redis.asyncio.Redis, after: Mapping[str, str], count: int
) -> list[tuple[str, list[Entry]]]:
    """Wait a moment for entries after the given id of each stream; key and entries of those that
    have some.
    """
    streams: dict[Any, Any] = dict(after)
    found: Any = await client.xread(streams, count=count, block=BLOCK_MS)
    return [(key.decode(), [_entry(entry) for entry in entries]) for key, entries in found]


def _entry(entry: tuple[bytes, dict[bytes, bytes]]) -> Entry:
    entry_id, fields = entry
    return entry_id.decode(), fields.get(b"e", b"")
