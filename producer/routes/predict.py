"""POST /predict: score one row, publish the event, answer."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import answers, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.documents import (
    decode,
    field_faults,
    is_id,
    is_object,
    is_text,
    read_body,
    strict_fault,
)
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.intake.turns import run
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome
from driftgauge.producer.routes.raw_body import NO_MODEL, UNPREDICTING, RawBodyRoute
from driftgauge.producer.scoring.explaining import ESTIMATE, Explaining
from driftgauge.producer.scoring.serving import ServedVersion, Serving, only_model
from driftgauge.producer.watching.access_log import PREDICTIONS
from driftgauge.shared.contract.events import Prediction, Value
from driftgauge.shared.explaining.explanation import Explanation, Scale
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.otel.steps import carried_now
from driftgauge.shared.reference.schema import FieldError


def is_explain(value: object) -> str | None:
    return (
        None
        if isinstance(value, bool) or value == ESTIMATE
        else f'must be true, false or "{ESTIMATE}"'
    )


CHECKS: Final = {
    "features": is_object,
    "id": is_id,
    "model": is_text,
    "version": is_text,
    "explain": is_explain,
}

NOT_SO: Final = (
    f"{UNPREDICTING} Or its predictions cannot be explained in the way that is asked for."
)

BODY: Final = Named(
    "PredictionRequest",
    {
        "type": "object",
        "required": ["features"],
        "additionalProperties": False,
        "properties": {
            "features": {
                "type": "object",
                "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
                "description": "Name to value, as in the model's schema (GET /model-info).",
            },
            "id": {
                "type": "string",
                "maxLength": 128,
                "description": "Makes a retry count once; made here if absent.",
            },
            "model": {"type": "string", "description": "Needed only when there are several."},
            "version": {
                "type": "string",
                "description": "A version in staging; that in production if absent.",
            },
            "explain": {
                "anyOf": [{"type": "boolean"}, {"type": "string", "enum": [ESTIMATE]}],
                "description": "Whether the answer says what each feature contributed; "
                "`estimate` also if only an estimate can be made of it.",
            },
        },
    },
)


class PredictionAnswer(msgspec.Struct, gc=False, omit_defaults=True):
    """The prediction of a row.

    Parameters
    ----------
    id
        Id of the prediction; its label names it.
    version
        The version that predicted.
    event
        What became of its event: it is in Redis, on disk, in memory, or nowhere for want of room.
    probabilities
        Of the schema's classes in their order; absent if the model gives none.
    contributions
        What each feature contributed, by its name; absent unless it was asked for, as all that
        follows. With `base` they add up to what `scale` says.
    base
        What the model gives without knowledge of the row.
    scale
        `prediction`, or `log_prediction`, its natural logarithm; `log_odds` or `probability` of
        the class `about`, or `margin`, a raw score of it.
    about
        The class that is explained: of two the second, of several the one that is predicted;
        absent of numbers.
    standard_errors
        Of each contribution, if they are an estimate; absent if they are exact.
    """

    id: str
    model: str
    version: str
    prediction: float | str
    event: Outcome
    probabilities: list[float] | None = None
    contributions: dict[str, float] | None = None
    base: float | None = None
    scale: Scale | None = None
    about: str | None = None
    standard_errors: dict[str, float] | None = None


_encode = msgspec.json.Encoder().encode


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["predictions"])
    explaining = Explaining(parts.scorer)

    @routes.post("/predict")
    @needs("predict")
    @takes(BODY, ENCODING)
    @answers(PredictionAnswer, "The prediction.", others={404: NO_MODEL, 409: NOT_SO})
    async def predict(request: Request) -> Response:
        """Predict one row. `event` in the answer tells whether the event is already in Redis or on
        disk.
        """
        started = time.perf_counter()
        body = await read_body(request, parts.settings.predict_max_bytes)
        document, served, row = await understand(body, parts.serving, parts.refusals)
        parts.refusals.take(served.model, 1)
        source = parts.serving.source_of(served)  # now: it may leave production meanwhile
        explain, explanation = document.get("explain"), None
        if explain:
            score, explanation = await explaining.explain(served, row, estimate=explain == ESTIMATE)
        else:
            score = await parts.scorer.score(served, row)
        given, now = document.get("id"), time.time_ns() // 1_000_000
        event = Prediction(
            id=new_id() if given is None else given,
            version=served.version,
            time=now,
            features=served.complete(row),
            prediction=score.prediction,
            latency_ms=round((time.perf_counter() - started) * 1000, 3),
            source=source,
            client_id=given is not None,
            probabilities=score.probabilities,
            received=None if given is None else now,
            trace=carried_now(),
        )
        request.scope[PREDICTIONS] = ((served, event),)
        outcome = await parts.publisher.publish(served.model, event)
        answer = PredictionAnswer(
            event.id, served.model, served.version, score.prediction, outcome, score.probabilities
        )
        if explanation is not None:
            _add(answer, explanation, served.schema.names)
        return Response(_encode(answer), media_type="application/json")

    return routes


def _add(answer: PredictionAnswer, explanation: Explanation, names: Sequence[str]) -> None:
    """Put an explanation into an answer."""
    errors = explanation.standard_errors
    answer.contributions = dict(zip(names, explanation.contributions, strict=True))
    answer.base, answer.scale = explanation.base, explanation.scale
    answer.about = explanation.about
    answer.standard_errors = None if errors is None else dict(zip(names, errors, strict=True))


async def understand(
    body: bytes, serving: Serving, refusals: Refusals
) -> tuple[dict[str, Any], ServedVersion, list[Value]]:
    """Read a request: its document, the version that it is for, and its features in the model's
    order. What is refused is counted.

    Raises
    ------
    Problem
        If the request is faulty; the answer names all bad fields at once.
    """
    try:
        document, flaw = await run(len(body), decode, body)
    except Problem:
        refusals.refuse(only_model(serving), None, [FieldError("", "", "unreadable")])
        raise
    faults = field_faults(document, CHECKS, "features")
    if faults:
        row, served = _row_despite(document, serving)
        model = only_model(serving) if served is None else served.model
        refusals.refuse(model, None if served is None else served.schema, faults + row)
        raise invalid(faults + row)
    served = await _version(document, serving, refusals)
    values, errors = served.schema.positional(document["features"])
    if errors:
        refusals.refuse(served.model, served.schema, errors)
        raise invalid(errors)
    if flaw is not None:
        not_finite = served.schema.takes_not_finite
        if await asyncio.to_thread(strict_fault, document, "", not_finite=not_finite):
            refusals.refuse(served.model, served.schema, [FieldError("", "", "unreadable")])
            raise flaw
    return document, served, values


async def _version(document: dict[str, Any], serving: Serving, refusals: Refusals) -> ServedVersion:
    """Find the version that a request is for; one that cannot be used is counted."""
    model = document.get("model")
    try:
        return await serving.predicting(model, document.get("version"))
    except Problem as problem:
        if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            refusals.refuse(only_model(serving, model), None, [FieldError("/version", "")])
        raise


def _row_despite(
    document: object, serving: Serving
) -> tuple[list[FieldError], ServedVersion | None]:
    """Find the faults of the features too, if the model can be told in spite of other bad
    fields.
    """
    if not isinstance(document, dict) or not isinstance(document.get("features"), dict):
        return [], None
    model = document.get("model")
    try:
        served = serving.choose(model if isinstance(model, str) else None)
    except Problem:  # the other faults are answered
        return [], None
    return served.schema.positional(document["features"])[1], served
