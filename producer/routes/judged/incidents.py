"""The incidents' routes: what is open, the history, one incident's life, and the commands to
acknowledge and silence.
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
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.producer.routes.judged.commands import JSON, Seen, SilenceFor, ask
from driftgauge.producer.routes.judged.streaming import followed
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.watching import watchdog
from driftgauge.shared.contract.commands import Acknowledge, Command
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.unpacking import UNREADABLE

IncidentId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["incidents"])

    @routes.get("/incidents")
    @needs("read")
    async def incidents(
        model: str | None = None,
        state: Literal["open", "resolved"] | None = None,
        severity: Literal["warning", "critical"] | None = None,
        since: AwareDatetime | None = None,
        count: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: str | None = None,
    ) -> Response:
        """Return the incidents of one model or of all, each as it was last: those that are open,
        the latest first, then those that resolved. `next` is `before` of the following page.
        """
        models = (
            await parts.subscriptions.models()
            if model is None
            else {await known_model(parts, model)}
        )
        oldest = None if since is None else round(since.timestamp() * 1000)
        wanted = EventFilter(None, oldest, severity)
        opened = await open_incidents(parts.reader, parts.keys, models)
        found = [event for event in opened if wanted.matches(event)]
        found = found if before is None and state != "resolved" else []
        following = None
        if state != "open":
            names = {event["data"]["id"] for event in opened}
            streams = {name: parts.keys.incidents(name) for name in models}
            wanted = EventFilter("resolved", oldest, severity)
            ended, following = await page(parts.reader, streams, wanted, count, before)
            found += [event for event in ended if event["data"].get("id") not in names]
        return Response(
            msgspec.json.encode({"incidents": found, "next": following}), media_type=JSON
        )

    @routes.get("/incidents/stream", response_class=StreamingResponse)
    @needs("read")
    async def stream(
        request: Request,
        model: str | None = None,
        last_event_id: str | None = None,
        header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> StreamingResponse:
        """Follow the transitions as server-sent events; `Last-Event-ID` resumes without loss."""
        after = last_event_id if header is None else header
        return await followed(parts, parts.incidents, request, model, after)

    @routes.get("/incidents/{incident}")
    @needs("read")
    async def one(incident: IncidentId) -> Response:
        """Return the life of one incident: all of its transitions that are kept, oldest first."""
        streams = [parts.keys.incidents(name) for name in await parts.subscriptions.models()]
        found = await life(parts.reader, streams, "id", incident)
        if not found:
            raise Problem(
                404, f"No incident with the id {incident} is kept; GET /incidents lists them."
            )
        return Response(msgspec.json.encode({"incidents": found}), media_type=JSON)

    @routes.post("/incidents/{incident}/acknowledge", status_code=202)
    @needs("admin")
    async def acknowledge(incident: IncidentId, said: Seen, request: Request) -> Response:
        """Mark an open incident and its alerts as seen: no more reminders of them. The worker
        applies it and writes a transition.
        """
        return await _ask(parts, incident, said.command(incident, request))

    @routes.post("/incidents/{incident}/silence", status_code=202)
    @needs("admin")
    async def silence(incident: IncidentId, said: SilenceFor, request: Request) -> Response:
        """Send no notifications of an open incident and its alerts for a time; its transitions are
        still recorded.
        """
        return await _ask(parts, incident, said.command(incident, request))

    return routes


async def _ask(parts: Parts, incident: str, command: Command) -> Response:
    """Write a command to the model that has the incident open; all models are asked at once."""
    models = sorted(await parts.subscriptions.models())
    pipe = parts.reader.pipeline(transaction=False)
    for model in models:
        pipe.hexists(parts.keys.open_incidents(model), incident)
    found = await pipe.execute(raise_on_error=False)
    for model, held in zip(models, found, strict=True):
        if held == 1:  # else it is 0, or an error of a key of another type
            return await mark(parts, model, incident, command)
    raise _not_open(incident)


async def mark(parts: Parts, model: str, incident: str, command: Command) -> Response:
    """Write a command to a model that has the incident open, or leave it to the watchdog if the
    incident is the watchdog's.

    Raises
    ------
    Problem
        404 if the incident is not open, 409 if it cannot be marked so.
    """
    reading: Any = parts.reader.hget(parts.keys.open_incidents(model), incident)
    packed: bytes | None = await reading
    if packed is None:
        raise _not_open(incident)
    fingerprint = _watched(packed)
    if not fingerprint:
        return await ask(parts, model, command)
    seen = isinstance(command, Acknowledge) and await watchdog.acknowledge(
        parts.reader, parts.keys, model, Acknowledge(fingerprint, command.who, command.note)
    )
    if seen:
        body = {"command": "", "model": model, "fingerprint": incident}
        return Response(msgspec.json.encode(body), 202, media_type=JSON)
    raise Problem(
        409,
        "This incident is the watchdog's: it ends when its cause is gone, and cannot be "
        "silenced; only what was lost or rolled back can be acknowledged.",
    )


def _not_open(incident: str) -> Problem:
    return Problem(
        404,
        f"No open incident has the id {incident}. It may have resolved. "
        "GET /incidents?state=open lists what is open.",
    )


def _watched(packed: bytes) -> str:
    """Return the fingerprint of the watchdog's alert that an incident is; else nothing."""
    try:
        cause = msgspec.convert(msgspec.json.decode(packed)["data"], Incident).cause
    except UNREADABLE:  # written by hand: judging says what it cannot apply
        return ""
    return cause.fingerprint if cause.kind == "monitor" else ""
