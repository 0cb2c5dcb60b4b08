"""POST /columns: how a registration would take the columns of a table; nothing is registered."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import read_body
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.raw_body import RawBodyRoute, documented
from driftgauge.shared.errors import BadData, NotInstalled

Many = Literal["one", "many"]
OPTIONS: Final[Mapping[str, tuple[Many, str]]] = {
    "type": ("many", "Take a column as something else: `code=categorical`."),
    "unit": ("many", "Unit of a column's numbers: `load=kWh`."),
    "missing": ("many", "Text that means a missing value."),
    "decimal": ("one", "Decimal mark of numbers."),
    "thousands": ("one", "What stands between the thousands of numbers."),
    "separator": ("one", "What stands between the cells."),
    "encoding": ("one", "Encoding of a text file."),
    "date_format": ("one", "How times are written as text, as of strptime."),
    "time_unit": ("one", "Unit of times that are numbers: s, ms, us, ns."),
    "timezone": ("one", "Zone of times that name none."),
    "prediction_column": ("one", "Column of the predictions, which is no feature."),
    "target_column": ("one", "Column of the true values, which is none."),
    "time_column": ("one", "Column of the times of the rows, which is none."),
    "probability_column": ("many", "Columns of probabilities, which are none."),
}
SPECIAL: Final = ("prediction_column", "target_column", "time_column", "probability_column")
UNITS: Final = ("s", "ms", "us", "ns")
COLUMN: Final = {
    "type": "object",
    "properties": {
        "column": {"type": "string"},
        "kind": {"type": "string"},
        "why": {"type": "string"},
        "missing": {"type": "number", "description": "Share of the rows."},
        "distinct": {"type": "integer"},
        "shown": {"type": "string", "description": "Range or top values; not of personal columns."},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "unit": {"type": "string", "description": "Of its numbers; empty if none is known."},
    },
}
ANSWER: Final = {
    "type": "object",
    "properties": {
        "rows": {"type": "integer"},
        "columns": {"type": "array", "items": COLUMN},
        "remarks": {"type": "array", "items": {"type": "string"}},
    },
}


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["models"])
    turn = asyncio.Lock()

    @routes.post("/columns", openapi_extra=_documented())
    @needs("admin")
    async def columns(request: Request) -> Response:
        """Tell how a registration would take each column of a table (CSV, JSON lines, Parquet or
        Arrow), as `driftgauge models register` prints it. One table at a time is read.
        """
        given = _options(request)
        body = await read_body(request, parts.settings.events_max_bytes)
        async with turn:
            found = await asyncio.to_thread(_taken, body, given, parts.settings.data_dir)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return routes


def _options(request: Request) -> dict[str, Any]:
    """Read the query; a name that is no option is refused, since it would change nothing."""
    query = request.query_params
    unknown = sorted({*query} - {*OPTIONS})
    if unknown:
        raise Problem(
            422,
            f"{', '.join(name[:40] for name in unknown[:5])}: no such option; there are "
            f"{', '.join(OPTIONS)}.",
        )
    given: dict[str, Any] = {
        name: tuple(query.getlist(name)) if times == "many" else query.get(name)
        for name, (times, _) in OPTIONS.items()
    }
    if given["time_unit"] not in {None, *UNITS}:
        raise Problem(422, f"time_unit is one of {', '.join(UNITS)}.")
    return given | {"types": given["type"], "units": given["unit"]}


def _taken(body: bytes, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read a table and recognise its columns."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="columns-") as file:
        file.write(body)
        file.flush()
        try:
            return _recognised(Path(file.name), given)
        except NotInstalled as error:
            raise Problem(501, str(error)) from error
        except BadData as error:
            raise Problem(422, str(error).replace(file.name, "The body")) from error


def _recognised(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    # slow to import, and an API that only watches needs none
    from driftgauge.shared.reference.columns.choices import Choices, Circumstances
    from driftgauge.shared.reference.columns.whole_table import recognise
    from driftgauge.shared.tables.reading import open_table

    choices = Choices.of(given)
    table = open_table(path, choices.table)
    special = _special(given)
    absent = [name for name in (*special, *choices.types) if name not in table.columns]
    if absent:
        raise BadData(
            f"{path} has no column {', '.join(absent)}; it has: {', '.join(table.columns)}."
        )
    features = {name: cells for name, cells in table.columns.items() if name not in special}
    place = Circumstances(timed=given["time_column"] is not None)
    found, _, remark = recognise(features, choices, place)
    return {
        "rows": len(table.places),
        "columns": [row for _, row in found.values()],
        "remarks": [one.replace(str(path), "The body") for one in (*table.remarks, remark) if one],
    }


def _special(given: Mapping[str, Any]) -> Sequence[str]:
    """Return the columns that are no features."""
    said = (given[name] for name in SPECIAL)
    return [name for one in said for name in ((one,) if isinstance(one, str) else one or ())]


def _documented() -> dict[str, Any]:
    """Describe the route for OpenAPI."""
    found = documented({}, 200, "How each column is taken.", ANSWER)
    found["requestBody"]["content"] = {
        name: {"schema": {"type": "string", "format": "binary"}}
        for name in ("text/csv", "application/x-ndjson", "application/octet-stream")
    }
    found["parameters"] += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"}
            if times == "one"
            else {"type": "array", "items": {"type": "string"}},
            "description": meaning,
        }
        for name, (times, meaning) in OPTIONS.items()
    ]
    return found
