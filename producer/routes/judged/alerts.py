"""The alerts' routes: history, one alert's life, the live stream, and the commands to acknowledge
and silence.
"""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import EventFilter, life, page
from driftgauge.producer.routes.judged.commands import Seen, SilenceFor, ask
from driftgauge.producer.routes.judged.streaming import followed
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.watching import watchdog
from driftgauge.shared.contract.commands import Acknowledge, Command
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.unpacking import UNREADABLE

Fingerprint = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
JSON = "application/json"


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["alerts"])

    @routes.get("/alerts")
    @needs("read")
    async def alerts(
        model: str | None = None,
        state: Literal["pending", "firing", "resolved", "inactive"] | None = None,
        severity: Literal["warning", "critical"] | None = None,
        since: AwareDatetime | None = None,
        count: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: str | None = None,
    ) -> Response:
        """Return transitions, newest first, of one model or of all; `next` is `before` of the
        following page.
        """
        models = (
            await parts.subscriptions.models()
            if model is None
            else {await known_model(parts, model)}
        )
        wanted = EventFilter(
            state, None if since is None else round(since.timestamp() * 1000), severity
        )
        streams = {name: parts.keys.alerts(name) for name in models}
        found, following = await page(parts.reader, streams, wanted, count, before)
        return Response(msgspec.json.encode({"alerts": found, "next": following}), media_type=JSON)

    @routes.get("/alerts/stream", response_class=StreamingResponse)
    @needs("read")
    async def stream(
        request: Request,
        model: str | None = None,
        last_event_id: str | None = None,
        header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> StreamingResponse:
        """Follow the transitions as server-sent events; `Last-Event-ID` resumes without loss."""
        after = last_event_id if header is None else header
        return await followed(parts, parts.subscriptions, request, model, after)

    @routes.get("/alerts/{fingerprint}")
    @needs("read")
    async def one(fingerprint: Fingerprint) -> Response:
        """Return the life of one alert: all of its transitions that are kept, oldest first."""
        streams = [parts.keys.alerts(name) for name in await parts.subscriptions.models()]
        found = await life(parts.reader, streams, "fingerprint", fingerprint)
        if not found:
            raise Problem(
                404, f"No alert with the fingerprint {fingerprint} is kept; GET /alerts lists them."
            )
        return Response(msgspec.json.encode({"alerts": found}), media_type=JSON)

    @routes.post("/alerts/{fingerprint}/acknowledge", status_code=202)
    @needs("admin")
    async def acknowledge(fingerprint: Fingerprint, said: Seen, request: Request) -> Response:
        """Mark an open alert as seen: no more reminders of it. The worker applies it and writes a
        transition.
        """
        return await _ask(parts, fingerprint, said.command(fingerprint, request))

    @routes.post("/alerts/{fingerprint}/silence", status_code=202)
    @needs("admin")
    async def silence(fingerprint: Fingerprint, said: SilenceFor, request: Request) -> Response:
        """Send no notifications of an open alert for a time; its transitions are still recorded."""
        return await _ask(parts, fingerprint, said.command(fingerprint, request))

    return routes


async def _ask(parts: Parts, fingerprint: str, command: Command) -> Response:
    """Write a command to the model that has the alert open."""
    for model in sorted(await parts.subscriptions.models()):
        if isinstance(command, Acknowledge) and await watchdog.acknowledge(
            parts.reader, parts.keys, model, command
        ):
            body = {"command": "", "model": model, "fingerprint": fingerprint}
            return Response(msgspec.json.encode(body), 202, media_type=JSON)
        if await _is_open(parts, model, fingerprint):
            return await ask(parts, model, command)
    raise Problem(
        404,
        f"No open alert has the fingerprint {fingerprint}. It may have resolved; of the watchdog's "
        "`blind.` alerts only `lost` and `rolled_back` can be acknowledged, and none be silenced. "
        "GET /alerts?state=firing lists what fired.",
    )


async def _is_open(parts: Parts, model: str, fingerprint: str) -> bool:
    """Look for an alert among the open ones of a model's current snapshots."""
    snapshots: Any = await parts.reader.hvals(parts.keys.current(model))
    for packed in snapshots:
        try:
            found = msgspec.json.decode(packed, type=CurrentState)
        except UNREADABLE:  # written by hand: it holds no alert that judging knows
            continue
        if any(alert.fingerprint == fingerprint for alert in found.alerts):
            return True
    return False
