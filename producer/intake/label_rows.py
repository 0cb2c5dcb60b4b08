"""The labels of one request, decoded from its JSON or CSV body and not checked yet.

A CSV body is a table with a header; its cells are texts; `time_of` converts those of times to
what JSON would hold.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any, Final, NamedTuple

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.documents import decode
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import FieldError, pointer
from driftgauge.shared.tables.delimited import width_fault
from driftgauge.shared.tables.recognising import HEAD_LINES, separator_of

FIELDS: Final = ("prediction_id", "label", "time", "model")
REQUIRED: Final = FIELDS[:2]


class InputLabel(NamedTuple):
    """One decoded label of a request, not checked yet.

    Parameters
    ----------
    content
        An object with the fields of a label; anything else is at fault.
    line
        The line of the CSV body where it begins, from 1; None in JSON.
    """

    content: Any
    line: int | None = None


def of_json(body: bytes) -> list[InputLabel]:
    """Read one label (an object) or many (a list).

    Raises
    ------
    Problem
        400 if it is no JSON.

    Examples
    --------
    >>> of_json(b'{"prediction_id": "a", "label": 1}')
    [InputLabel(content={'prediction_id': 'a', 'label': 1}, line=None)]
    """
    document, flaw = decode(body)
    if flaw is not None:
        raise flaw
    return [InputLabel(each) for each in (document if isinstance(document, list) else [document])]


def of_csv(body: bytes) -> list[InputLabel]:
    r"""Read a CSV body (RFC 4180); an empty cell is a missing value.

    Raises
    ------
    Problem
        400 if it is no CSV, 422 with every fault of its header.

    Examples
    --------
    >>> good, bad = of_csv(b"prediction_id,label\na,1.5\n\nb\n")
    >>> good.content, bad.line, bad.content
    ({'prediction_id': 'a', 'label': '1.5'}, 4, 'has 1 cells, the header 2')
    >>> of_csv(b"prediction_id;label\na;1,5\n")[0].content
    {'prediction_id': 'a', 'label': '1,5'}
    """
    try:
        records = _records(body.decode("utf-8-sig"))
        _, header = next(records, (0, []))
        faults = _header_faults(header)
        if faults:
            raise invalid(faults)
        return [InputLabel(_content(header, record), line) for line, record in records]
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(400, f"The CSV cannot be read: {error}.") from error


def time_of(text: str) -> int | str:
    """Convert a cell to Unix milliseconds where it is a whole number; otherwise return it as it is.

    Examples
    --------
    >>> time_of("1763666100000"), time_of("2025-11-20T20:15:00Z")
    (1763666100000, '2025-11-20T20:15:00Z')
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the line where it begins."""
    lines = text.splitlines(keepends=True)[:HEAD_LINES]
    try:
        separator = separator_of(lines, whole=len(lines) < HEAD_LINES)
    except BadData:  # more than one may be meant
        separator = ","
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = 1
    for record in reader:
        if record:
            yield begins, record
        begins = reader.line_num + 1


def _header_faults(header: Sequence[str]) -> list[FieldError]:
    return [
        *(
            FieldError(pointer("/header", name), "stands in the header more than once")
            for name, times in Counter(header).items()
            if times > 1
        ),
        *(
            FieldError(pointer("/header", name), "is no column of labels; use " + ", ".join(FIELDS))
            for name in dict.fromkeys(header)
            if name not in FIELDS
        ),
        *(
            FieldError(pointer("/header", name), "is missing")
            for name in REQUIRED
            if name not in header
        ),
    ]


def _content(header: Sequence[str], record: Sequence[str]) -> dict[str, str | None] | str:
    if len(record) != len(header):
        return width_fault(len(record), len(header))
    return {name: cell or None for name, cell in zip(header, record, strict=True)}
