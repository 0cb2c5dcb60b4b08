"""GET /dashboard/incidents and /dashboard/incidents/ID: what is open and what to do about it, and
one incident with its evidence.
"""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard.rendering import Blank, page
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import history
from driftgauge.producer.reading.history import EventFilter, readable
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.rules import rule_of

PAGE: Final = 50


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)

    @routes.get("/dashboard/incidents")
    @needs("read")
    async def listed(
        request: Request,
        model: Annotated[str | None, Blank] = None,
        severity: Annotated[Literal["warning", "critical"] | None, Blank] = None,
        before: Annotated[str, Query(max_length=8192)] = "",
    ) -> Response:
        """Return the open incidents, and those that resolved."""
        every = sorted(await parts.subscriptions.models())
        names = every if model is None else [await known_model(parts, model)]
        events = await open_incidents(parts.reader, parts.keys, names)
        opened = [
            one
            for one in readable(events, Incident)
            if severity is None or one.severity == severity
        ]
        streams = {name: parts.keys.incidents(name) for name in names}
        wanted = EventFilter("resolved", None, severity)
        ended, following = await history.page(parts.reader, streams, wanted, PAGE, before or None)
        return page(
            request,
            "incidents.html.j2",
            model=model,
            models=every,
            severity=severity,
            opened=sorted(opened, key=lambda one: (one.severity != "critical", -one.opened)),
            ended=readable(ended, Incident),
            following=following,
            before=before,
            may_be_marked=may_be_marked,
        )

    @routes.get("/dashboard/incidents/{incident}")
    @needs("read")
    async def one(
        request: Request, incident: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
    ) -> Response:
        """Return one incident: what happened, what to do, its evidence and its life."""
        models = await parts.subscriptions.models()
        streams = [parts.keys.incidents(name) for name in models]
        found = readable(await history.life(parts.reader, streams, "id", incident), Incident)
        if not found:
            raise Problem(
                404,
                f"No incident with the id {incident} is kept; /dashboard/incidents has those that "
                "are.",
            )
        return page(
            request,
            "incident.html.j2",
            model=found[-1].model,
            incident=found[-1],
            life=[step for step in reversed(found) if step.change != "evidence"],
            may_be_marked=may_be_marked,
        )

    return routes


def may_be_marked(incident: Incident) -> bool:
    """Return whether a person can acknowledge an incident: every one of judging, and those of the
    watchdog that tell what happened.
    """
    cause = incident.cause
    return cause.kind != "monitor" or rule_of(cause.rule).until_acknowledged
