"""GET /dashboard/incidents and /dashboard/incidents/ID: what is open and what to do about it, and
one incident with its evidence. POST /dashboard/incidents/acknowledge: some of them at once.
"""

from typing import Annotated, Final, Literal
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Path, Query, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard.rendering import Blank, page, root_of
from driftgauge.producer.dashboard.views.standings import sorted_incidents
from driftgauge.producer.dashboard.views.timeline import drawn, timeline
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import read_body
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import history
from driftgauge.producer.reading.history import NAME, EventFilter, readable
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.producer.routes.judged.commands import LONGEST_NOTE, Seen
from driftgauge.producer.routes.judged.incidents import mark
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.rules import rule_of

PAGE: Final = 50
MOST_CHOSEN: Final = 500
"""Most incidents that are acknowledged at once."""
MOST_FORM_BYTES: Final = 1 << 16


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
        acknowledged: Annotated[int, Query(ge=0)] = 0,
        gone: Annotated[int, Query(ge=0)] = 0,
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
            opened=sorted_incidents(opened),
            ended=readable(ended, Incident),
            following=following,
            before=before,
            acknowledged=acknowledged,
            gone=gone,
            timeline=timeline,
            may_be_marked=may_be_marked,
        )

    @routes.post("/dashboard/incidents/acknowledge")
    @needs("admin")
    async def acknowledge(request: Request) -> Response:
        """Acknowledge the incidents that a form names, with one note; then lead back to the list,
        which says how many that were.
        """
        asked = await _form(request)
        note = asked.get("note", [""])[0].strip()
        if len(note) > LONGEST_NOTE:
            raise Problem(422, f"The note has more than {LONGEST_NOTE} characters.")
        done = gone = 0
        for chosen in asked.get("incident", []):
            model, _, incident = chosen.partition(" ")
            if not MODEL_NAME.fullmatch(model) or not NAME.fullmatch(incident):
                raise Problem(422, "An incident is chosen by its model, a blank and its id.")
            try:
                await mark(
                    parts, model, incident, Seen(note=note, who="").command(incident, request)
                )
                done += 1
            except Problem:  # it resolved meanwhile, or is the watchdog's: the list tells
                gone += 1
        kept = {name: asked[name][0] for name in ("model", "severity") if name in asked}
        told = {"acknowledged": done} | ({"gone": gone} if gone else {})
        address = f"{root_of(request)}/dashboard/incidents?{urlencode(kept | told)}"
        return Response(status_code=303, headers={"Location": address})

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
            steps=timeline(found[-1]),
            picture=drawn(found[-1]),
            may_be_marked=may_be_marked,
        )

    return routes


def may_be_marked(incident: Incident) -> bool:
    """Return whether a person can acknowledge an incident: every one of judging, and those of the
    watchdog that tell what happened.
    """
    cause = incident.cause
    return cause.kind != "monitor" or rule_of(cause.rule).until_acknowledged


async def _form(request: Request) -> dict[str, list[str]]:
    """Read what a form sent, by field."""
    body = await read_body(request, MOST_FORM_BYTES)
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=MOST_CHOSEN)
    except ValueError as error:
        raise Problem(
            422, f"At most {MOST_CHOSEN} incidents are acknowledged at once; choose fewer."
        ) from error
