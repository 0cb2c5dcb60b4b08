"""The rows of a batch, read one by one from a file that may be larger than memory: CSV, or JSON.

A file is read twice: `count` finds what makes it unusable as a whole, before anything is scored; then each row is checked
against the schema by itself, so that one that does not fit harms no other.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, Self, TextIO

import msgspec

from producer.problems import Problem, invalid
from shared.events import Value
from shared.schema import FieldError, Schema, pointer

MOST_FAULTS: Final = 20
"""Faults that are told of one row."""
CHUNK: Final = 1 << 16
MAX_ROW: Final = 1 << 20
"""Longest row of JSON, in characters."""
ENVELOPE: Final = ("model", "version", "rows")
SPACE: Final = " \t\n\r"


class Row(NamedTuple):
    """A row of a batch.

    Parameters
    ----------
    number
        From 1.
    line
        Where it begins in a CSV file, from 1; None in JSON.
    values
        In stream order; of use only without faults.
    """

    number: int
    line: int | None
    values: list[Value]
    faults: Sequence[FieldError]


class Rows(Protocol):
    """A file of rows. Each method reads it from its beginning."""

    def count(self, most: int) -> int:
        """Count the rows, to one more than `most`; raises a Problem if the file cannot be read to its end."""

    def model(self) -> tuple[str | None, str | None]:
        """Give the model and the version that the file names; known when it has been counted."""

    def read(self, schema: Schema) -> Iterator[Row]:
        """Read the rows; raises a Problem if none of them can fit."""


class CsvRows:
    r"""Rows of a CSV file (RFC 4180) with a header of feature names, in any order; an empty cell is a missing value.

    Examples
    --------
    >>> import io
    >>> from shared.schema import Feature
    >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical", nullable=True)))
    >>> rows = CsvRows(io.StringIO("c,x\na,1.5\n,z\n", newline=""))
    >>> rows.count(10)
    2
    >>> [(row.line, row.values, [fault.message for fault in row.faults]) for row in rows.read(schema)]
    [(2, [1.5, 'a'], []), (3, [None], ['must be a number, not a string'])]
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def count(self, most: int) -> int:
        """Count the rows below the header."""
        return max(0, sum(1 for _ in islice(_records(self._text), most + 2)) - 1)

    def model(self) -> tuple[str | None, str | None]:
        """Give nothing: a CSV file names no model."""
        return None, None

    def read(self, schema: Schema) -> Iterator[Row]:
        """Check the header, all of it, and then read the rows."""
        records = _records(self._text)
        _, header = next(records, (0, []))
        faults = header_faults(header, schema)
        if faults:
            raise invalid(faults)
        return _csv_rows(records, header, schema)


def header_faults(header: Sequence[str], schema: Schema) -> list[FieldError]:
    """Find all that is wrong with the names of the columns.

    Examples
    --------
    >>> from shared.schema import Feature
    >>> header_faults(["y", "y"], Schema((Feature("x", "numeric"), Feature("y", "numeric"))))[0]
    FieldError(field='/header/y', message='stands in the header more than once')
    """
    known = set(schema.names)
    twice = dict.fromkeys(name for name in header if header.count(name) > 1) if len(set(header)) < len(header) else {}
    return [
        *(FieldError(pointer("/header", name), "stands in the header more than once") for name in twice),
        *(FieldError(pointer("/header", name), "is no feature of this model") for name in header if name not in known),
        *(
            FieldError(pointer("/header", feature.name), "is missing: the schema does not allow that")
            for feature in schema.features
            if feature.name not in header and not feature.nullable
        ),
    ]


class _Lines:
    """The lines of a file, of which no record takes more than some."""

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


