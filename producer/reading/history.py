"""The history of alerts: pages of the alert streams, newest first, and the life of one alert.

A page's end is a position in every stream, written as one opaque text. Entries that are no JSON, or
no alert where one is asked for, were written by hand and are passed over.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.positions import Positions, read_vector, write_vector
from driftgauge.shared.contract.entry_id import EntryId, exclusive
from driftgauge.shared.contract.keys import Keys

READ = 200
"""Entries read at once."""
Found = tuple[EntryId, str, Any]
"""Entry id, model, event."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transitions: those that enter a state, not before a logical time (ms), of a severity;
    None for any.
    """

    state: str | None = None
    since_ms: int | None = None
    severity: str | None = None

    def takes(self, event: Any) -> bool:
        """Tell whether an event is wanted.

        Examples
        --------
        >>> Wanted("firing").takes({"data": {"state": "firing"}}), Wanted("firing").takes({"data": {}})
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
    keys: Keys,
    models: Iterable[str],
    wanted: Wanted,
    count: int,
    before: str | None,
) -> tuple[list[Any], str | None]:
    """Give up to `count` transitions, newest first, and where the next page begins; None if there
    is none.

    Raises
    ------
    Problem
        400 if `before` is not what a page gave.
    """
    ends = _ends(before)
    found: list[Found] = []
    for model in sorted(models):
        of_model = 0
        async for entry_id, event in _backwards(client, keys.alerts(model), ends.get(model)):
            if wanted.takes(event):
                found.append((EntryId.parse(entry_id), model, event))
                of_model += 1
            if (
                of_model > count
            ):  # one more than can be shown: so it is known that there is a next page
                break
    found.sort(key=lambda one: one[0], reverse=True)
    shown = found[:count]
    for place, model, _ in shown:
        ends[model] = str(place)
    return [event for _, _, event in shown], write_vector(ends) if len(found) > count else None


async def life(
    client: redis.asyncio.Redis, keys: Keys, models: Iterable[str], fingerprint: str
) -> list[Any]:
    """Give all kept transitions of an alert, oldest first."""
    found: list[Any] = []
    for model in sorted(models):
        async for _, event in _backwards(client, keys.alerts(model), None):
            alert = event.get("data") if isinstance(event, dict) else None
            if isinstance(alert, dict) and alert.get("fingerprint") == fingerprint:
                found.append(event)
        if found:
            break
    return found[::-1]


async def _backwards(
    client: redis.asyncio.Redis, key: str, before: str | None
) -> AsyncIterator[tuple[str, Any]]:
    """Read a stream from its end, or from before an entry, to its beginning."""
    end = "+" if before is None else exclusive(before)
    while True:
        entries: Any = await client.xrevrange(key, max=end, count=READ)
        for entry_id, fields in entries:
            end = exclusive(entry_id)
            try:
                yield entry_id.decode(), msgspec.json.decode(fields.get(b"e", b""))
            except ValueError:  # written by hand; judging writes only JSON
                continue
        if len(entries) < READ:
            return


def _ends(before: str | None) -> Positions:
    try:
        return {} if before is None else read_vector(before)
    except Problem:
        raise Problem(
            400, "`before` is not the `next` of a page; leave it out to begin with the newest."
        ) from None
