"""Rows of a CSV file."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Self, TextIO

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.rows import MAX_ROW, MOST_FAULTS, InputRow
from driftgauge.shared.reference.schema import FieldError, Schema, pointer


class CsvRows:
    r"""The rows of a CSV file (RFC 4180) whose header names the features, in any order; an empty
    cell is a missing value.

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

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def count(self, most: int) -> int:
        """Count the rows below the header."""
        return max(0, sum(1 for _ in islice(records(self._text), most + 2)) - 1)

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
        faults = header_faults(header, schema)
        if faults:
            raise invalid(faults)
        return _csv_rows(found, header, schema)


def header_faults(header: Sequence[str], schema: Schema) -> list[FieldError]:
    """Find all that is wrong with the names of the columns.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> header_faults(["y", "y"], Schema((Feature("x", "numeric"), Feature("y", "numeric"))))[0]
    FieldError(field='/header/y', message='stands in the header more than once')
    """
    known, named = set(schema.names), set(header)
    twice = [name for name, times in Counter(header).items() if times > 1]
    return [
        *(
            FieldError(pointer("/header", name), "stands in the header more than once")
            for name in twice
        ),
        *(
            FieldError(pointer("/header", name), "is no feature of this model")
            for name in header
            if name not in known
        ),
        *(
            FieldError(
                pointer("/header", feature.name), "is missing: the schema does not allow that"
            )
            for feature in schema.features
            if feature.name not in named and not feature.nullable
        ),
    ]


class _Lines:
    """The lines of a file, as long as no record has more than `MAX_ROW` characters."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.characters = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_ROW + 1)
        self.characters += len(line)
        if self.characters > MAX_ROW:
            raise Problem(413, f"A row of the CSV has more than {MAX_ROW} characters.")
        if not line:
            raise StopIteration
        return line


def records(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Read the records of a CSV file that are not empty, each with the line where it begins.

    Raises
    ------
    Problem
        400 if the file is no CSV, with the line; 413 if a record is too long.
    """
    text.seek(0)
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    begins = 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
            lines.characters = 0
    except (csv.Error, UnicodeDecodeError) as error:
        raise Problem(400, f"The CSV cannot be read from line {begins} on: {error}.") from error


def _csv_rows(
    found: Iterator[tuple[int, list[str]]], header: Sequence[str], schema: Schema
) -> Iterator[InputRow]:
    kinds = {feature.name: feature.kind for feature in schema.features}
    numeric = [kinds[name] == "numeric" for name in header]
    for number, (line, record) in enumerate(found, start=1):
        if len(record) != len(header):
            wrong = FieldError(
                "", f"has {len(record)} cells, the header {len(header)}", "unreadable"
            )
            yield InputRow(number, line, [], [wrong])
            continue
        cells = [
            _number(cell) if is_number else cell or None
            for cell, is_number in zip(record, numeric, strict=True)
        ]
        values, faults = schema.positional(dict(zip(header, cells, strict=True)), "")
        yield InputRow(number, line, values, faults[:MOST_FAULTS])


def _number(cell: str) -> float | str | None:
    """Convert a cell to a number where it is one; otherwise leave it for the schema to refuse."""
    try:
        return float(cell) if "_" not in cell else cell
    except ValueError:
        return cell if cell.strip() else None
