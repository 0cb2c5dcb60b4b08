"""A version's latest reports, reduced to what charts over time need."""

from typing import Final

import redis.asyncio

from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async
from driftgauge.shared.contract.snapshot_parts import PastSnapshot, SnapshotName, part_of

MOST: Final = 48
"""Most reports that are drawn."""
MOST_ENTRIES: Final = 160
"""Most stream entries that are read, since a stream holds the reports of all versions."""
MOST_BYTES: Final = 1 << 26
"""Most bytes of entries that are read: a report of a few hundred features has some hundred kB."""


async def past_snapshots(
    client: redis.asyncio.Redis, stream: str, version: str
) -> list[PastSnapshot]:
    """Read a version's latest reports from the model's snapshot stream, oldest first.

    Reports of other versions, and unreadable ones, are skipped.
    """

    def decode(fields: Fields) -> PastSnapshot | None:
        event = fields.get(b"e", b"")
        is_of_version = part_of(event, SnapshotName).version == version
        return part_of(event, PastSnapshot) if is_of_version else None

    walk = Backwards(decode, most_entries=MOST_ENTRIES, most_bytes=MOST_BYTES)
    found: list[PastSnapshot] = []
    async for _, one in backwards_async(client, stream, walk):
        found.append(one)
        if len(found) == MOST:
            break
    return found[::-1]
