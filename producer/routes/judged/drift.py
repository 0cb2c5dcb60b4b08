"""GET /drift: the current window of a model version, per feature."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.routes.parameters import ModelName
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.unpacking import UNREADABLE


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["drift"])

    @routes.get("/drift")
    @needs("read")
    @answers(Snapshot, "The current window against the reference, per feature.")
    async def get_drift(
        model: ModelName = None,
        version: Annotated[
            str | None, Query(description="The version; the one that was judged last if absent.")
        ] = None,
    ) -> Response:
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
            raise _unread()
        # in a thread: a window of a thousand features has megabytes
        return await asyncio.to_thread(_answer, max(created, key=created.__getitem__))

    return routes


async def _judged(parts: Parts, model: str, version: str | None) -> Any:
    key = parts.keys.current(model)
    if version is None:
        return await parts.reader.hgetall(key)
    found = await parts.reader.hget(key, version)
    return {} if found is None else {version.encode(): found}


def _answer(packed: bytes) -> Response:
    try:
        return answer(msgspec.json.decode(packed, type=Snapshot))
    except UNREADABLE:
        raise _unread() from None


def _unread() -> Problem:
    return Problem(500, "The current window cannot be read: another version wrote it.")


def _created(snapshot: bytes) -> int | None:
    """Return when a window was judged; None for one that cannot be read, which hides no other."""
    try:
        return msgspec.json.decode(snapshot, type=CurrentState).created
    except UNREADABLE:
        return None
