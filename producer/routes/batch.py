"""POST /predict_batch: score many rows, publish an event for each, and stream the answers."""

from collections.abc import AsyncIterator
from typing import Final, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import JSON, Content, answers, in_query, takes
from driftgauge.producer.describing.schemas import Named, reference
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.rows import RowColumns
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.raw_body import UNPREDICTING, RawBodyRoute
from driftgauge.producer.scoring.answers import AnswerText, CsvText, JsonText
from driftgauge.producer.scoring.batch import Batch, Form, RowAnswer

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
ROWS_OF_MODEL: Final = Named(
    "BatchOfModel",
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
)
BODY: Final = Named("Batch", {"oneOf": [reference(ROWS_OF_MODEL), ROWS]}, (ROWS_OF_MODEL,))
TAKEN: Final[Content] = dict.fromkeys(FORMS, bytes) | {JSON: BODY, "text/csv": str}
QUERY: Final = (
    in_query("model", "Needed only when there are several, and the document names none."),
    in_query("version", "A version in staging; that in production if absent."),
    in_query("id_column", "Column of the rows that holds the predictions' ids; else made here."),
    in_query("time_column", "Column of the rows that holds the event times; now if absent."),
)


class BatchAnswer(msgspec.Struct, frozen=True):
    """An answer for each row of a batch, in their order.

    Parameters
    ----------
    summary
        Number of rows by status, and by what became of their events.
    """

    model: str
    version: str
    rows: list[RowAnswer]
    summary: dict[str, int]


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

    @routes.post("/predict_batch")
    @needs("predict")
    @takes(TAKEN, ENCODING, *QUERY)
    @answers(
        {JSON: BatchAnswer, "text/csv": str},
        "An answer for each row, in their order.",
        others={
            406: "The header Accept asks for a form that is not given.",
            409: UNPREDICTING,
            501: "Parquet and Arrow need pyarrow, which is not installed.",
            507: "There is no room on disk for the batch.",
        },
    )
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
