"""The labels of one request, not checked yet.

A CSV body is a table with a header; its cells are texts; `time_of` converts those of times to
what JSON would hold.
"""

import io
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from driftgauge.producer.http.problems import invalid
from driftgauge.producer.intake.csv_rows import records
from driftgauge.shared.reference.schema import FieldError, pointer
from driftgauge.shared.tables.delimited import width_fault

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


def of_csv(body: bytes, most: int) -> list[InputLabel]:
    r"""Read a CSV body (RFC 4180), up to one label more than `most`; an empty cell is a missing
    value.

    Raises
    ------
    Problem
        400 if it is no CSV, 413 if a row is too long or too many lines are empty, 422 with every
        fault of its header.

    Examples
    --------
    >>> good, bad = of_csv(b"prediction_id,label\na,1.5\n\nb\n", 10)
    >>> good.content, bad.line, bad.content
    ({'prediction_id': 'a', 'label': '1.5'}, 4, 'has 1 cells, the header 2')
    >>> of_csv(b"prediction_id;label\na;1,5\n", 10)[0].content
    {'prediction_id': 'a', 'label': '1,5'}
    """
    text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8-sig", newline="")
    found = records(text, most)
    _, header = next(found, (0, []))
    faults = _header_faults(header)
    if faults:
        raise invalid(faults)
    return [InputLabel(_content(header, record), line) for line, record in islice(found, most + 1)]


def time_of(text: str) -> int | str:
    """Convert a cell to Unix milliseconds where it is a whole number; otherwise return it as it is.

    Examples
    --------
    >>> time_of("1763666100000"), time_of("2025-11-20T20:15:00Z")
    (1763666100000, '2025-11-20T20:15:00Z')
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text


def _header_faults(header: Sequence[str]) -> list[FieldError]:
    if header and set(header).isdisjoint(FIELDS):  # perhaps the first label, which is not quoted
        return [FieldError("/header", "names no column of labels; use " + ", ".join(FIELDS))]
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
