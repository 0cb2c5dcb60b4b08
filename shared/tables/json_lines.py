"""JSON lines: an object on each line, which names its columns. Pure."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.recognising import MOST_COLUMNS, header_fault

if TYPE_CHECKING:
    from driftgauge.shared.tables.table import Table

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
    columns: dict[str, list[Any]] = {}
    numbers: list[int] = []
    for row, (number, found) in enumerate(objects(lines)):
        numbers.append(number)
        if len(columns) > MOST_COLUMNS:
            break  # it is refused: each object has names of its own
        for name, value in found.items():
            column = columns.setdefault(name, [])
            if len(column) < row:
                column += [None] * (row - len(column))
            column.append(value)
    if not numbers:
        raise BadData("it has no rows")
    fault = header_fault(list(columns))
    if fault:
        raise BadData(fault)
    import pandas as pd

    from driftgauge.shared.tables.table import Table  # with pandas, which the API starts without

    return Table(
        source,
        {
            name: pd.Series(values + [None] * (len(numbers) - len(values)), dtype=object)
            for name, values in columns.items()
        },
        np.array(numbers),
        "line",
    )
