"""POST /events: publish predictions that were made elsewhere, one or many."""

import asyncio
import time
from collections import defaultdict
from typing import Any, Final, cast

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.http.problems import RETRY_AFTER, Problem, invalid
from driftgauge.producer.intake.documents import (
    decode,
    field_faults,
    is_duration,
    is_id,
    is_object,
    is_text,
    is_time,
    read_body,
)
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome, worst
from driftgauge.producer.routes.raw_body import RawBodyRoute, documented
from driftgauge.producer.scoring.serving import ServedVersion, Serving
from driftgauge.producer.watching.access_log import PREDICTIONS
from driftgauge.shared.contract.events import Prediction, Source
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.reference.schema import FieldError, pointer

TURN: Final = 100
"""Number of events that are checked before other requests get a turn."""
SOURCES: Final = ("online", "batch", "shadow")


def is_source(value: object) -> str | None:
    return None if value in SOURCES else "must be one of " + ", ".join(SOURCES)


def is_anything(_: object) -> None:
    """A prediction is checked against the schema."""


def is_list(value: object) -> str | None:
    return None if isinstance(value, list) else "must be a list of numbers"


CHECKS: Final = {
    "features": is_object,
    "prediction": is_anything,
    "id": is_id,
    "time": is_time,
    "model": is_text,
    "version": is_text,
    "latency_ms": is_duration,
    "source": is_source,
    "probabilities": is_list,
}
EVENT: Final = {
    "type": "object",
    "required": ["features"],
    "additionalProperties": False,
    "properties": {
        "features": {
            "type": "object",
            "additionalProperties": {"type": ["number", "string", "null"]},
        },
        "prediction": {"type": ["number", "string", "null"]},
        "id": {
            "type": "string",
            "maxLength": 128,
            "description": "Makes a retry count once; made here if absent.",
        },
        "time": {
            "type": ["integer", "string"],
            "description": "Unix ms, or ISO 8601 with zone; now if absent.",
        },
        "model": {"type": "string", "description": "Needed only when there are several."},
        "version": {"type": "string", "description": "The production version if absent."},
        "latency_ms": {"type": "number", "minimum": 0},
        "source": {"type": "string", "enum": list(SOURCES), "default": "online"},
        "probabilities": {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "description": "Of the schema's classes, in their order; their sum is 1.",
        },
    },
}
BODY: Final = {
    "oneOf": [EVENT, {"type": "array", "items": EVENT}],
}
ANSWER: Final = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer"},
        "ids": {"type": "array", "items": {"type": "string"}},
        "event": {"type": "string", "enum": ["published", "spooled", "queued"]},
    },
}

Accepted = tuple[ServedVersion, Prediction]


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["predictions"])
    most = parts.settings.events_max_rows

    @routes.post(
        "/events", status_code=202, openapi_extra=documented(BODY, 202, "Accepted.", ANSWER)
    )
    @needs("predict")
    async def events(request: Request) -> Response:
        """Publish one prediction (an object) or many (a list), all or none of them."""
        accepted = await understand(
            await read_body(request, parts.settings.events_max_bytes), parts.serving, most
        )
        request.scope[PREDICTIONS] = accepted
        outcome = await _publish(parts, accepted)
        if outcome == "dropped":
            raise Problem(
                503,
                "The queue for Redis is full; nothing was accepted. Send it again later.",
                (),
                RETRY_AFTER,
            )
        answer = {
            "accepted": len(accepted),
            "ids": [event.id for _, event in accepted],
            "event": outcome,
        }
        return Response(msgspec.json.encode(answer), 202, media_type="application/json")

    return routes


async def understand(body: bytes, serving: Serving, most: int) -> list[Accepted]:
    """Read a request: its events, and the version of each.

    Parameters
    ----------
    most
        Most events that one request may have.

    Raises
    ------
    Problem
        If the request is faulty; the answer names all bad fields at once.
    """
    document, flaw = decode(body)
    many = isinstance(document, list)
    if many and len(document) > most:
        raise Problem(
            413,
            f"These are {len(document)} events; send at most {most} at a time "
            f"(DRIFTGAUGE_EVENTS_MAX_ROWS).",
        )
    accepted: list[Accepted] = []
    faults: list[FieldError] = []
    for number, item in enumerate(document if many else [document]):
        found, wrong = await _event(item, f"/{number}" if many else "", serving)
        faults += wrong
        if found is not None:
            accepted.append(found)
        if number % TURN == TURN - 1:
            await asyncio.sleep(0)
    if faults:
        raise invalid(faults)
    if flaw is not None:
        raise flaw
    return accepted


async def _event(item: Any, at: str, serving: Serving) -> tuple[Accepted | None, list[FieldError]]:
    """Check one event, and make the log's form of it."""
    faults = field_faults(item, CHECKS, "features", at)
    if not isinstance(item, dict):
        return None, faults
    bad = {fault.field for fault in faults}
    model, version = (
        item.get(name) if pointer(at, name) not in bad else None for name in ("model", "version")
    )
    served, wrong = await _version(model, version, at, serving)
    if served is None:
        return None, faults + wrong
    given = item.get("features")
    features = given if isinstance(given, dict) else {}
    values, errors = served.schema.positional(features, pointer(at, "features"), scored=False)
    if isinstance(given, dict):
        faults += errors
    fault = served.schema.prediction_fault(item.get("prediction"))
    if fault is not None:
        faults.append(FieldError(pointer(at, "prediction"), fault))
    shares = item.get("probabilities") if pointer(at, "probabilities") not in bad else None
    fault = served.schema.probabilities_fault(shares)
    if fault is not None:
        faults.append(FieldError(pointer(at, "probabilities"), fault))
    if faults:
        return None, faults
    return (served, _prediction(item, served, values)), []


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


def _prediction(item: dict[str, Any], served: ServedVersion, values: list[Any]) -> Prediction:
    given = item.get("id")
    made = item.get("prediction")
    moment = milliseconds(item.get("time"))
    latency = item.get("latency_ms")
    shares = item.get("probabilities")
    return Prediction(
        id=new_id() if given is None else given,
        version=served.version,
        time=time.time_ns() // 1_000_000 if moment is None else moment,
        features=served.clean(values),
        prediction=float(made)
        if served.schema.prediction == "numeric" and made is not None
        else made,
        latency_ms=None if latency is None else float(latency),
        source=cast(Source, item.get("source") or "online"),
        client_id=given is not None,
        probabilities=None if shares is None else [float(share) for share in shares],
    )


async def _publish(parts: Parts, accepted: list[Accepted]) -> Outcome:
    """Publish all in one go; the outcome is that of the worst model."""
    by_model: dict[str, list[Prediction]] = defaultdict(list)
    for served, event in accepted:
        by_model[served.model].append(event)
    if not parts.publisher.has_room(len(accepted)):
        parts.publisher.drop(len(accepted))
        return "dropped"
    outcomes = await asyncio.gather(
        *(parts.publisher.publish_many(*group) for group in by_model.items())
    )
    return worst(outcomes)
