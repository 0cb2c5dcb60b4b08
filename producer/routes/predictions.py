"""GET /predictions: predictions from the log and the archive, filtered, as JSON in pages or all as
one file.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import FiniteFloat

from driftgauge.producer.access.control import Guarded, caller_of, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.exporting.child import Form
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import MAX_ID
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.predictions import log
from driftgauge.producer.reading.predictions.log import Logged, PredictionFilter
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.judged.streaming import while_allowed
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.routes.parameters import (
    UNLESS_EMPTY,
    Cursor,
    Limit,
    ModelName,
    Since,
    Until,
)
from driftgauge.producer.scoring.answers import table
from driftgauge.shared.contract.events import Source, Value
from driftgauge.shared.moments import Moment, iso
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.versions.manifest import PublishedVersion

BLOCK: Final = 200
COLUMNS: Final = ("time", "id", "version", "source", "prediction", "label", "latency_ms")

Bound = Annotated[FiniteFloat | None, UNLESS_EMPTY]


class LoggedPrediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """A prediction as log and archive have it.

    Parameters
    ----------
    time
        When it was made.
    entered
        When it came into the log.
    features
        Name of each feature to its value, null for a missing one; without those that are dropped as
        personal.
    positional
        The values alone, in the order of the version's schema, where nothing knows that schema any
        more; `features` is empty then.
    label
        The true value, if it came.
    probabilities
        Of the schema's classes, in their order.
    client_id
        Whether the client chose the id; the archive does not tell.
    received
        When the API took it; only of events whose id the client chose, from the log.
    """

    id: str
    version: str
    time: Moment
    entered: Moment
    features: dict[str, Value]
    prediction: float | str | None
    source: Source
    latency_ms: float | None = None
    label: float | str | None = None
    probabilities: list[float] | None = None
    client_id: bool = False
    received: Moment | None = None
    positional: list[Value] = []


class PredictionPage(msgspec.Struct, frozen=True):
    """A page of predictions; it may have fewer than were asked for, and yet have a next one.

    Parameters
    ----------
    next
        Cursor of the next page; null on the last one.
    read
        Entries of the log and rows of the archive that were looked at for it.
    skipped
        What is missing, in sentences: files of the archive that cannot be read.
    """

    predictions: list[LoggedPrediction]
    next: str | None
    read: int
    skipped: list[str] = []


def row_filter(
    version: Annotated[str, Query(max_length=64, description="Only of this version.")] = "",
    least: Annotated[Bound, Query(description="Least predicted number.")] = None,
    most: Annotated[Bound, Query(description="Largest predicted number.")] = None,
    prediction: Annotated[str, Query(max_length=1024, description="A predicted category.")] = "",
    id: Annotated[  # noqa: A002  the parameter's public name
        str, Query(max_length=MAX_ID, description="The prediction of this id.")
    ] = "",
) -> PredictionFilter:
    """Read the filters of a request but those by time."""
    return PredictionFilter(version.strip(), None, None, least, most, prediction, id.strip())


def prediction_filter(
    rows: Annotated[PredictionFilter, Depends(row_filter)],
    since: Since = None,
    until: Until = None,
) -> PredictionFilter:
    """Read the filters of a request."""
    return replace(rows, since_ms=since, until_ms=until)


MEDIA: Final[dict[Form, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
ANSWERS: Final = {
    "application/json": PredictionPage,
    "text/csv": str,
    "application/x-ndjson": bytes,
    "application/vnd.apache.parquet": bytes,
}


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["predictions"])

    @routes.get("/predictions")
    @needs("read")
    @answers(
        ANSWERS,
        "A page of predictions, the newest first; in the other forms all of them: of an archive, "
        "with what waits for it, from the first on, each with its last label.",
    )
    async def list_predictions(
        request: Request,
        wanted: Annotated[PredictionFilter, Depends(prediction_filter)],
        model: ModelName = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        format: Annotated[  # noqa: A002  the parameter's public name
            Literal["json", Form],
            Query(description="JSON in pages, or all as one file; without an archive only CSV."),
        ] = "json",
    ) -> Response:
        """Return the wanted predictions, newest first, each with its label if one came."""
        name = await known_model(parts, model)
        if format == "json":
            found = await parts.predictions.page(name, wanted, limit, cursor or "")
            schemas = {
                version: await schema_of(parts, name, version)
                for version in {row.event.version for row in found.rows if row.names is None}
            }
            rows = [_described(row, schemas.get(row.event.version)) for row in found.rows]
            following = found.following or None
            return answer(PredictionPage(rows, following, found.read, list(found.skipped)))
        blocks = await _file(parts, name, wanted, format)
        caller = caller_of(request)
        return StreamingResponse(
            while_allowed(blocks, lambda: parts.access.still(caller, "read")),
            media_type=MEDIA[format],
            headers={"Content-Disposition": f'attachment; filename="{file_name(name, format)}"'},
        )

    return routes


async def schema_of(parts: Parts, model: str, version: str) -> Schema | None:
    """Return the schema of what the log holds of a version, of the one in production if none is
    named; None if it is neither in the registry here nor in Redis.
    """
    served = parts.serving.production.get(model)
    if version and (served is None or served.version != version):
        served = await parts.serving.version(model, version)
    if served is not None:
        return served.schema.stream
    reading: Any = parts.reader.hget(parts.keys.versions(model), version)
    packed: bytes | None = await reading
    if packed is None:
        return None
    try:
        return (await asyncio.to_thread(PublishedVersion.unpack, packed)).schema.stream
    except UNREADABLE:  # another release published it
        return None


async def _file(
    parts: Parts, model: str, wanted: PredictionFilter, form: Form
) -> AsyncIterator[bytes]:
    """Return all wanted predictions as a file, block by block.

    Raises
    ------
    Problem
        422 if only an archive could give the form, 503 if the export cannot begin.
    """
    if parts.predictions.archived is not None:
        return await parts.exports.begin(model, wanted, form)
    if form != "csv":
        raise Problem(
            422,
            f"`format={form}` is written from an archive, and this API has none: set "
            "DRIFTGAUGE_ARCHIVE_URL, or ask for csv.",
        )
    schema = await schema_of(parts, model, wanted.version)
    walked = log.walk(parts.reader, await parts.pipeline.logs(model), wanted)
    return _csv(parts, model, schema, walked)


def file_name(model: str, form: Form) -> str:
    """Name the file of a download; a model's name has nothing in it that a path or a header could
    be misled by.
    """
    return f"predictions_{model}_{datetime.now(UTC):%Y%m%d_%H%M%S}.{form}"


async def _csv(
    parts: Parts, model: str, schema: Schema | None, rows: AsyncIterator[Logged]
) -> AsyncIterator[bytes]:
    """Yield the table, block by block. A version's features stand in its own order; others' are
    brought to the columns.
    """
    names = () if schema is None else schema.names
    schemas: dict[str, Schema | None] = {}
    yield table([[*COLUMNS, *(f"feature {name}" for name in names)]])
    block: list[list[object]] = []
    async for row in rows:
        version = row.event.version
        if version not in schemas:
            schemas[version] = await schema_of(parts, model, version)
        block.append(cells(row, names, schemas[version]))
        if len(block) == BLOCK:
            yield table(block)
            block = []
    yield table(block)


def cells(row: Logged, names: Sequence[str], schema: Schema | None) -> list[object]:
    """Return a row of the table."""
    event = row.event
    given = {} if schema is None else dict(zip(schema.names, event.features, strict=False))
    found = [
        iso(row.time_ms),
        event.id,
        event.version,
        event.source,
        event.prediction,
        row.label,
        event.latency_ms,
    ]
    return [*found, *(given.get(name) for name in names)]


def _described(row: Logged, schema: Schema | None) -> LoggedPrediction:
    event = row.event
    names = row.names
    if names is None:
        names = () if schema is None else schema.names
    known = len(names) == len(event.features)
    return LoggedPrediction(
        id=event.id,
        version=event.version,
        time=row.time_ms,
        entered=row.place.entry.ms,
        features=dict(zip(names, event.features, strict=True)) if known else {},
        prediction=event.prediction,
        source=event.source,
        latency_ms=event.latency_ms,
        label=row.label,
        probabilities=event.probabilities,
        client_id=event.client_id,
        received=event.received,
        positional=[] if known else event.features,
    )
