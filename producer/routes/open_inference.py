"""The Open Inference Protocol, version 2: GET /v2…, and POST /v2/models/{model}/infer, so that
clients of Triton, KServe and others work unchanged.

An error is a problem document like any other here, and has the member `error`, which those clients
show.
"""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version as release
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import Guarded, for_everybody, needs
from driftgauge.producer.answers.open_inference import (
    InferenceAnswer,
    InferenceProblem,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from driftgauge.producer.describing.declared import JSON, Answer, Content, answers, problem, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.exchanges.inference import (
    PLATFORM,
    Asked,
    answer,
    asked_of,
    metadata,
    outputs_of,
)
from driftgauge.producer.http.problems import MEDIA_TYPE, Problem, invalid
from driftgauge.producer.intake.documents import read_body
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.items import too_many
from driftgauge.producer.intake.turns import Turns, check_containers, run
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.parameters import Model, Version
from driftgauge.producer.routes.raw_body import UNPREDICTING
from driftgauge.producer.scoring.estimator import Score
from driftgauge.producer.scoring.serving import ServedVersion, only_model
from driftgauge.producer.watching.access_log import PREDICTIONS
from driftgauge.shared.contract.events import Prediction, Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.otel.steps import carried_now
from driftgauge.shared.payloads.bodies import Row, tensor_rows
from driftgauge.shared.payloads.tensors import read_tensors, split
from driftgauge.shared.reference.schema import FieldError

BINARY_HEADER: Final = "inference-header-content-length"
TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}
BODY: Final = Named(
    "InferenceRequest",
    {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 120},
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "items": TENSOR,
                "description": "[N] or [N, 1] for each feature, or one of [N, F] in their order.",
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
                },
            },
        },
    },
)
UNREADY: Final = {JSON: ServerReady}
REFUSED: Final = {
    400: problem(
        "What is no request of the protocol, or asks for an unknown tensor.", InferenceProblem
    ),
    409: problem(UNPREDICTING, InferenceProblem),
    422: problem("Rows that do not fit the schema, each bad value by its place.", InferenceProblem),
    500: problem("The model gave no usable prediction, or the API failed.", InferenceProblem),
}
UNANSWERING: Final = Answer(
    "It does not answer, or cannot be loaded.", {JSON: ModelReady, MEDIA_TYPE: InferenceProblem}
)
TAKEN: Final[Content] = {JSON: BODY, "application/octet-stream": bytes}
ANSWERED: Final[Content] = {JSON: InferenceAnswer, "application/octet-stream": bytes}


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["open inference"])
    _describing(routes, parts)
    _inferring(routes, parts)
    return routes


def _describing(routes: APIRouter, parts: Parts) -> None:

    @routes.get("/v2")
    @needs("read", "predict")
    @answers(ServerMetadata, "The server.")
    async def get_server_metadata() -> Response:
        """Tell the server's name, version and extensions."""
        return _json(ServerMetadata(PLATFORM, release("driftgauge"), ["binary_tensor_data"]))

    @routes.get("/v2/health/live")
    @for_everybody
    @answers(ServerLive, "The process answers.")
    async def get_server_liveness() -> Response:
        """Tell that the process answers."""
        return _json(ServerLive(live=True))

    @routes.get("/v2/health/ready")
    @for_everybody
    @answers(ServerReady, "Predictions can be made.", others={503: Answer("None can.", UNREADY)})
    async def get_server_readiness() -> Response:
        """Tell whether predictions can be made."""
        hanging = parts.scorer.hanging(parts.serving.production)
        models = [one for one in parts.serving.production.values() if one.estimator is not None]
        good = any(one.model not in hanging for one in models)
        return _json(ServerReady(good), 200 if good else 503)

    @routes.get("/v2/models/{model}/versions/{version}")
    @needs("read", "predict")
    @answers(ModelMetadata, "The tensors.", others={409: REFUSED[409]})
    async def get_version_metadata(model: Model, version: Version) -> Response:
        """Describe the tensors of a version."""
        served = await _version(parts, model, version)
        return _json(metadata(served.model, [served.version], served.schema))

    @routes.get("/v2/models/{model}")
    @needs("read", "predict")
    @answers(ModelMetadata, "The tensors.", others={409: REFUSED[409]})
    async def get_model_metadata(model: Model) -> Response:
        """Describe the tensors of a model's version in production."""
        served = await _version(parts, model, None)
        return _json(metadata(served.model, [served.version], served.schema))

    @routes.get("/v2/models/{model}/versions/{version}/ready")
    @needs("read", "predict")
    @answers(ModelReady, "It predicts.", others={409: REFUSED[409], 503: UNANSWERING})
    async def get_version_readiness(model: Model, version: Version) -> Response:
        """Tell whether a version predicts."""
        return _readiness(await _version(parts, model, version))

    @routes.get("/v2/models/{model}/ready")
    @needs("read", "predict")
    @answers(ModelReady, "It predicts.", others={409: REFUSED[409], 503: UNANSWERING})
    async def get_model_readiness(model: Model) -> Response:
        """Tell whether a model's version in production predicts."""
        return _readiness(await _version(parts, model, None))

    def _readiness(served: ServedVersion) -> Response:
        good = served.model not in parts.scorer.hanging({served.model: served})
        return _json(ModelReady(served.model, good), 200 if good else 503)


