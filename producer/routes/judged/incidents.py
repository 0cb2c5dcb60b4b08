"""The incidents' routes: what is open, the history, one incident's life, and the commands to
acknowledge and silence.
"""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.answers.cloud_events import IncidentEvent, events_of
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import EventFilter, placed_life
from driftgauge.producer.reading.incidents import page
from driftgauge.producer.reading.pages import page_of
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.judged.alerts import STREAM, AlertSeverity
from driftgauge.producer.routes.judged.commands import (
    ACCEPTED,
    CommandWritten,
    Seen,
    SilenceFor,
    ask,
)
from driftgauge.producer.routes.judged.streaming import FOLLOWED, LastEventId, LastSeen, followed
from driftgauge.producer.routes.model_choice import chosen_models
from driftgauge.producer.routes.parameters import AnyModel, Cursor, Limit, Since
from driftgauge.producer.watching import watchdog
from driftgauge.shared.contract.commands import Acknowledge, Command
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.unpacking import UNREADABLE

IncidentId = Annotated[
    str, Path(pattern="^[0-9a-f]{16}$", description="Id of the incident in all of its transitions.")
]
WATCHDOGS = (
    "The incident is the watchdog's: it ends when its cause is gone. It cannot be silenced, and "
    "only what was lost or rolled back can be acknowledged."
)


class IncidentPage(msgspec.Struct, frozen=True):
    """A page of incidents, or of the transitions of one.

    Parameters
    ----------
    next
        Cursor of the next page; null on the last one.
    """

    incidents: list[IncidentEvent]
    next: str | None


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["incidents"])

    @routes.get("/incidents")
    @needs("read")
    @answers(IncidentPage, "Each incident by its latest transition.")
    async def list_incidents(
        model: AnyModel = None,
        state: Annotated[
            Literal["open", "resolved"] | None, Query(description="Only those in this state.")
        ] = None,
        severity: AlertSeverity = None,
        since: Since = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Return the incidents of one model or of all, each as it was last: those that are open,
        the latest first, then those that resolved.
        """
        models, wanted = await chosen_models(parts, model), EventFilter(None, since, severity)
        found, following = await page(
            parts.reader, parts.keys, models, state, wanted, limit, cursor
        )
        return answer(IncidentPage(events_of(found, IncidentEvent), following))

    @routes.get("/incidents/stream")
    @needs("read")
    @answers(STREAM, FOLLOWED)
    async def follow_incidents(
        request: Request,
        model: AnyModel = None,
        last_event_id: LastSeen = None,
        header: LastEventId = None,
    ) -> Response:
        """Follow the transitions as server-sent events, each an incident's CloudEvent as `data`;
        `Last-Event-ID` resumes without loss.
        """
        after = last_event_id if header is None else header
        return await followed(parts, parts.incidents, request, model, after)

    @routes.get("/incidents/{incident}")
    @needs("read")
    @answers(IncidentPage, "The transitions of the incident, the oldest first.")
    async def get_incident(
        incident: IncidentId, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        """Return the life of one incident: its transitions that are kept, oldest first."""
        streams = [parts.keys.incidents(name) for name in await parts.subscriptions.models()]
        found = await placed_life(parts.reader, streams, "id", incident)
        if not found:
            raise Problem(
                404, f"No incident with the id {incident} is kept; GET /incidents lists them."
            )
        shown, following = page_of(found, limit, cursor)
        return answer(IncidentPage(events_of(shown, IncidentEvent), following))

    @routes.post("/incidents/{incident}/acknowledge")
    @needs("admin")
    @answers(CommandWritten, ACCEPTED, status=202, others={409: WATCHDOGS})
    async def acknowledge_incident(incident: IncidentId, said: Seen, request: Request) -> Response:
        """Mark an open incident and its alerts as seen: no more reminders of them. The worker
        applies it and writes a transition.
        """
        return await _ask(parts, incident, said.command(incident, request))

    @routes.post("/incidents/{incident}/silence")
    @needs("admin")
    @answers(CommandWritten, ACCEPTED, status=202, others={409: WATCHDOGS})
    async def silence_incident(
        incident: IncidentId, said: SilenceFor, request: Request
    ) -> Response:
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
        return answer(CommandWritten("", model, incident), 202)
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
