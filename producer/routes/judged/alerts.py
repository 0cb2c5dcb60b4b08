"""The alerts' routes: history, one alert's life, the live stream, and the commands to acknowledge
and silence.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.answers.cloud_events import AlertEvent, events_of
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import EventFilter, page, placed_life
from driftgauge.producer.reading.pages import page_of
from driftgauge.producer.routes.answering import answer
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
from driftgauge.shared.contract.snapshot_parts import CurrentState
from driftgauge.shared.unpacking import UNREADABLE

Fingerprint = Annotated[
    str, Path(pattern="^[0-9a-f]{16}$", description="Id of the alert in all of its transitions.")
]
AlertSeverity = Annotated[
    Literal["warning", "critical"] | None, Query(description="Only of this severity.")
]
STREAM: Final = {"text/event-stream": str}


class AlertPage(msgspec.Struct, frozen=True):
    """A page of alert transitions.

    Parameters
    ----------
    next
        Cursor of the next page; null on the last one.
    """

    alerts: list[AlertEvent]
    next: str | None


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["alerts"])

    @routes.get("/alerts")
    @needs("read")
    @answers(AlertPage, "Transitions, the newest first.")
    async def list_alerts(
        model: AnyModel = None,
        state: Annotated[
            Literal["pending", "firing", "resolved", "inactive"] | None,
            Query(description="Only those that enter this state."),
        ] = None,
        severity: AlertSeverity = None,
        since: Since = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Return the transitions of alerts, newest first, of one model or of all."""
        wanted = EventFilter(state, since, severity)
        streams = {name: parts.keys.alerts(name) for name in await chosen_models(parts, model)}
        found, following = await page(parts.reader, streams, wanted, limit, cursor)
        return answer(AlertPage(events_of(found, AlertEvent), following))

    @routes.get("/alerts/stream")
    @needs("read")
    @answers(STREAM, FOLLOWED)
    async def follow_alerts(
        request: Request,
        model: AnyModel = None,
        last_event_id: LastSeen = None,
        header: LastEventId = None,
    ) -> Response:
        """Follow the transitions as server-sent events, each an alert's CloudEvent as `data`;
        `Last-Event-ID` resumes without loss.
        """
        after = last_event_id if header is None else header
        return await followed(parts, parts.subscriptions, request, model, after)

    @routes.get("/alerts/{fingerprint}")
    @needs("read")
    @answers(AlertPage, "The transitions of the alert, the oldest first.")
    async def get_alert(
        fingerprint: Fingerprint, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        """Return the life of one alert: its transitions that are kept, oldest first."""
        streams = [parts.keys.alerts(name) for name in await parts.subscriptions.models()]
        found = await placed_life(parts.reader, streams, "fingerprint", fingerprint)
        if not found:
            raise Problem(
                404, f"No alert with the fingerprint {fingerprint} is kept; GET /alerts lists them."
            )
        shown, following = page_of(found, limit, cursor)
        return answer(AlertPage(events_of(shown, AlertEvent), following))

    @routes.post("/alerts/{fingerprint}/acknowledge")
    @needs("admin")
    @answers(CommandWritten, ACCEPTED, status=202)
    async def acknowledge_alert(fingerprint: Fingerprint, said: Seen, request: Request) -> Response:
        """Mark an open alert as seen: no more reminders of it. The worker applies it and writes a
        transition.
        """
        return await _ask(parts, fingerprint, said.command(fingerprint, request))

    @routes.post("/alerts/{fingerprint}/silence")
    @needs("admin")
    @answers(CommandWritten, ACCEPTED, status=202)
    async def silence_alert(
        fingerprint: Fingerprint, said: SilenceFor, request: Request
    ) -> Response:
        """Send no notifications of an open alert for a time; its transitions are still recorded."""
        return await _ask(parts, fingerprint, said.command(fingerprint, request))

    return routes


async def _ask(parts: Parts, fingerprint: str, command: Command) -> Response:
    """Write a command to the model that has the alert open."""
    for model in sorted(await parts.subscriptions.models()):
        if isinstance(command, Acknowledge) and await watchdog.acknowledge(
            parts.reader, parts.keys, model, command
        ):
            return answer(CommandWritten("", model, fingerprint), 202)
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
