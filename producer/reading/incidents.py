"""The open incidents, as judging keeps them beside their stream."""

from collections.abc import Iterable
from typing import Any

import msgspec
import redis.asyncio

from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.unpacking import UNREADABLE


async def open_incidents(
    client: redis.asyncio.Redis, keys: Keys, models: Iterable[str]
) -> list[Any]:
    """Return the open incidents of models as events, the latest first.

    What is no event was written by hand, and is passed over.
    """
    async with client.pipeline(transaction=False) as pipe:
        for model in sorted(models):
            pipe.hvals(keys.open_incidents(model))
        replies = await pipe.execute(raise_on_error=False)
    events = [
        event
        for packed in replies
        if isinstance(packed, list)
        for one in packed
        if (event := _event(one)) is not None
    ]
    return sorted(
        events, key=lambda event: (event["data"]["opened"], event["data"]["id"]), reverse=True
    )


def _event(packed: bytes) -> Any:
    """Decode an event with the fields by which it is sorted; None if it is none."""
    try:
        event = msgspec.json.decode(packed)
    except UNREADABLE:
        return None
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, dict):
        return None
    sortable = isinstance(data.get("opened"), int) and isinstance(data.get("id"), str)
    return event if sortable else None
