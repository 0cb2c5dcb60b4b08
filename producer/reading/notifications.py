"""The routes of notifications, as the worker tells of them in Redis."""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis.asyncio

from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.fault import StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    ABOUT,
    STATUS,
    RouteAbout,
    RouteFailure,
    RouteStatus,
)
from driftgauge.shared.losses import SETBACK_FIELD, Setback, noted
from driftgauge.shared.moments import Moment
from driftgauge.shared.unpacking import UNREADABLE

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
MOST_ROUTES: Final = 100
"""Most routes that are read; a policy file has no more."""


class NotificationRoute(msgspec.Struct, frozen=True):
    """A route by which people are told of incidents.

    Parameters
    ----------
    kind
        Kind of its target, such as `webhook`.
    host
        Host of its target; empty if it has none, or if its address is a secret.
    matches, quiet
        What it takes, and when it tells nothing, in words; `quiet` is empty for never.
    group_seconds, repeat_minutes
        How long news waits for more, and after which time an open incident is told again.
    sent, refused, retried
        Messages that the target took; that became dead letters; attempts that failed and were
        repeated.
    waiting
        Incidents with news that is not told yet, also for quiet hours.
    overdue
        Since when the oldest of those waits that wait for the target alone; null without one.
    last_sent
        When the target last took a message; null for never.
    failure
        What it fails on; null if its target took the last message.
    dead_letters
        Messages that were refused and are kept.
    fault
        What the worker fails on before it can send, such as a secret that is gone; null if on
        nothing.
    """

    name: str
    kind: str = ""
    host: str = ""
    matches: str = ""
    quiet: str = ""
    group_seconds: float = 0
    repeat_minutes: float = 0
    sent: int = 0
    refused: int = 0
    retried: int = 0
    waiting: int = 0
    overdue: Moment | None = None
    last_sent: Moment | None = None
    failure: RouteFailure | None = None
    dead_letters: int = 0
    fault: StageFault | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that a target refused for good.

    Parameters
    ----------
    route
        The route.
    at
        When it became one.
    incident
        Id of the incident that it told of; empty if that is not known.
    """

    route: str
    at: Moment
    model: str
    incident: str
    reason: str


async def routes(client: redis.asyncio.Redis, keys: Keys) -> list[NotificationRoute]:
    """Return the routes that there are, by name. What was written by hand, or by another release,
    is left out.
    """
    reading: Any = client.smembers(keys.routes)
    try:
        members: set[bytes] = await reading
    except redis.ResponseError:  # a key of another type, which no worker could use
        return []
    decoded = sorted(member.decode(errors="replace") for member in members)
    names = [name for name in decoded if NAME.fullmatch(name)][:MOST_ROUTES]
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(keys.route(name), ABOUT, STATUS, FAULT)
            pipe.xlen(keys.route_dead(name))
        replies = await pipe.execute(raise_on_error=False)
    return [
        _route(name, fields, letters)
        for name, fields, letters in zip(names, replies[::2], replies[1::2], strict=True)
        if isinstance(fields, list)
    ]


async def setbacks(client: redis.asyncio.Redis, keys: Keys, names: Sequence[str]) -> list[Setback]:
    """Return what workers found of the checkpoints of some routes to have gone back."""
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hget(keys.route(name), SETBACK_FIELD.decode())
        replies = await pipe.execute(raise_on_error=False)
    packed = (reply for reply in replies if isinstance(reply, bytes))
    return [one for found in packed for one in noted(found)]


async def dead_letters(
    client: redis.asyncio.Redis, keys: Keys, names: Sequence[str], most: int
) -> list[DeadLetter]:
    """Return the latest dead letters of some routes, the latest first."""
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.xrevrange(keys.route_dead(name), count=most)
        replies = await pipe.execute(raise_on_error=False)
    found = [
        _letter(name, entry_id, fields)
        for name, reply in zip(names, replies, strict=True)
        if isinstance(reply, list)
        for entry_id, fields in reply
    ]
    return sorted(found, key=lambda letter: -letter.at)[:most]


def _route(name: str, fields: list[bytes | None], letters: Any) -> NotificationRoute:
    about = _decoded(fields[0], RouteAbout)
    status = _decoded(fields[1], RouteStatus) or RouteStatus()
    fault = _decoded(fields[2], StageFault)
    told = {} if about is None else msgspec.structs.asdict(about)
    told |= {"name": name}
    told.pop("told", None)
    return NotificationRoute(
        **told,
        **msgspec.structs.asdict(status),
        dead_letters=letters if isinstance(letters, int) else 0,
        fault=None if fault is None or fault.over else fault,
    )


def _decoded(packed: bytes | None, form: Any) -> Any:
    if packed is None:
        return None
    try:
        return msgspec.json.decode(packed, type=form)
    except UNREADABLE:
        return None


def _letter(route: str, entry_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    def text(field: bytes) -> str:
        return fields.get(field, b"").decode(errors="replace")

    incident, _, _ = text(b"key").partition("-")
    return DeadLetter(
        route, EntryId.parse(entry_id.decode()).ms, text(b"model"), incident, text(b"reason")
    )
