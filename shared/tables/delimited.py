"""The records of a CSV file (RFC 4180): cells as texts, each record with its line. Pure."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import numpy as np

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.recognising import (
    header_fault,
    looks_like_values,
    other_separator,
)
from driftgauge.shared.tables.values import Texts, texts_of

if TYPE_CHECKING:
    from driftgauge.shared.tables.table import Table

Record = tuple[int, list[str]]
"""The line where a record begins, from 1, and its cells."""
BLOCK: Final = 10_000
"""Records that are held as Python's own texts at a time."""
TOLD_LINES: Final = 5


def records(lines: Iterable[str], separator: str) -> Iterator[Record]:
    r"""Read the records that are not empty.

    Raises
    ------
    BadData
        If a record cannot be read, with its line.

    Examples
    --------
    >>> list(records(["a,b\n", "\n", '1,"x\n', 'y"\n', "2,z\n"], ","))
    [(1, ['a', 'b']), (3, ['1', 'x\ny']), (5, ['2', 'z'])]
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begins = 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadData(f"line {begins} cannot be read as CSV: {error}") from error


def checked_header(found: Iterator[Record]) -> list[str]:
    """Read the header, and check its names; spaces around them do not count.

    Raises
    ------
    BadData
        If there is none, a name is empty, or one stands there twice.
    """
    _, header = next(found, (0, []))
    header = [name.strip() for name in header]
    fault = header_fault(header)
    if looks_like_values(header):
        fault = (
            "the first line looks like values, not like the names of columns; put a line with the "
            "names before it"
        )
    if fault:
        raise BadData(fault)
    return header


def width_fault(cells: int, width: int) -> str:
    """Return what is wrong with a record of so many cells."""
    return f"has {cells} cells, the header {width}"


def read_delimited(lines: Iterable[str], separator: str, source: str) -> "Table":
    """Read a whole CSV file as texts.

    Raises
    ------
    BadData
        If the header or a record cannot be used. Records with more or fewer cells than the header
        are all counted, and the first of them named.
    """
    found = records(lines, separator)
    header = checked_header(found)
    first = next(found, None)
    if first is not None and len(first[1]) != len(header):
        _refuse_one_column(header, first)
    blocks: list[list[Texts]] = []
    begins: list[int] = []
    ragged: list[tuple[int, int]] = []
    rest = chain([] if first is None else [first], found)
    while block := list(islice(rest, BLOCK)):
        wrong = [(line, len(cells)) for line, cells in block if len(cells) != len(header)]
        ragged += wrong
        if not ragged:
            begins += [line for line, _ in block]
            columns = zip(*(cells for _, cells in block), strict=True)
            blocks.append([texts_of(column) for column in columns])
    if ragged:
        raise BadData(_ragged(header, ragged))
    if not blocks:
        raise BadData("it has a header but no rows")
    texts = {
        name: np.concatenate(parts)
        for name, parts in zip(header, zip(*blocks, strict=True), strict=True)
    }
    from driftgauge.shared.tables.table import Table  # with pandas, which the API starts without

    return Table(source, dict(texts), np.array(begins), "line")


def _refuse_one_column(header: Sequence[str], first: Record) -> None:
    """Name another separator, if the header seems to have one."""
    other = other_separator(header)
    if other:
        raise BadData(
            f"this looks like {other} between the cells; say so with --separator (line {first[0]} "
            f"{width_fault(len(first[1]), len(header))})"
        )


def _ragged(header: Sequence[str], ragged: Sequence[tuple[int, int]]) -> str:
    line, cells = ragged[0]
    more = ""
    if len(ragged) > 1:
        others = ", ".join(str(one) for one, _ in ragged[1 : TOLD_LINES + 1])
        left = len(ragged) - 1 - TOLD_LINES
        more = f"; so do not fit lines {others}" + (f" and {left:,} more" if left > 0 else "")
    why = "" if cells != len(header) + 1 else " (a separator at the end of the line makes a cell)"
    return f"line {line} {width_fault(cells, len(header))}{why}{more}"
