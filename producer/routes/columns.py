"""POST /columns: how a registration would take the columns of a table; nothing is registered."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import answers, in_query, takes
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import read_body
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.raw_body import RawBodyRoute
from driftgauge.shared.errors import BadData, NotInstalled
from driftgauge.shared.reference.columns.choices import ColumnRow
from driftgauge.shared.registration.fields import FIELDS

Many = Literal["one", "many"]
SPECIAL: Final = ("prediction_column", "target_column", "time_column", "probability_column")
READING: Final = (
    "type",
    "unit",
    "missing",
    "decimal",
    "thousands",
    "separator",
    "encoding",
    "date_format",
    "time_unit",
    "timezone",
)
OPTIONS: Final[Mapping[str, tuple[Many, str]]] = {
    name: ("one" if FIELDS[name][0] == "one" else "many", FIELDS[name][1])
    for name in (*READING, *SPECIAL)
}
"""Those options of a registration that say what a table's columns are."""
UNITS: Final = ("s", "ms", "us", "ns")
LIST: Final = {"type": "array", "items": {"type": "string"}}
UNIT: Final = {"type": "string", "enum": [*UNITS]}
PARAMETERS: Final = [
    in_query(name, meaning, LIST if times == "many" else UNIT if name == "time_unit" else None)
    for name, (times, meaning) in OPTIONS.items()
]
TABLES: Final = dict.fromkeys(
    ("text/csv", "application/x-ndjson", "application/octet-stream"), bytes
)


class ColumnsAnswer(msgspec.Struct, frozen=True):
    """How a registration would take the columns of a table.

    Parameters
    ----------
    remarks
        What is to be said of the table as a whole.
    """

    rows: int
    columns: list[ColumnRow]
    remarks: list[str]


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["models"])
    turn = asyncio.Lock()

    @routes.post("/columns")
    @needs("admin")
    @takes(TABLES, ENCODING, *PARAMETERS)
    @answers(
        ColumnsAnswer,
        "How each column is taken.",
        others={501: "Parquet and Arrow need pyarrow, which is not installed."},
    )
    async def recognise_columns(request: Request) -> Response:
        """Tell how a registration would take each column of a table (CSV, JSON lines, Parquet or
        Arrow), as `driftgauge models register` prints it. One table at a time is read.
        """
        given = _options(request)
        body = await read_body(request, parts.settings.events_max_bytes)
        async with turn:
            found = await asyncio.to_thread(_taken, body, given, parts.settings.data_dir)
        return answer(found)

    return routes


def _options(request: Request) -> dict[str, Any]:
    """Read the query."""
    query = request.query_params
    given: dict[str, Any] = {
        name: tuple(query.getlist(name)) if times == "many" else query.get(name)
        for name, (times, _) in OPTIONS.items()
    }
    if given["time_unit"] not in {None, *UNITS}:
        raise Problem(422, f"time_unit is one of {', '.join(UNITS)}.")
    return given | {"types": given["type"], "units": given["unit"]}


def _taken(body: bytes, given: Mapping[str, Any], folder: Path) -> ColumnsAnswer:
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


def _recognised(path: Path, given: Mapping[str, Any]) -> ColumnsAnswer:
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
    return ColumnsAnswer(
        len(table.places),
        [row for _, row in found.values()],
        [one.replace(str(path), "The body") for one in (*table.remarks, remark) if one],
    )


def _special(given: Mapping[str, Any]) -> Sequence[str]:
    """Return the columns that are no features."""
    said = (given[name] for name in SPECIAL)
    return [name for one in said for name in ((one,) if isinstance(one, str) else one or ())]
