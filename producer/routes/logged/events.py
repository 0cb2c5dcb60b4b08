"""POST /events: publish predictions that were made elsewhere, one or many.

Each event of a list is accepted or refused by itself, unless the client asks for all or none
(`Prefer: handling=strict`). Refused events are counted (producer/intake/refusals.py). A client that
is a publisher of its own has numbered them (producer/intake/numbering.py).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, Literal, cast

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import JSON, answers, problem, takes
from driftgauge.producer.describing.schemas import Named, reference
from driftgauge.producer.http.preferences import APPLIED, handling
from driftgauge.producer.http.problems import (
    RETRY_AFTER,
    Problem,
    ProblemDocument,
    encodable,
    invalid,
)
from driftgauge.producer.intake.documents import (
    field_faults,
    is_duration,
    is_id,
    is_object,
    is_text,
    is_time,
    read_body,
    strict_fault,
)
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.items import Items, is_lines, items_of
from driftgauge.producer.intake.numbering import CHECKS as NUMBERING_CHECKS
from driftgauge.producer.intake.numbering import NUMBER, PARAMETERS, Numbering, voids
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.intake.rows import MOST_FAULTS
from driftgauge.producer.intake.turns import Turns
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome, worst
from driftgauge.producer.routes.logged.good_events import EventTypes, Good, GoodEvents, complete
from driftgauge.producer.routes.parameters import TIME_SCHEMA
from driftgauge.producer.routes.raw_body import MISNUMBERED, RawBodyRoute
from driftgauge.producer.scoring.serving import ServedVersion, Serving, only_model
from driftgauge.producer.watching.access_log import PREDICTIONS
from driftgauge.shared.contract.events import Failure, Prediction, Source, Value
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.otel.context import parsed
from driftgauge.shared.otel.steps import carried_now
from driftgauge.shared.reference.schema import FieldError, Reason, pointer

MOST_NAMED: Final = 2000
"""Faults of one request after which further refused events are answered by their first one alone,
so that an answer is not much longer than its request.
"""
MOST_KIND: Final = 64
"""Most characters of an error's kind."""
SOURCES: Final = ("online", "batch", "shadow")


def is_source(value: object) -> str | None:
    return None if value in SOURCES else "must be one of " + ", ".join(SOURCES)


def is_anything(_: object) -> None:
    """A prediction is checked against the schema; a trace that is none is left out."""


def is_kind(value: object) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= MOST_KIND and value.isprintable()
    return None if fits else f"must be a printable text of 1 to {MOST_KIND} characters"


def is_list(value: object) -> str | None:
    return None if isinstance(value, list) else "must be a list of numbers"


CHECKS: Final = {
    "features": is_object,
    "prediction": is_anything,
    "error": is_kind,
    "id": is_id,
    "time": is_time,
    "model": is_text,
    "version": is_text,
    "latency_ms": is_duration,
    "source": is_source,
    "probabilities": is_list,
    "traceparent": is_anything,
}
EVENT: Final = Named(
    "Event",
    {
        "type": "object",
        "anyOf": [{"required": ["features"]}, {"required": ["error"]}],
        "additionalProperties": False,
        "properties": {
            "features": {
                "type": "object",
                "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
            },
            "prediction": {"type": ["number", "string", "boolean", "null"]},
            "error": {
                "type": "string",
                "maxLength": MOST_KIND,
                "description": "In the place of a prediction that failed: the kind of the error, "
                "such as ValueError. Its features need not fit the schema, nor be there.",
            },
            "id": {
                "type": "string",
                "maxLength": 128,
                "description": "Makes a retry count once; made here if absent.",
            },
            "time": TIME_SCHEMA | {"description": "ISO 8601 with zone, or Unix ms; now if absent."},
            "model": {"type": "string", "description": "Needed only when there are several."},
            "version": {"type": "string", "description": "The production version if absent."},
            "latency_ms": {"type": "number", "minimum": 0},
            "source": {"type": "string", "enum": list(SOURCES), "default": "online"},
            "number": NUMBER,
            "own_id": {
                "type": "boolean",
                "description": "With a publisher only: whether the application made the id, so "
                "that one that comes again within an hour under another number counts once.",
            },
            "probabilities": {
                "type": "array",
                "items": {"type": "number", "minimum": 0, "maximum": 1},
                "description": "Of the schema's classes, in their order; their sum is 1.",
            },
            "traceparent": {
                "description": "The span in which the prediction was made (W3C trace context). "
                "Alerts name some of the traces of their window. What is none is ignored.",
            },
        },
    },
)
BODY: Final = Named(
    "Events",
    {"oneOf": [reference(EVENT), {"type": "array", "items": reference(EVENT)}]},
    (EVENT,),
)
PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["handling=lenient", "handling=strict"]},
    "description": "`handling=strict` takes all events of a list or none of them (RFC 7240).",
}

