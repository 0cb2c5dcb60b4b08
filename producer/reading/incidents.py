"""The open incidents, as judging keeps them beside their stream, and pages of all incidents."""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
import redis.asyncio

from driftgauge.producer.reading import history
from driftgauge.producer.reading.history import EventFilter
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.unpacking import UNREADABLE

OPEN_PLACE: Final = re.compile(r"open\.([0-9]{1,20})\.([0-9a-f]{1,16})")
"""Cursor of a page that ends among the open incidents."""
ALL_OPEN: Final = "resolved"
"""Cursor of a page that ends behind the last open incident."""


async def page(
    client: redis.asyncio.Redis,
    keys: Keys,
    models: Iterable[str],
    state: Literal["open", "resolved"] | None,
    wanted: EventFilter,
    limit: int,
    cursor: str | None,
) -> tuple[list[Any], str | None]:
    """Return up to `limit` incidents as events, each as it was last, and the cursor of the next
    page: those that are open, the latest first, then those that resolved.

    Parameters
    ----------
    wanted
        Filter by time and severity.

    Raises
    ------
    Problem
        400 if `cursor` is not what a page returned.
    """
    names = sorted(models)
    opened = await open_incidents(client, keys, names)
    after = None if cursor is None else OPEN_PLACE.fullmatch(cursor)
    shown: list[Any] = []
    if state != "resolved" and (cursor is None or after is not None):
        least = None if after is None else (int(after[1]), after[2])
        left = [
            event
            for event in opened
            if wanted.matches(event) and (least is None or _place(event) < least)
        ]
        shown = left[:limit]
        if len(left) > limit:
            return shown, "open.{}.{}".format(*_place(shown[-1]))
    if state == "open":
        return shown, None
    room = limit - len(shown)
    if not room:
        return shown, ALL_OPEN
    ids = {event["data"]["id"] for event in opened}
    streams = {name: keys.incidents(name) for name in names}
    before = None if after is not None or cursor == ALL_OPEN else cursor
    resolved = EventFilter("resolved", wanted.since_ms, wanted.severity)
    ended, following = await history.page(client, streams, resolved, room, before)
    return [*shown, *(one for one in ended if one["data"].get("id") not in ids)], following


def _place(event: Any) -> tuple[int, str]:
    """Return by what the open incidents are sorted, the latest first."""
    return event["data"]["opened"], event["data"]["id"]


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
    return sorted(events, key=_place, reverse=True)


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
