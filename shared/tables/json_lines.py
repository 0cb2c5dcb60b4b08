"""JSON lines: an object on each line, which names its columns. Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.recognising import MOST_COLUMNS, header_fault

if TYPE_CHECKING:
    from driftgauge.shared.tables.table import Table

MOST_ABSENT: Final = 10_000_000
LEAST_FULL: Final = 100
"""Cells from which on a table is refused if one in so many is there at most: it would take far more
memory than its file.
"""
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def objects(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    r"""Read the objects, each with its line; empty lines are passed over.

    NaN and Infinity, which are no JSON but which Python writes, are read.

    Raises
    ------
    BadData
        If a line is no object, with its number.

    Examples
    --------
    >>> list(objects(['{"x": 1}\n', "\n", '{"x": null}']))
    [(1, {'x': 1}), (3, {'x': None})]
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _object(number, line)


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        raise BadData(f"line {number} is no JSON object: {error}") from error


def read_json_lines(lines: Iterable[str], source: str) -> "Table":
    """Read a whole file; a name that an object lacks is a missing value of its row.

    Raises
    ------
    BadData
        If a line is no object, or there is none.
    """
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    numbers: list[int] = []
    cells = 0
    for row, (number, found) in enumerate(objects(lines)):
        numbers.append(number)
        for name, value in found.items():
            rows, values = columns.setdefault(name, ([], []))
            rows.append(row)
            values.append(value)
        cells += len(found)
        if len(columns) > MOST_COLUMNS:
            break  # it is refused: each object has names of its own
    if not numbers:
        raise BadData("it has no rows")
    fault = header_fault(list(columns))
    if fault:
        raise BadData(fault)
    table_cells = len(columns) * len(numbers)
    if table_cells > MOST_ABSENT and table_cells > LEAST_FULL * cells:
        raise BadData(
            f"its {len(numbers):,} objects have {len(columns):,} names, but "
            f"{cells / len(numbers):.3g} each on average: as a table nearly all cells would be "
            f"missing"
        )
    import pandas as pd

    from driftgauge.shared.tables.table import Table  # with pandas, which the API starts without

    return Table(
        source,
        {
            name: pd.Series(_column(rows, values, len(numbers)), dtype=object)
            for name, (rows, values) in columns.items()
        },
        np.array(numbers),
        "line",
    )


def _column(rows: list[int], values: list[Any], length: int) -> list[Any]:
    """Return the values in the order of the rows, None where a row has none."""
    if len(values) == length:
        return values
    found: list[Any] = [None] * length
    for row, value in zip(rows, values, strict=True):
        found[row] = value
    return found