Logged = Prediction | Failure
Accepted = tuple[ServedVersion, Logged]
Numbers = list[tuple[int, int]]
"""Partition and number of items."""


class RejectedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refused event, and why.

    Parameters
    ----------
    index
        Position in the request, from 0.
    reason
        Its faults in words.
    errors
        Its faults, by JSON pointers into the request; the first 20 of them.
    id
        As the client gave it.
    """

    index: int
    reason: str
    errors: list[FieldError]
    id: str | None = None


class EventsAnswer(msgspec.Struct, frozen=True):
    """What became of events.

    Parameters
    ----------
    ids
        Of the accepted events, in the order of the request.
    event
        What became of them: they are in Redis, on disk, or in memory.
    """

    accepted: int
    ids: list[str]
    rejected: list[RejectedEvent]
    event: Outcome


class EventsProblem(ProblemDocument, frozen=True, omit_defaults=True):
    """A request of which no event was taken.

    Parameters
    ----------
    accepted
        Always 0; of a list only.
    rejected
        The faults of each event of a list.
    """

    accepted: Literal[0] | None = None
    rejected: list[RejectedEvent] = msgspec.field(default_factory=list)


class Understood(msgspec.Struct):
    """A decoded request.

    Parameters
    ----------
    accepted, rejected
        The accepted events, and the refused ones.
    numbers
        Partition and number of each accepted event, if a publisher has numbered them.
    refused
        Those of the refused events that say so.
    problem
        The answer if nothing is taken; None if something is.
    """

    accepted: list[Accepted] = []
    rejected: list[RejectedEvent] = []
    numbers: Numbers = []
    refused: Numbers = []
    problem: Problem | None = None


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["predictions"])
    most, types = parts.settings.events_max_rows, EventTypes()

    @routes.post("/events")
    @needs("predict")
    @takes({JSON: BODY, "application/x-ndjson": EVENT}, ENCODING, PREFER, *PARAMETERS)
    @answers(
        EventsAnswer,
        "What was taken, and what not.",
        status=202,
        others={
            409: MISNUMBERED,
            422: problem("No event can be used; each bad field by its place.", EventsProblem),
        },
    )
    async def publish_events(request: Request) -> Response:
        """Publish one prediction (an object) or many (a list, or one a line); a bad one of many
        does not affect the others.
        """
        wanted = handling(request.headers)
        numbering = parts.clients.numbering(request.query_params)
        reading = Reading(
            parts.serving, parts.refusals, types, numbering, request.query_params.get("model")
        )
        body = await read_body(request, parts.settings.events_max_bytes)
        lines = is_lines(request.headers.get("content-type", ""))
        found = await reading.understand(body, most, lines=lines, strict=wanted == "strict")
        if found.problem is not None and not found.refused:
            raise found.problem
        request.scope[PREDICTIONS] = [one for one in found.accepted if _is_made(one)]
        outcome = await _publish(parts, found, numbering)
        if outcome == "dropped":
            raise Problem(
                503,
                "The queue for Redis is full; nothing was accepted. Send it again later.",
                (),
                RETRY_AFTER,
            )
        if found.problem is not None:
            raise found.problem
        answer = EventsAnswer(
            len(found.accepted), [event.id for _, event in found.accepted], found.rejected, outcome
        )
        applied = {APPLIED: f"handling={wanted}"} if wanted else None
        return Response(
            msgspec.json.encode(answer), 202, headers=applied, media_type="application/json"
        )

    return routes


class Reading:
    """Reads requests: their events, and the version of each; refused events are counted.

    Parameters
    ----------
    numbering
        How a publisher has numbered the events; None if nobody has.
    model
        Model of events that name none.
    """

    def __init__(
        self,
        serving: Serving,
        refusals: Refusals,
        types: EventTypes,
        numbering: Numbering | None = None,
        model: str | None = None,
    ) -> None:
        self._serving = serving
        self._refusals = refusals
        self._types = types
        self._numbering = numbering
        self._model = model if numbering is None else numbering.model
        self._checks = CHECKS if numbering is None else CHECKS | NUMBERING_CHECKS

    async def understand(
        self, body: bytes, most: int, *, lines: bool = False, strict: bool = False
    ) -> Understood:
        """Read a request.

        Parameters
        ----------
        most
            Events that one request may have.
        lines
            Whether it is newline-delimited JSON.
        strict
            True if one bad event refuses all of a list.

        Raises
        ------
        Problem
            For a request that cannot be read at all. One of which nothing is taken has its problem:
            all bad fields at once for a single event; a list of which nothing can be taken, or of
            which something cannot if `strict`.
        """
        items = await self._items(body, most, lines=lines)
        many, flaw = items.many, items.flaw
        found = Understood([], [], [], [])
        faults: list[FieldError] = []
        number, turns = -1, Turns()
        async for part in items.parts():
            complete([item for item, _ in part if type(item) is tuple])
            for item, flawed in part:
                number += 1
                if type(item) is tuple:  # as no JSON is
                    self._take(item, found)
                    continue
                await turns.offer()
                at = f"/{number}" if many else ""
                one, wrong = await self._checked(item, at, flawed=flawed)
                place = None if self._numbering is None else self._numbering.place(item, "id")
                if one is not None:
                    found.accepted.append(one)
                    found.numbers += [place] if place is not None else []
                    continue
                named = MOST_FAULTS if len(faults) < MOST_NAMED else 0
                found.rejected.append(_rejected(number, item, wrong, at, named))
                found.refused += [place] if place is not None else []
                faults += wrong
        if flaw is not None and not many and {one.reason for one in faults} == {"unreadable"}:
            raise flaw
        if faults and (strict or not many or not found.accepted):
            members = {"accepted": 0, "rejected": found.rejected} if many else None
            refused = (
                [] if strict else found.refused
            )  # else the client mends it, and sends it again
            return Understood(refused=refused, problem=invalid(faults, members))
        for model, events in _by_model(found.accepted).items():
            self._refusals.take(model, len(events))
        return found

    def _take(self, good: Good, found: Understood) -> None:
        """Take an event that was read by the type of its version."""
        found.accepted.append(good[:2])
        if self._numbering is not None:
            found.numbers.append((self._numbering.partition(good[1].id), good[2]))

    async def _items(self, body: bytes, most: int, *, lines: bool) -> Items:
        """Read the items of a request; one that is not JSON is counted as one refused event."""
        try:
            numbered = self._numbering is not None
            good = GoodEvents(self._types, self._serving, self._model, numbered=numbered)
            return await items_of(body, most, "events", lines=lines, read=good.read)
        except Problem as problem:
            if problem.status == HTTPStatus.BAD_REQUEST:
                model = only_model(self._serving, self._model)
                self._refusals.refuse(model, None, [FieldError("", "", "unreadable")])
            raise

    async def _checked(
        self, item: Any, at: str, *, flawed: bool
    ) -> tuple[Accepted | None, list[FieldError]]:
        """Check one event, and count it if it is refused; `flawed` if it is, or stands in, a
        document that is no JSON as a whole.
        """
        found, faults, version = await self._event(item, at)
        if found is not None and flawed:
            not_finite = found[0].schema.takes_not_finite
            faults = await asyncio.to_thread(strict_fault, item, at, not_finite=not_finite)
        if found is not None and not faults:
            if found[0].schema.extra == "ignore" and isinstance(found[1], Prediction):
                extra = found[0].schema.extra_fields(item["features"])
                self._refusals.ignore(found[0].model, len(extra))
            return found, []
        if version is not None:
            self._refusals.refuse(version.model, version.schema, faults)
        else:
            self._refusals.refuse(self._model_of(item), None, faults)
        return None, faults

    def _model_of(self, item: object) -> str:
        """Return the model's name of an event whose version is unknown."""
        named = item.get("model") if isinstance(item, dict) else None
        return only_model(self._serving, named if isinstance(named, str) else self._model)

    async def _event(
        self, item: Any, at: str
    ) -> tuple[Accepted | None, list[FieldError], ServedVersion | None]:
        """Check one event and convert it for the log; return its version even if it is bad."""
        failed = isinstance(item, dict) and item.get("error") is not None
        faults = field_faults(item, self._checks, None if failed else "features", at)
        if not isinstance(item, dict):
            return None, faults, None
        if self._numbering is not None:
            faults += self._numbering.faults(item, "id", at)
        bad = {fault.field for fault in faults}
        model, version = (
            item.get(name) if pointer(at, name) not in bad else None
            for name in ("model", "version")
        )
        served, wrong = await _version(model or self._model, version, at, self._serving)
        if served is None:
            return None, faults + wrong, None
        if failed:
            if item.get("prediction") is not None:
                faults.append(FieldError(pointer(at, "prediction"), "cannot go with an error"))
            return (None if faults else (served, _failure(item, served))), faults, served
        given = item.get("features")
        features = given if isinstance(given, dict) else {}
        values, errors = served.schema.positional(features, pointer(at, "features"), scored=False)
        if isinstance(given, dict):
            faults += errors
        made, fault = served.schema.read_prediction(item.get("prediction"))
        if fault is not None:
            kind: Reason = "missing" if item.get("prediction") is None else "wrong_type"
            faults.append(FieldError(pointer(at, "prediction"), fault, kind))
        shares = item.get("probabilities") if pointer(at, "probabilities") not in bad else None
        fault = served.schema.probabilities_fault(shares)
        if fault is not None:
            faults.append(FieldError(pointer(at, "probabilities"), fault))
        if faults:
            return None, faults, served
        made_of = _prediction(item, served, values, made, numbered=self._numbering is not None)
        return (served, made_of), [], served