def _records(text: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file from its beginning: records that are not empty, each with the line where it begins."""
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


def _csv_rows(records: Iterator[tuple[int, list[str]]], header: Sequence[str], schema: Schema) -> Iterator[Row]:
    kinds = {feature.name: feature.kind for feature in schema.features}
    numeric = [kinds[name] == "numeric" for name in header]
    for number, (line, record) in enumerate(records, start=1):
        if len(record) != len(header):
            wrong = FieldError("", f"has {len(record)} cells, the header {len(header)}")
            yield Row(number, line, [], [wrong])
            continue
        cells = [_number(cell) if is_number else cell or None for cell, is_number in zip(record, numeric, strict=True)]
        values, faults = schema.positional(dict(zip(header, cells, strict=True)), "")
        yield Row(number, line, values, faults[:MOST_FAULTS])


def _number(cell: str) -> float | str | None:
    """Give a cell as a number where it is one; the schema's check names what is not."""
    try:
        return float(cell) if "_" not in cell else cell
    except ValueError:
        return cell if cell.strip() else None


class JsonRows:
    """Rows of a JSON document: a list of objects with the features, or an object with that list as `rows`.

    Examples
    --------
    >>> import io
    >>> from shared.schema import Feature
    >>> rows = JsonRows(io.StringIO('{"rows": [{"x": 1}, {"x": "a"}, 7], "model": "m"}'))
    >>> rows.count(10), rows.model()
    (3, ('m', None))
    >>> [len(row.faults) for row in rows.read(Schema((Feature("x", "numeric"),)))]
    [0, 1, 1]
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._fields: dict[str, Any] = {}

    def count(self, most: int) -> int:
        """Count the rows, and read what the document says beside them."""
        rows = 0
        fields: dict[str, Any] = {}
        for _ in self._items(fields):
            rows += 1
            if rows > most:
                return rows
        faults = [
            FieldError(pointer("", name), "must be a string")
            for name in ("model", "version")
            if not isinstance(fields.get(name), str | None)
        ]
        if "rows" not in fields:
            faults.append(FieldError("/rows", "is missing"))
        if faults:
            raise invalid(faults)
        self._fields = fields
        return rows

    def model(self) -> tuple[str | None, str | None]:
        """Give what the document names."""
        return self._fields.get("model"), self._fields.get("version")

    def read(self, schema: Schema) -> Iterator[Row]:
        """Read the rows."""
        for number, source in enumerate(self._items({}), start=1):
            values, faults = _positional(source, schema)
            yield Row(number, None, values, faults[:MOST_FAULTS])

    def _items(self, fields: dict[str, Any]) -> Iterator[str]:
        """Give each row's text; the other fields, and that there were rows, are noted."""
        self._text.seek(0)
        document = _JsonText(self._text)
        if document.ahead() == "[":
            fields["rows"] = True
            yield from document.items()
        else:
            for name in document.names():
                if name in fields or name not in ENVELOPE:
                    fault = "stands there more than once" if name in fields else f"is no field; use {', '.join(ENVELOPE)}"
                    raise invalid([FieldError(pointer("", name), fault)])
                if name == "rows":
                    fields["rows"] = True
                    yield from document.items()
                else:
                    fields[name] = document.strict()
        document.end()


def _positional(source: str, schema: Schema) -> tuple[list[Value], list[FieldError]]:
    """Read a row, strictly: what stands in it may be no JSON after all, as NaN is none."""
    try:
        features = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError) as error:
        return [], [FieldError("", f"cannot be read: {error}")]
    if not isinstance(features, dict):
        return [], [FieldError("", "must be an object of feature names and values")]
    return schema.positional(features, "")


class _JsonText:
    """A JSON document that is read value by value, of which only the present one is in memory."""

    def __init__(self, text: TextIO) -> None:
        self._source = text
        self._text = ""
        self._at = 0
        self._passed = 0
        self._scan = json.JSONDecoder(strict=True).raw_decode

    def ahead(self) -> str:
        """Give the next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def value(self) -> str:
        """Give the text of the next value."""
        self.ahead()
        while True:
            try:
                _, end = self._scan(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if not isinstance(error, ValueError) or len(self._text) - self._at > MAX_ROW or not self._more():
                    raise self._malformed("a value") from None
                continue
            if self._may_go_on(end) and self._more():
                continue
            value = self._text[self._at : end]
            self._at = end
            return value

    def _may_go_on(self, end: int) -> bool:
        """Tell whether a number ends only because the text read so far does: `1`, `1.`, `1e+`."""
        return self._text[end - 1].isdigit() and len(self._text) - end <= 2 and self._text[end:].strip(".eE+-") == ""

    def strict(self) -> Any:
        """Give the next value, decoded strictly."""
        try:
            return msgspec.json.decode(self.value())
        except (msgspec.DecodeError, RecursionError) as error:
            raise Problem(400, f"The body is not JSON: {error}.") from error

    def items(self) -> Iterator[str]:
        """Give the text of each value of the list that comes."""
        yield from (self.value() for _ in self._members("[", "]"))

    def names(self) -> Iterator[str]:
        """Give the names in the object that comes; the caller takes the value of each."""
        for _ in self._members("{", "}"):
            name = self.strict() if self.ahead() == '"' else None
            if name is None or not self._take(":"):
                raise self._malformed("a name and its value")
            yield name

    def end(self) -> None:
        """Check that nothing follows."""
        if self.ahead():
            raise self._malformed("the end")

    def _members(self, opening: str, closing: str) -> Iterator[None]:
        if not self._take(opening):
            raise self._malformed(opening)
        if self.ahead() == closing:
            self._at += 1
            return
        while True:
            yield
            after = self._take(closing + ",")
            if after == closing:
                return
            if after != ",":
                raise self._malformed(f", or {closing}")

    def _take(self, wanted: str) -> str:
        """Take the next character, if it is one of those wanted."""
        found = self.ahead()
        if not found or found not in wanted:
            return ""
        self._at += 1
        return found

    def _more(self) -> bool:
        try:
            chunk = self._source.read(CHUNK)
        except UnicodeDecodeError as error:
            raise Problem(400, f"The body is not UTF-8: {error.reason}.") from error
        self._passed += self._at
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)

    def _malformed(self, expected: str) -> Problem:
        if len(self._text) - self._at > MAX_ROW:
            return Problem(413, f"A row has more than {MAX_ROW} characters, or is no JSON.")
        there = self._text[self._at : self._at + 1]
        what = f"{there!r} stands" if there else "it ends"
        return Problem(400, f"The body is not JSON: {what} at character {self._passed + self._at}, not {expected}.")
