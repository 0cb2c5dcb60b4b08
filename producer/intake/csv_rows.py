"""Rows of a CSV file."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Self, TextIO

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.rows import (
    MAX_ROW,
    NO_COLUMNS,
    InputRow,
    RowColumns,
    checked_row,
)
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import FieldError, Schema, pointer
from driftgauge.shared.tables.delimited import width_fault
from driftgauge.shared.tables.recognising import HEAD_BYTES, HEAD_LINES, separator_of


class CsvRows:
    r"""The rows of a CSV file (RFC 4180) whose header names the features, in any order; an empty
    cell is a missing value. Commas, semicolons, tabs or bars stand between the cells.

    Parameters
    ----------
    beside
        Columns that are no features.

    Examples
    --------
    >>> import io
    >>> from driftgauge.shared.reference.feature import Feature
    >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", nullable=True)))
    >>> rows = CsvRows(io.StringIO("c,x\na,1.5\n,z\n", newline=""))
    >>> rows.count(10)
    2
    >>> good, bad = rows.read(schema)
    >>> good.line, good.values, bad.line, bad.faults[0].message
    (2, [1.5, 'a'], 3, 'must be a number, not a string')
    """

    def __init__(self, text: TextIO, beside: RowColumns = NO_COLUMNS) -> None:
        self._text = text
        self._beside = beside

    def count(self, most: int) -> int:
        """Count the rows below the header; 413 if more than `most` lines are empty."""
        return max(0, sum(1 for _ in islice(records(self._text, most), most + 2)) - 1)

    def model(self) -> tuple[str | None, str | None]:
        """Return nothing: a CSV file names no model."""
        return None, None

    def read(self, schema: Schema) -> Iterator[InputRow]:
        """Check the whole header, then decode and check the rows.

        Raises
        ------
        Problem
            422 with every fault of the header.
        """
        found = records(self._text)
        _, header = next(found, (0, []))
        header = [name.strip() for name in header]
        faults = header_faults(header, schema, self._beside)
        if faults:
            raise invalid(faults)
        return _csv_rows(found, header, schema, self._beside)


def header_faults(
    header: Sequence[str], schema: Schema, beside: RowColumns = NO_COLUMNS
) -> list[FieldError]:
    """Find all that is wrong with the names of the columns.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> header_faults(["y", "y"], Schema((Feature("x", "numeric"), Feature("y", "numeric"))))[0]
    FieldError(field='/header/y', message='stands in the header more than once')
    >>> header_faults(["x", ""], Schema((Feature("x", "numeric"),)))
    [FieldError(field='/header/2', message='has no name')]
    """
    empty = [place for place, name in enumerate(header, start=1) if not name]
    known, named = {*schema.names, *beside.names, ""}, set(header)
    if named.isdisjoint(known):  # perhaps no header but the first row, which is not quoted
        return [FieldError("/header", "names none of the columns of this model")]
    twice = [name for name, times in Counter(header).items() if name and times > 1]
    return [
        *(FieldError(f"/header/{place}", "has no name") for place in empty),
        *(
            FieldError(pointer("/header", name), "stands in the header more than once")
            for name in twice
        ),
        *(
            FieldError(pointer("/header", name), "is no feature of this model")
            for name in header
            if name not in known and schema.extra == "refuse"
        ),
        *(
            FieldError(
                pointer("/header", feature.name), "is missing: the schema does not allow that"
            )
            for feature in schema.features
            if feature.name not in named and not feature.nullable
        ),
        *(
            FieldError(pointer("/header", name), "is missing")
            for name in sorted(beside.names - named)
        ),
    ]


class Lines:
    """The lines of a file, as long as no record has more than `MAX_ROW` characters.

    Attributes
    ----------
    characters
        Characters of the record that is being read; who reads sets it to 0 at the end of each.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.characters = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_ROW + 1)
        self.characters += len(line)
        if self.characters > MAX_ROW:
            raise Problem(413, f"A row has more than {MAX_ROW} characters.")
        if not line:
            raise StopIteration
        return line


def records(text: TextIO, most_empty: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Read the records of a CSV file that are not empty, each with the line where it begins.

    Parameters
    ----------
    most_empty
        Empty lines that the file may have; None if they were counted before.

    Raises
    ------
    Problem
        400 if the file is no CSV, with the line; 413 if a record is too long, or too many lines
        are empty.
    """
    separator = _separator(text)
    text.seek(0)
    lines = Lines(text)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begins, empty = 1, 0
    try:
        for record in reader:
            if record:
                yield begins, record
            else:
                empty += 1
                if most_empty is not None and empty > most_empty:
                    raise Problem(413, f"More than {most_empty} lines are empty; leave them out.")
            begins = reader.line_num + 1
            lines.characters = 0
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(400, f"The CSV cannot be read from line {begins} on: {error}.") from error


def _separator(text: TextIO) -> str:
    """Recognise the separator by the first lines; the comma, if more than one may be meant."""
    text.seek(0)
    lines: list[str] = []
    try:
        while len(lines) < HEAD_LINES and sum(map(len, lines)) < HEAD_BYTES:
            line = text.readline(MAX_ROW + 1)
            if not line:
                return separator_of(lines, whole=True)
            lines.append(line)
        return separator_of(lines, whole=False)
    except (BadData, UnicodeDecodeError):  # what cannot be read, the reader names by its line
        return ","


def _csv_rows(
    found: Iterator[tuple[int, list[str]]],
    header: Sequence[str],
    schema: Schema,
    beside: RowColumns,
) -> Iterator[InputRow]:
    for number, (line, record) in enumerate(found, start=1):
        if len(record) != len(header):
            wrong = FieldError("", width_fault(len(record), len(header)), "unreadable")
            yield InputRow(number, line, [], [wrong])
            continue
        cells: dict[str, Any] = dict(zip(header, record, strict=True))
        yield checked_row(number, line, cells, schema, beside, texts=True)