def _rejected(
    number: int, item: Any, faults: Sequence[FieldError], at: str, most: int
) -> RejectedEvent:
    """Describe why an event is refused, in words and by at most so many of its fields."""
    named = [
        FieldError(encodable(one.field), encodable(one.message), one.reason)
        for one in faults[: most or 1]
    ]
    reason = "; ".join(f"{one.field.removeprefix(at)[1:]} {one.message}".strip() for one in named)
    more = f"; {len(faults) - len(named)} more" * (len(faults) > len(named))
    given = item.get("id") if isinstance(item, dict) else None
    id_ = encodable(given) if isinstance(given, str) and is_id(given) is None else None
    return RejectedEvent(number, reason + more, named[:most], id_)


async def _version(
    model: str | None, version: str | None, at: str, serving: Serving
) -> tuple[ServedVersion | None, list[FieldError]]:
    """Find the version that an event is of."""
    try:
        served = serving.choose(model)
    except Problem as problem:
        if problem.status == 503:
            raise
        return None, [FieldError(pointer(at, "model"), problem.detail)]
    if version is None:
        return served, []
    found = await serving.version(served.model, version)
    if found is None:
        return None, [
            FieldError(
                pointer(at, "version"),
                f"is not a readable version of {served.model} in the registry",
            )
        ]
    return found, []


