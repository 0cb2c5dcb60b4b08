"""How a version's numbers went: from its snapshot reports in the stream, a bounded number of them,
through `past`.
"""

from typing import Final

import msgspec
import redis.asyncio

from driftgauge.producer.dashboard.views.course import Past
from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async

MOST: Final = 48
"""Reports that are drawn."""
MOST_ENTRIES: Final = 160
"""Entries that are looked at, since a stream holds the reports of all versions."""
MOST_BYTES: Final = 1 << 26
"""Of the entries: a report of a few hundred features has some hundred kB."""


class _Version(msgspec.Struct):
    version: str


class _Named(msgspec.Struct):
    data: _Version


class _Envelope(msgspec.Struct):
    data: Past


async def past(client: redis.asyncio.Redis, stream: str, version: str) -> list[Past]:
    """Read a version's latest reports from the model's snapshot stream, oldest first.

    Reports of other versions, and what cannot be read, are passed over.
    """

    def decode(fields: Fields) -> Past | None:
        event = fields.get(b"e", b"")
        if msgspec.json.decode(event, type=_Named).data.version != version:
            return None
        return msgspec.json.decode(event, type=_Envelope).data

    walk = Backwards(decode, most_entries=MOST_ENTRIES, most_bytes=MOST_BYTES)
    found: list[Past] = []
    async for _, one in backwards_async(client, stream, walk):
        found.append(one)
        if len(found) == MOST:
            break
    return found[::-1]