def _inferring(routes: APIRouter, parts: Parts) -> None:

    @routes.post("/v2/models/{model}/infer")
    @needs("predict")
    @takes(TAKEN, ENCODING)
    @answers(ANSWERED, "The predictions.", others=REFUSED)
    async def infer(request: Request, model: Model) -> Response:
        """Predict rows by a model's version in production; each is an event."""
        return await _infer(request, model, None)

    @routes.post("/v2/models/{model}/versions/{version}/infer")
    @needs("predict")
    @takes(TAKEN, ENCODING)
    @answers(ANSWERED, "The predictions.", others=REFUSED)
    async def infer_by_version(request: Request, model: Model, version: Version) -> Response:
        """Predict rows by a version in production or staging; each is an event."""
        return await _infer(request, model, version)

    async def _infer(request: Request, model: str, version: str | None) -> Response:
        started = time.perf_counter()
        body = await read_body(request, parts.settings.events_max_bytes)
        check_containers(body)
        served = await _version(parts, model, version, counted=True)
        given = request.headers.get(BINARY_HEADER, "")
        header = int(given[:12]) if given.isdecimal() else None
        try:
            asked, rows = await run(len(body), _read, body, header, served)
        except BadData as error:
            parts.refusals.refuse(
                served.model, served.schema, [FieldError("", str(error), "unreadable")]
            )
            raise _failed(400, str(error)) from error
        if len(rows) > parts.settings.events_max_rows:
            raise too_many(parts.settings.events_max_rows, "rows")
        values = await _checked(parts, served, rows)
        scores = await _scored(parts, served, values)
        took_ms = round((time.perf_counter() - started) * 1000, 3)
        events = _events(parts, served, asked, values, scores, took_ms)
        name = {
            "model_name": served.model,
            "model_version": served.version,
            "id": asked.id or events[0].id.partition(":")[0],
        }
        outputs = outputs_of(
            [score.prediction for score in scores],
            [score.probabilities for score in scores],
            served.schema,
        )
        try:  # before anything is published: a tensor may be wanted that there is not
            answer(name, outputs, asked)
        except BadData as error:
            raise _failed(400, str(error)) from error
        parts.refusals.take(served.model, len(events))
        request.scope[PREDICTIONS] = [(served, event) for event in events]
        outcome = await parts.publisher.publish_many(served.model, events)
        content, length = answer({**name, "parameters": {"event": outcome}}, outputs, asked)
        headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
        kind = "application/json" if length is None else "application/octet-stream"
        return Response(content, 200, headers, kind)


def _read(body: bytes, header: int | None, served: ServedVersion) -> tuple[Asked, list[Row]]:
    """Read a request: its wishes, and its rows; at least one.

    Raises
    ------
    BadData
        If it is none.
    """
    document, binary = split(body, header)
    if not isinstance(document, dict):
        raise BadData("The body is no object.")
    rows = tensor_rows(read_tensors(document.get("inputs"), binary), served.schema)
    if not rows:
        raise BadData("The tensors have no row.")
    return asked_of(document), rows


async def _version(
    parts: Parts, model: str, version: str | None, *, counted: bool = False
) -> ServedVersion:
    """Return a version that predicts; that in production if none is named.

    Parameters
    ----------
    counted
        True if a request that names none is counted as refused.
    """
    try:
        return await parts.serving.predicting(model, version)
    except Problem as problem:
        if counted and problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            known = only_model(parts.serving, model)
            parts.refusals.refuse(known, None, [FieldError("/version", "")])
        raise _failed(problem.status, problem.detail, problem.headers) from problem


async def _checked(parts: Parts, served: ServedVersion, rows: Sequence[Row]) -> list[list[Value]]:
    """Check all rows against the schema; one that does not fit refuses the request."""
    turns, faults, found = Turns(), list[FieldError](), list[list[Value]]()
    for place, row in enumerate(rows):
        await turns.offer()
        values, wrong = served.schema.positional(row, f"/inputs/{place}")
        if wrong:
            parts.refusals.refuse(served.model, served.schema, wrong)
        faults += wrong
        found.append(values)
    if faults:
        problem = invalid(faults)
        first = f"{faults[0].field} {faults[0].message}"
        raise Problem(
            problem.status, problem.detail, problem.errors, members={"error": f"{first}."}
        )
    return found


async def _scored(parts: Parts, served: ServedVersion, rows: Sequence[list[Value]]) -> list[Score]:
    """Predict the rows, in blocks that take turns with other requests; all of them or none."""
    found: list[Score] = []
    most = parts.scorer.most_rows
    for start in range(0, len(rows), most):
        try:
            block = await parts.scorer.score_block(served, rows[start : start + most])
        except Problem as problem:
            raise _failed(problem.status, problem.detail, problem.headers) from problem
        for place, score in enumerate(block, start=start):
            if score is None:
                raise _failed(500, f"The model gave no usable prediction for row {place}.")
            found.append(score)
    return found


def _events(
    parts: Parts,
    served: ServedVersion,
    asked: Asked,
    rows: Sequence[list[Value]],
    scores: Sequence[Score],
    took_ms: float,
) -> list[Prediction]:
    now, source = time.time_ns() // 1_000_000, parts.serving.source_of(served)
    base, given, trace = asked.id or new_id(), asked.id is not None, carried_now()
    return [
        Prediction(
            id=base if len(rows) == 1 else f"{base}:{place}",
            version=served.version,
            time=now,
            features=features,
            prediction=score.prediction,
            latency_ms=took_ms,
            source=source,
            client_id=given,
            probabilities=score.probabilities,
            received=now if given else None,
            trace=trace,
        )
        for place, (features, score) in enumerate(
            zip(served.features_of(rows), scores, strict=True)
        )
    ]


def _failed(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """Make an error that clients of the protocol understand."""
    return Problem(status, detail, (), headers, {"error": detail})


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