def _prediction(
    item: dict[str, Any], served: ServedVersion, values: list[Any], made: Value, *, numbered: bool
) -> Prediction:
    """Convert an event for the log. One that its publisher has numbered is known by its number, so
    that its id is only looked up if the application made it.
    """
    given = item.get("id")
    moment, now = milliseconds(item.get("time")), time.time_ns() // 1_000_000
    latency = item.get("latency_ms")
    shares = item.get("probabilities")
    return Prediction(
        id=new_id() if given is None else given,
        version=served.version,
        time=now if moment is None else moment,
        features=served.complete(values),
        prediction=made,
        latency_ms=None if latency is None else float(latency),
        source=cast(Source, item.get("source") or "online"),
        client_id=item.get("own_id") is True if numbered else given is not None,
        probabilities=None if shares is None else [float(share) for share in shares],
        received=None if given is None or numbered else now,
        trace=_trace(item),
    )


def _trace(item: dict[str, Any]) -> str | None:
    """Return the trace of an event: its own, else that of the request."""
    given = item.get("traceparent")
    found = parsed(given) if isinstance(given, str) else None
    return carried_now() if found is None else found.carried


def _is_made(accepted: Accepted) -> bool:
    return isinstance(accepted[1], Prediction)


def _failure(item: dict[str, Any], served: ServedVersion) -> Failure:
    """Convert a failed prediction for the log: with its features, if they fit the schema."""
    given, moment = item.get("features"), milliseconds(item.get("time"))
    values, errors = served.schema.positional(given or {}, "", scored=False)
    latency = item.get("latency_ms")
    return Failure(
        id=item.get("id") or new_id(),
        version=served.version,
        time=time.time_ns() // 1_000_000 if moment is None else moment,
        error=item["error"],
        features=None if errors or given is None else served.complete(values),
        latency_ms=None if latency is None else float(latency),
    )


async def _publish(parts: Parts, found: Understood, numbering: Numbering | None) -> Outcome:
    """Publish all in one go; the outcome is that of the worst model."""
    accepted = found.accepted
    if numbering is not None:
        events = zip(found.numbers, accepted, strict=True)
        entries = [(*place, event) for place, (_, event) in events]
        return await parts.publisher.publish_numbered(
            numbering.model, numbering.publisher, [*entries, *voids(found.refused)]
        )
    if not parts.publisher.has_room(len(accepted)):
        parts.publisher.drop(len(accepted))
        return "dropped"
    outcomes = await asyncio.gather(
        *(parts.publisher.publish_many(*group) for group in _by_model(accepted).items())
    )
    return worst(outcomes)


def _by_model(accepted: Sequence[Accepted]) -> dict[str, list[Logged]]:
    found: dict[str, list[Logged]] = defaultdict(list)
    for served, event in accepted:
        found[served.model].append(event)
    return found
