"""POST /predict_batch: score many rows, publish an event for each, and stream the answers."""

from collections.abc import AsyncIterator
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from driftgauge.producer.access.control import needs
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.rows import RowColumns
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.raw_body import RawBodyRoute, documented
from driftgauge.producer.scoring.answers import AnswerText, CsvText, JsonText
from driftgauge.producer.scoring.batch import Batch, Form

AnswerForm = Literal["csv", "json"]
ANSWERS: Final[dict[str, AnswerForm]] = {"text/csv": "csv", "application/json": "json"}
FORMS: Final[dict[str, Form]] = {
    **ANSWERS,
    "application/x-ndjson": "json_lines",
    "application/jsonl": "json_lines",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrow",
}
WILD: Final[dict[str, AnswerForm | None]] = {"*/*": None, "text/*": "csv", "application/*": "json"}

ROWS: Final = {
    "type": "array",
    "items": {"type": "object"},
    "description": "The features of each row, name to value.",
}
BODY: Final = {
    "oneOf": [
        {
            "type": "object",
            "required": ["rows"],
            "additionalProperties": False,
            "properties": {
                "model": {"type": "string"},
                "version": {"type": "string"},
                "rows": ROWS,
            },
        },
        ROWS,
    ],
}
ROW: Final = {
    "type": "object",
    "required": ["row", "status"],
    "properties": {
        "row": {"type": "integer", "description": "From 1."},
        "line": {"type": "integer", "description": "Where the row begins in a CSV file."},
        "status": {"type": "string", "enum": ["ok", "invalid", "failed"]},
        "id": {"type": "string"},
        "prediction": {"type": ["number", "string"]},
        "probabilities": {"type": "array", "items": {"type": "number"}},
        "event": {"type": "string", "enum": ["published", "spooled", "queued", "dropped"]},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
ANSWER: Final = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "string"},
        "rows": {"type": "array", "items": ROW},
        "summary": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}


class BatchResponse(StreamingResponse):
    """Stream a batch's answers; the batch's file is closed at the end, even after an error."""

    def __init__(self, batch: Batch, text: AnswerText) -> None:
        named = {"Driftgauge-Model": batch.served.model, "Driftgauge-Version": batch.served.version}
        super().__init__(_stream(batch, text), headers=named, media_type=text.media_type)
        self._batch = batch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._batch.close()


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["predictions"])

    @routes.post("/predict_batch", openapi_extra=_documented())
    @needs("predict")
    async def predict_batch(request: Request) -> Response:
        """Predict many rows. A row that does not fit gets an error in its place, and does not
        affect the others.
        """
        form = form_of_body(request.headers.get("content-type", "application/json"))
        answers = form_of_answer(request.headers.get("accept", "*/*"), form)
        asked = request.query_params.get
        beside = RowColumns(asked("id_column"), asked("time_column"))
        batch = await parts.batches.take(request, form, asked("model"), asked("version"), beside)
        return BatchResponse(
            batch, CsvText(batch.served.schema.classes) if answers == "csv" else JsonText()
        )

    return routes


def form_of_body(content_type: str) -> Form:
    """Tell a body's form.

    Raises
    ------
    Problem
        415 if it is none that is taken.
    """
    form = FORMS.get(_media_type(content_type))
    if form is None:
        raise Problem(
            415,
            f"A batch is {' or '.join(FORMS)}, not {content_type[:64]!r}; say so as Content-Type.",
        )
    return form


def form_of_answer(accept: str, body: Form) -> AnswerForm:
    """Choose the answer's form: the first one that is accepted and known; if any will do, CSV for
    CSV and JSON for all else.

    Raises
    ------
    Problem
        406 if none is.

    Examples
    --------
    >>> form_of_answer("text/html, text/csv;q=0.5", "json"), form_of_answer("*/*", "json")
    ('csv', 'json')
    """
    for accepted in accept.split(","):
        name = _media_type(accepted)
        if name in ANSWERS:
            return ANSWERS[name]
        if name in WILD:
            return WILD[name] or ("csv" if body == "csv" else "json")
    raise Problem(406, f"The answer is {' or '.join(ANSWERS)}; accept one of them.")


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()


async def _stream(batch: Batch, text: AnswerText) -> AsyncIterator[bytes]:
    yield text.head(batch.served.model, batch.served.version)
    async for block in batch.answers():
        yield text.block(block)
    yield text.tail()


def _documented() -> dict[str, Any]:
    """Describe the route for OpenAPI: as a raw route, with CSV beside JSON, and the model as a
    parameter.
    """
    found = documented(BODY, 200, "An answer for each row, in their order.", ANSWER)
    found["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    found["requestBody"]["content"] |= {
        name: {"schema": {"type": "string", "format": "binary"}}
        for name in FORMS
        if name not in ANSWERS
    }
    found["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    problem = found["responses"]["422"]["content"]
    found["responses"]["413"] = {
        "description": "Too many rows, or too large a body.",
        "content": problem,
    }
    found["parameters"] += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": meaning,
        }
        for name, meaning in (
            ("model", "Needed only when there are several, and the document names none."),
            ("version", "A version in staging; that in production if absent."),
            ("id_column", "Column of the rows that holds the predictions' ids; else made here."),
            ("time_column", "Column of the rows that holds the event times; now if absent."),
        )
    ]
    return found
