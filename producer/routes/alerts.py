"""GET /alerts and /alerts/stream: the transitions of alerts, as CloudEvents."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from producer.access import Guarded, caller_of, needs
from producer.parts import Parts
from producer.positions import entry_number
from producer.routes.reading import known_model
from producer.streams import newest


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["alerts"])

    @routes.get("/alerts")
    @needs("read")
    async def alerts(model: str | None = None, count: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """Give the latest transitions, newest first, of one model or of all."""
        models = await parts.subscriptions.models() if model is None else {await known_model(parts, model)}
        found = [entry for name in models for entry in await _latest(parts, name, count)]
        found.sort(key=lambda entry: entry[0], reverse=True)
        body = msgspec.json.encode({"alerts": [event for _, event in found[:count]]})
        return Response(body, media_type="application/json")

    @routes.get("/alerts/stream", response_class=StreamingResponse)
    @needs("read")
    async def stream(
        request: Request,
        model: str | None = None,
        last_event_id: str | None = None,
        header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> StreamingResponse:
        """Follow the transitions as server-sent events; `Last-Event-ID` resumes without loss."""
        caller = caller_of(request)
        name = None if model is None else await known_model(parts, model)
        after = last_event_id if header is None else header
        subscription = await parts.subscriptions.open(name, after)
        return StreamingResponse(
            while_allowed(subscription.blocks(), lambda: parts.access.still(caller, "read")),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return routes


async def while_allowed(blocks: AsyncIterator[bytes], allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Pass blocks on until their reader's key is revoked or over; it is noticed at the next block, a heartbeat at latest."""
    async for block in blocks:
        if not allowed():
            return
        yield block


async def _latest(parts: Parts, model: str, count: int) -> list[tuple[tuple[int, int], Any]]:
    """Read the newest transitions of a model; an entry that is no JSON is passed over."""
    found = []
    for entry_id, payload in await newest(parts.reader, parts.keys.alerts(model), count):
        try:
            event = msgspec.json.decode(payload)
        except ValueError:  # written by hand; judging writes only JSON
            continue
        found.append((entry_number(entry_id), event))
    return found
