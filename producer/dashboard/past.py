"""How a version's numbers went: from its snapshot reports in the stream, a bounded number of them,
through `past`.
"""

from typing import Any, Final

import msgspec
import redis.asyncio

from driftgauge.producer.dashboard.views.course import Past
from driftgauge.shared.contract.entry_id import exclusive

MOST: Final = 48
"""Reports that are drawn: each has some ten kB."""
READ: Final = 16
MOST_READ: Final = 160
"""Entries that are looked at, since a stream holds the reports of all versions."""


class _Version(msgspec.Struct):
    version: str


class _Named(msgspec.Struct):
    data: _Version


class _Envelope(msgspec.Struct):
    data: Past


async def past(client: redis.asyncio.Redis, stream: str, version: str) -> list[Past]:
    """Read a version's latest reports from the model's snapshot stream, oldest first; unreadable
    ones are passed over.
    """
    found: list[Past] = []
    last, read = "+", 0
    while len(found) < MOST and read < MOST_READ:
        entries: Any = await client.xrevrange(stream, max=last, count=READ)
        found += [
            one
            for _, fields in entries
            if (one := _read(fields.get(b"e", b""), version)) is not None
        ]
        read += len(entries)
        if len(entries) < READ:
            break
        last = exclusive(entries[-1][0])
    return found[:MOST][::-1]


def _read(packed: bytes, version: str) -> Past | None:
    """Read a report if it is of the version: the others are only looked at."""
    try:
        if msgspec.json.decode(packed, type=_Named).data.version != version:
            return None
        return msgspec.json.decode(packed, type=_Envelope).data
    except msgspec.MsgspecError:  # another release wrote it
        return None
