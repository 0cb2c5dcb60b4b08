"""GET /drift: the current window of a model version, per feature."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.unpacking import UNREADABLE


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["drift"])

    @routes.get("/drift")
    @needs("read")
    async def drift(model: str | None = None, version: str | None = None) -> Response:
        """Return the current window's statistics, of the version that was judged last if none is
        named.
        """
        name = await known_model(parts, model)
        judged: dict[bytes, bytes] = await _judged(parts, name, version)
        if not judged:
            which = name if version is None else f"{name} {version[:64]}"
            raise Problem(
                404,
                f"Nothing of {which} has been judged yet; the worker (`driftgauge worker`) does "
                f"that.",
            )
        created = {packed: time for packed in judged.values() if (time := _created(packed))}
        if not created:
            raise Problem(500, "The current window cannot be read: another version wrote it.")
        return Response(max(created, key=created.__getitem__), media_type="application/json")

    return routes


async def _judged(parts: Parts, model: str, version: str | None) -> Any:
    key = parts.keys.current(model)
    if version is None:
        return await parts.reader.hgetall(key)
    found = await parts.reader.hget(key, version)
    return {} if found is None else {version.encode(): found}


def _created(snapshot: bytes) -> int | None:
    """Return when a window was judged; None for one that cannot be read, which hides no other."""
    try:
        return msgspec.json.decode(snapshot, type=CurrentState).created
    except UNREADABLE:
        return None
