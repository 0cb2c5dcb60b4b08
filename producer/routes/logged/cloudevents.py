"""POST /cloudevents: what KServe, Seldon Core and other servers log of their predictions.

A request and its answer come as two events of one id, in any order, doubled, or one of them never.
Each is taken by itself, and goes to the log by the way of all events; counting pairs them.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import JSON, Answer, answers, in_query, problem, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.exchanges.cloudevents import (
    BATCHED,
    STRUCTURED,
    CloudEvent,
    Found,
    read_events,
)
from driftgauge.producer.exchanges.halves import Half, Part, Reader, part_of
from driftgauge.producer.http.problems import RETRY_AFTER, Problem, encodable, invalid
from driftgauge.producer.intake.documents import MAX_ID, read_body
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.items import too_many
from driftgauge.producer.intake.rows import MOST_FAULTS
from driftgauge.producer.intake.turns import Turns, check_containers, run
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome, worst
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.logged.events import MOST_NAMED, EventsProblem, RejectedEvent
from driftgauge.producer.routes.raw_body import RawBodyRoute
from driftgauge.producer.scoring.serving import ServedVersion, only_model
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import FieldError

SERVICE: Final = "inferenceservicename"
"""Extension that names the model, if the request does not."""
EXCHANGE: Final = "A request or an answer, as a CloudEvent in the structured or the binary form."
EVENT: Final = Named("LoggedExchange", {"type": "object", "description": EXCHANGE})
BATCH: Final = Named("LoggedExchanges", {"type": "array", "items": {"type": "object"}})
MODEL: Final = in_query(
    "model", f"Else the attribute `{SERVICE}`; needed only if there are several."
)


class ExchangesAnswer(msgspec.Struct, frozen=True):
    """What became of logged requests and answers.

    Parameters
    ----------
    accepted
        Rows of requests and answers.
    rejected
        Rows and events that cannot be used; `index` is the place of the event.
    event
        What became of the accepted ones: they are in Redis, on disk, or in memory.
    """

    accepted: int
    rejected: list[RejectedEvent]
    event: Outcome


class Taken:
    """What was found in the events of a request.

    Attributes
    ----------
    halves
        Halves of predictions, by model.
    rejected
        Rows and events that cannot be used.
    """

    def __init__(self, most: int) -> None:
        self.halves: dict[str, list[Half]] = defaultdict(list)
        self.rejected: list[RejectedEvent] = []
        self.faults: list[FieldError] = []
        self.rows = 0
        self._most = most

    def take(self, model: str, halves: Sequence[Half]) -> None:
        """Take the halves of an event.

        Raises
        ------
        Problem
            413 if these are too many rows for one request.
        """
        self.rows += len(halves)
        if self.rows > self._most:
            raise too_many(self._most, "rows")
        self.halves[model] += halves

    def reject(self, index: int, name: str | None, faults: Sequence[FieldError]) -> None:
        """Note why a row, or a whole event, cannot be used."""
        named = [] if len(self.faults) >= MOST_NAMED else faults[:MOST_FAULTS]
        reason = "; ".join(f"{one.field[1:]} {one.message}".strip() for one in faults[:MOST_FAULTS])
        self.rejected.append(RejectedEvent(index, encodable(reason), list(named), name))
        self.faults += faults


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["predictions"])
    settings = parts.settings

    @routes.post("/cloudevents")
    @needs("predict")
    @takes({JSON: EVENT, STRUCTURED: EVENT, BATCHED: BATCH}, ENCODING, MODEL)
    @answers(
        ExchangesAnswer,
        "All of it is safe: in Redis or on disk.",
        others={
            202: Answer(
                "All of it is in memory, until Redis or the disk takes it.", {JSON: ExchangesAnswer}
            ),
            422: problem("Nothing can be used; each bad field by its place.", EventsProblem),
        },
    )
    async def publish_exchanges(request: Request) -> Response:
        """Take logged requests and answers of a model server, as CloudEvents."""
        body = await read_body(request, settings.events_max_bytes)
        model = request.query_params.get("model")
        check_containers(body)
        try:
            found, many = await run(len(body), read_events, request.headers, body)
        except BadData as error:
            parts.refusals.refuse(only_model(parts.serving, model), None, [_unreadable(error)])
            raise Problem(400, str(error)) from error
        if len(found) > settings.events_max_rows:
            raise too_many(settings.events_max_rows, "events")
        taken = await _taken(parts, found, model)
        if taken.rejected and not taken.rows:
            members = {"accepted": 0, "rejected": taken.rejected} if many else None
            raise invalid(taken.faults, members)
        outcome = await _publish(parts, taken)
        found_of = ExchangesAnswer(taken.rows, taken.rejected, outcome)
        return answer(found_of, 202 if outcome == "queued" else 200)

    return routes


async def _taken(parts: Parts, found: Sequence[Found], model: str | None) -> Taken:
    """Read each event by itself; what cannot be used is counted."""
    taken, turns, now = Taken(parts.settings.events_max_rows), Turns(), time.time_ns() // 1_000_000
    for index, event in enumerate(found):
        await turns.offer()
        served: ServedVersion | None = None
        part: Part | None = None
        name = event.id[:MAX_ID] if isinstance(event, CloudEvent) else None
        try:
            served, part = _meant(parts, event, model)
            reader = Reader(served.version, served.schema, served.complete, now)
            halves, faults = await run(len(event.data), reader.read, event, part)  # type: ignore[union-attr]  # _meant has looked
        except BadData as error:
            halves, faults = [], [[_unreadable(error)]]
        taken.take(served.model if served is not None else "", halves)
        for wrong in faults:
            known = served.model if served is not None else only_model(parts.serving, model)
            parts.refusals.refuse(known, served.schema if served is not None else None, wrong)
            taken.reject(index, name, wrong)
        if served is not None and part == "request":  # both halves are one event
            parts.refusals.take(served.model, len(halves))
    return taken


def _meant(parts: Parts, event: Found, model: str | None) -> tuple[ServedVersion, Part]:
    """Return the version that an event is about, and its part.

    Raises
    ------
    BadData
        If it cannot be told.
    """
    if isinstance(event, str):
        raise BadData(event)
    part = part_of(event)
    if part is None:
        raise BadData(
            f"type {event.type[:100]!r} is neither ….inference.request nor ….inference.response"
        )
    try:
        return parts.serving.choose(model or event.extensions.get(SERVICE)), part
    except Problem as problem:
        if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        raise BadData(f"{problem.detail} Name it by ?model= in the address.") from problem


def _unreadable(error: BadData) -> FieldError:
    return FieldError("", str(error), "unreadable")


async def _publish(parts: Parts, taken: Taken) -> Outcome:
    """Publish all in one go; the outcome is that of the worst model.

    Raises
    ------
    Problem
        503 if there is no room.
    """
    groups = {model: halves for model, halves in taken.halves.items() if halves}
    if not parts.publisher.has_room(taken.rows):
        parts.publisher.drop(taken.rows)
        raise Problem(
            503,
            "The queue for Redis is full; nothing was accepted. Send it again later.",
            (),
            RETRY_AFTER,
        )
    return worst(
        await asyncio.gather(*(parts.publisher.publish_many(*group) for group in groups.items()))
    )
