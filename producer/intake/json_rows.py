"""The rows of a JSON document, of which one is in memory at a time.

A row's text is cut out first and decoded by itself, so that a fault in one row does not affect the
others: NaN, half a surrogate pair, a number that is no float. A streaming parser (`ijson`, some 1.4
times as fast) ends the document there or changes the text, and does not report the position.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TextIO

import msgspec

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.documents import decode, strict_fault
from driftgauge.producer.intake.rows import (
    MAX_ROW,
    NO_COLUMNS,
    InputRow,
    RowColumns,
    checked_row,
)
from driftgauge.producer.intake.turns import check_containers
from driftgauge.shared.reference.schema import FieldError, Schema, pointer

CHUNK: Final = 1 << 16
"""Characters that are read at a time."""
ENVELOPE: Final = ("model", "version", "rows")
SPACES: Final = re.compile(r"[ \t\n\r]*")


class JsonRows:
    """The rows of a JSON document: a list of objects with the features, or an object with that list
    as `rows`.

    Examples
    --------
    >>> import io
    >>> from driftgauge.shared.reference.feature import Feature
    >>> rows = JsonRows(io.StringIO('{"rows": [{"x": 1}, {"x": "a"}, 7], "model": "m"}'))
    >>> rows.count(10), rows.model()
    (3, ('m', None))
    >>> [len(row.faults) for row in rows.read(Schema((Feature("x", "numeric"),)))]
    [0, 1, 1]
    """

    def __init__(self, text: TextIO, beside: RowColumns = NO_COLUMNS) -> None:
        self._text = text
        self._beside = beside
        self._fields: dict[str, Any] = {}

    def count(self, most: int) -> int:
        """Count the rows, and read what the document says beside them.

        Raises
        ------
        Problem
            400 if the document is no JSON, with the character; 413 if a row is too long; 422 for
            every field that is missing, unknown, doubled, or no string.
        """
        rows = 0
        fields: dict[str, Any] = {}
        for _ in self._row_texts(fields):
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
        """Return the model and the version that the document names."""
        return self._fields.get("model"), self._fields.get("version")

    def read(self, schema: Schema) -> Iterator[InputRow]:
        """Decode and check the rows."""
        for number, source in enumerate(self._row_texts({}), start=1):
            yield _row(number, source, schema, self._beside)

    def _row_texts(self, fields: dict[str, Any]) -> Iterator[str]:
        """Cut out the text of each row, and store in `fields` the other fields of the document, and
        that there are rows.
        """
        self._text.seek(0)
        document = JsonText(self._text)
        if document.ahead() == "[":
            fields["rows"] = True
            yield from document.items()
        else:
            for name in document.names():
                if name in fields or name not in ENVELOPE:
                    fault = (
                        "stands there more than once"
                        if name in fields
                        else f"is no field; use {', '.join(ENVELOPE)}"
                    )
                    raise invalid([FieldError(pointer("", name), fault)])
                if name == "rows":
                    fields["rows"] = True
                    yield from document.items()
                else:
                    fields[name] = document.strict()
        document.end()


def _row(number: int, source: str, schema: Schema, beside: RowColumns) -> InputRow:
    """Decode a row strictly, and check it: what was cut out may be no JSON after all, as NaN."""
    try:
        features = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError) as error:
        features = _with_marks(source) if schema.takes_not_finite else None
        if features is None:
            wrong = FieldError("", f"cannot be read: {error}", "unreadable")
            return InputRow(number, None, [], [wrong])
    if not isinstance(features, dict):
        wrong = FieldError("", "must be an object of feature names and values", "unreadable")
        return InputRow(number, None, [], [wrong])
    return checked_row(number, None, features, schema, beside)


def _with_marks(source: str) -> Any:
    """Decode a row in which NaN and infinities mean missing values; None if it is no JSON else."""
    try:
        found, _ = decode(source.encode("utf-8", "surrogatepass"))
    except Problem:
        return None
    return None if strict_fault(found, "", not_finite=True) else found


class JsonText:
    """A JSON document that is read value by value; only the value being read is in memory."""

    def __init__(self, text: TextIO) -> None:
        self._source = text
        self._text = ""
        self._at = 0
        self._passed = 0
        self._scan = json.JSONDecoder(strict=True).raw_decode

    def ahead(self) -> str:
        """Return the next character that is no space; empty at the end.

        Raises
        ------
        Problem
            413 if there are more spaces than a row may have characters.
        """
        began = self._passed + self._at
        while True:
            found = SPACES.match(self._text, self._at)
            self._at = found.end() if found is not None else self._at
            if self._passed + self._at - began > MAX_ROW:
                raise Problem(413, f"More than {MAX_ROW} spaces stand beside each other.")
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def value(self) -> str:
        """Cut out the text of the next value."""
        self.ahead()
        while True:
            try:
                _, end = self._scan(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if (
                    not isinstance(error, ValueError)
                    or len(self._text) - self._at > MAX_ROW
                    or not self._more()
                ):
                    raise self._malformed("a value") from None
                check_containers(self._text, self._at)
                continue
            if self._may_go_on(end) and self._more():
                continue
            value = self._text[self._at : end]
            self._at = end
            return value

    def _may_go_on(self, end: int) -> bool:
        """Tell whether a number may go on in what is not read yet, as `1`, `1.` and `1e+` may."""
        return (
            self._text[end - 1].isdigit()
            and len(self._text) - end <= 2
            and self._text[end:].strip(".eE+-") == ""
        )

    def strict(self) -> Any:
        """Decode the next value strictly."""
        try:
            return msgspec.json.decode(self.value())
        except (msgspec.DecodeError, RecursionError) as error:
            raise Problem(400, f"The body is not JSON: {error}.") from error

    def items(self) -> Iterator[str]:
        """Cut out the text of each value of a list."""
        yield from (self.value() for _ in self._members("[", "]"))

    def names(self) -> Iterator[str]:
        """Read the names in an object; the caller reads the value after each."""
        for _ in self._members("{", "}"):
            name = self.strict() if self.ahead() == '"' else None
            if name is None or not self._take(":"):
                raise self._malformed("a name and its value")
            yield name

    def end(self) -> None:
        """Check that nothing follows the document."""
        if self.ahead():
            raise self._malformed("the end")

    def _members(self, opening: str, closing: str) -> Iterator[None]:
        """Read a list or an object up to each member, which the caller reads."""
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
        """Go past the next character if it is one of those wanted, and return it; empty if not."""
        found = self.ahead()
        if not found or found not in wanted:
            return ""
        self._at += 1
        return found

    def _more(self) -> bool:
        """Forget what was read, and read on; False at the end of the file."""
        # as much again as waits: so a long value is scanned a few times, and not once per chunk
        wanted = max(CHUNK, len(self._text) - self._at)
        try:
            chunk = self._source.read(wanted)
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
        return Problem(
            400,
            f"The body is not JSON: {what} at character {self._passed + self._at}, not {expected}.",
        )
