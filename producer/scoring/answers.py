"""The answers of a batch as text, block by block: JSON, or CSV that a spreadsheet can open without
running it.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from driftgauge.producer.scoring.batch import RowAnswer
from driftgauge.shared.wording.harmless import harmless

COLUMNS: Final = ("row", "line", "status", "id", "prediction", "event", "error")

_encode = msgspec.json.Encoder().encode


class AnswerText(Protocol):
    """A form of answers."""

    media_type: str

    def head(self, model: str, version: str) -> bytes:
        """Return the text before the first row."""

    def block(self, answers: Sequence[RowAnswer]) -> bytes:
        """Return the text of some rows."""

    def tail(self) -> bytes:
        """Return the text after the last row."""


class JsonText:
    """A document with the rows, and at its end how many of them have which status and event."""

    media_type = "application/json"

    def __init__(self) -> None:
        self._separator = b""
        self._summary: Counter[str] = Counter()

    def head(self, model: str, version: str) -> bytes:
        return b'{"model":' + _encode(model) + b',"version":' + _encode(version) + b',"rows":['

    def block(self, answers: Sequence[RowAnswer]) -> bytes:
        self._summary.update(answer.status for answer in answers)
        self._summary.update(answer.event for answer in answers if answer.event is not None)
        text = self._separator + b",\n".join(map(_encode, answers))
        self._separator = b",\n"
        return text

    def tail(self) -> bytes:
        return b'],"summary":' + _encode(dict(self._summary)) + b"}\n"


class CsvText:
    r"""A table with a row for each row; probabilities are the last columns, named by their classes.

    Examples
    --------
    >>> CsvText(("a", "b")).head("m", "1.0.0")
    b'row,line,status,id,prediction,event,error,probability a,probability b\r\n'
    """

    media_type = "text/csv; charset=utf-8; header=present"

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._blank: list[float | None] = [None] * len(classes)

    def head(self, model: str, version: str) -> bytes:  # noqa: ARG002  the answer's headers name them
        return table([[*COLUMNS, *(f"probability {name}" for name in self._classes)]])

    def block(self, answers: Sequence[RowAnswer]) -> bytes:
        return table([self._cells(answer) for answer in answers])

    def tail(self) -> bytes:
        return b""

    def _cells(self, answer: RowAnswer) -> list[object]:
        faults = "; ".join(
            f"{fault.field.lstrip('/')} {fault.message}".strip() for fault in answer.errors
        )
        return [
            answer.row,
            answer.line,
            answer.status,
            answer.id,
            answer.prediction,
            answer.event,
            faults,
            *(answer.probabilities or self._blank),
        ]


def table(rows: Sequence[Sequence[object]]) -> bytes:
    """Return rows as CSV (RFC 4180), in which every text is `harmless`."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(
        [harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return text.getvalue().encode()
