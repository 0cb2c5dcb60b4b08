"""GET /predictions: the latest predictions from the log, filtered, as JSON in pages or as one CSV
file.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator, FiniteFloat

from driftgauge.producer.access.control import Guarded, caller_of, needs
from driftgauge.producer.http.problems import invalid
from driftgauge.producer.intake.documents import MAX_ID
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import prediction_log
from driftgauge.producer.reading.prediction_log import Logged, PredictionFilter
from driftgauge.producer.routes.judged.streaming import while_allowed
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.scoring.answers import table
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.reference.schema import FieldError, Schema

BLOCK: Final = 200
COLUMNS: Final = ("time", "id", "version", "source", "prediction", "label", "latency_ms")

Number = Annotated[FiniteFloat | None, BeforeValidator(lambda text: text or None)]
"""A number, or nothing: a form sends its empty fields too."""


def prediction_filter(
    version: Annotated[str, Query(max_length=64)] = "",
    since: Annotated[
        str, Query(max_length=64, description="ISO 8601, UTC where it has no zone.")
    ] = "",
    until: Annotated[str, Query(max_length=64, description="As `since`; not included.")] = "",
    least: Number = None,
    most: Number = None,
    prediction: Annotated[str, Query(max_length=1024, description="A predicted category.")] = "",
    id: Annotated[str, Query(max_length=MAX_ID)] = "",  # noqa: A002  the parameter's public name
) -> PredictionFilter:
    """Read the filters of a request.

    Raises
    ------
    Problem
        422 for a time that is none.
    """
    times = {name: _milliseconds(text) for name, text in (("since", since), ("until", until))}
    wrong = [name for name, found in times.items() if found == -1]
    if wrong:
        raise invalid(
            [
                FieldError(f"/query/{name}", "must be a time such as 2025-11-20T20:15")
                for name in wrong
            ]
        )
    return PredictionFilter(
        version.strip(), times["since"], times["until"], least, most, prediction, id.strip()
    )


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["predictions"])

    @routes.get("/predictions")
    @needs("read")
    async def predictions(
        request: Request,
        wanted: Annotated[PredictionFilter, Depends(prediction_filter)],
        model: str | None = None,
        count: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[str, Query(max_length=64)] = "",
        format: Literal["json", "csv"] = "json",  # noqa: A002  the parameter's public name
    ) -> Response:
        """Return the wanted predictions, newest first: JSON has `next`, which is `before` of the
        next page; CSV has all.
        """
        name = await known_model(parts, model)
        logs = await parts.pipeline.logs(name)
        if format == "json":
            found = await prediction_log.page(parts.reader, logs, wanted, count, before)
            rows = [_described(row) for row in found.rows]
            body = {"predictions": rows, "next": found.following or None, "read": found.read}
            return Response(msgspec.json.encode(body), media_type="application/json")
        schema = await schema_of(parts, name, wanted.version)
        walked = prediction_log.walk(parts.reader, logs, wanted)
        caller = caller_of(request)
        return StreamingResponse(
            while_allowed(
                _csv(parts, name, schema, walked), lambda: parts.access.still(caller, "read")
            ),
            media_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": f'attachment; filename="{file_name(name)}"'},
        )

    return routes


async def schema_of(parts: Parts, model: str, version: str) -> Schema | None:
    """Return the schema of a version, of the one in production if none is named; None if this API
    has it not.
    """
    served = parts.serving.production.get(model)
    if version and (served is None or served.version != version):
        served = await parts.serving.version(model, version)
    return None if served is None else served.schema


def file_name(model: str) -> str:
    """Name the file of a download; a model's name has nothing in it that a path or a header could
    be misled by.
    """
    return f"predictions_{model}_{datetime.now(UTC):%Y%m%d_%H%M%S}.csv"


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
        moment(row.time_ms),
        event.id,
        event.version,
        event.source,
        event.prediction,
        row.label,
        event.latency_ms,
    ]
    return [*found, *(given.get(name) for name in names)]


def moment(time_ms: int) -> str:
    """Return a time to the millisecond, in UTC.

    Examples
    --------
    >>> moment(1714557600123)
    '2024-05-01T10:00:00.123Z'
    """
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _described(row: Logged) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(row.event)
    found |= {"time": row.time_ms, "entered": row.place.entry.ms}
    return found if row.label is None else {**found, "label": row.label}


def _milliseconds(text: str) -> int | None:
    """Read a time; None if there is none, -1 if it is malformed."""
    text = text.strip()
    if not text:
        return None
    found = milliseconds(text)
    if found is None:
        found = milliseconds(f"{text}Z")  # as a browser's field for a time gives it
    return -1 if found is None else found
