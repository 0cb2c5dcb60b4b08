"""GET /notifications: the routes by which people are told of incidents, and how each does."""

from typing import Final

import msgspec
from fastapi import APIRouter, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.notifications import (
    DeadLetter,
    NotificationRoute,
    dead_letters,
    routes,
)
from driftgauge.producer.routes.answering import answer

LETTERS: Final = 20
"""Most dead letters that are told of all routes."""


class Notifications(msgspec.Struct, frozen=True):
    """The routes of notifications by name, and the latest messages that their targets refused."""

    routes: list[NotificationRoute]
    dead_letters: list[DeadLetter]


async def read(parts: Parts) -> Notifications:
    """Read the routes and their latest dead letters."""
    found = await routes(parts.reader, parts.keys)
    names = [route.name for route in found]
    return Notifications(found, await dead_letters(parts.reader, parts.keys, names, LETTERS))


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    made = APIRouter(route_class=Guarded, tags=["incidents"])

    @made.get("/notifications")
    @needs("read")
    @answers(Notifications, "The routes, and the latest dead letters.")
    async def list_notifications() -> Response:
        """Return the routes of notifications: what each takes, how many messages it sent and how
        many wait, and what it fails on. No secret and no address is among that.
        """
        return answer(await read(parts))

    return made
