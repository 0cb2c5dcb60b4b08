"""The history of alerts and incidents: pages of their streams, newest first, and the life of one.

Entries that are not JSON, or not the requested kind, were written by hand and are skipped.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import redis.asyncio

from driftgauge.producer.reading.pages import merged_page
from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.unpacking import UNREADABLE

NAME: Final = re.compile("[0-9a-f]{16}")
"""Fingerprint of an alert, or id of an incident."""

Told = TypeVar("Told", Alert, Incident)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Filter of transitions: the state entered, the least logical time (ms), the severity; None for
    any.
    """

    state: str | None = None
    since_ms: int | None = None
    severity: str | None = None

    def matches(self, event: Any) -> bool:
        """Tell whether an event is wanted.

        Examples
        --------
        >>> (
        ...     EventFilter("firing").matches({"data": {"state": "firing"}}),
        ...     EventFilter("firing").matches({"data": {}}),
        ... )
        (True, False)
        """
        if self.state is None and self.since_ms is None and self.severity is None:
            return True
        alert = event.get("data") if isinstance(event, dict) else None
        if not isinstance(alert, dict) or (
            self.state is not None and alert.get("state") != self.state
        ):
            return False
        if self.severity is not None and alert.get("severity") != self.severity:
            return False
        updated = alert.get("updated")
        return self.since_ms is None or (isinstance(updated, int) and updated >= self.since_ms)


async def page(
    client: redis.asyncio.Redis,
    streams: Mapping[str, str],
    wanted: EventFilter,
    limit: int,
    cursor: str | None,
) -> tuple[list[Any], str | None]:
    """Return up to `limit` transitions as events, newest first, and the cursor of the next page.

    `streams` is the key of each model's stream. The second value is None if nothing is left.

    Raises
    ------
    Problem
        400 if `cursor` is not what a page returned.
    """

    def decode(fields: Fields) -> Any:
        event = _event(fields)
        return event if wanted.matches(event) else None

    return await merged_page(client, streams, decode, limit, cursor)


async def life(
    client: redis.asyncio.Redis, streams: Iterable[str], field: str, value: str
) -> list[Any]:
    """Return all kept transitions of the alert or incident whose `field` has a value, oldest first.

    `streams` are the keys to look in.
    """
    return [event for _, event in await placed_life(client, streams, field, value)]


async def placed_life(
    client: redis.asyncio.Redis, streams: Iterable[str], field: str, value: str
) -> list[tuple[str, Any]]:
    """Return the same, each transition behind its place in the stream, as text that sorts so."""

    def decode(fields: Fields) -> Any:
        event = _event(fields)
        alert = event.get("data") if isinstance(event, dict) else None
        is_one = isinstance(alert, dict) and alert.get(field) == value
        return event if is_one else None

    for stream in sorted(streams):
        walked = backwards_async(client, stream, Backwards(decode))
        if found := [(f"{at.ms:020d}-{at.sequence:020d}", event) async for at, event in walked]:
            return found[::-1]
    return []


def readable(events: Sequence[Any], kind: type[Told]) -> list[Told]:
    """Return the alerts or incidents of events; what this release cannot read, or has an id that no
    page could have, is left out.
    """
    found = []
    for event in events:
        try:
            told = msgspec.convert(event["data"], kind)
        except UNREADABLE:  # the API gives it as it is
            continue
        name = told.fingerprint if isinstance(told, Alert) else told.id
        if NAME.fullmatch(name):
            found.append(told)
    return found


def _event(fields: Fields) -> Any:
    return msgspec.json.decode(fields.get(b"e", b""))
