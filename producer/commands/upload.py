"""A file as a batch for a running API: its features are sent as they are read, the answers
written as they come.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import httpx

from driftgauge.shared.connections.api_client import refusal
from driftgauge.shared.errors import BadData, ServiceUnavailable
from driftgauge.shared.tables.delimited import Record
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.reading import cells_of

CHUNK_ROWS: Final = 500
TIMEOUT_S: Final = 60.0


@dataclass
class Sending:
    """A file that is being sent.

    Parameters
    ----------
    names
        Names of the model's features; other columns are left out.
    sent
        Called with the number of rows of each part that was sent.
    form
        How the file's cells are written.
    row_columns
        Columns that the API takes beside the features: `id_column` and `time_column`, by these
        names.
    """

    path: Path
    names: Sequence[str]
    sent: Callable[[int], None]
    form: TableFormat = field(default_factory=TableFormat)
    row_columns: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    ignored: list[str] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    def parts(self) -> Iterator[bytes]:
        """Yield the file part by part as CSV, without the columns that are no features; each row at
        its own line, if the file is CSV too.

        Raises
        ------
        BadData
            If there is no such file, it cannot be read, or lacks a named column.
        """
        with cells_of(self.path, self.form) as cells:
            self.remarks = cells.remarks
            yield from self._parts(cells.header, cells.records)

    def _parts(self, header: Sequence[str], records: Iterator[Record]) -> Iterator[bytes]:
        absent = [name for name in self.row_columns.values() if name not in header]
        if absent:
            raise BadData(
                f"{self.path} has no column {', '.join(absent)}; it has: {', '.join(header)}."
            )
        known = {*self.names, *self.row_columns.values()}
        kept = [place for place, name in enumerate(header) if name in known]
        self.ignored = [name for name in header if name not in known]
        text = _Lines()
        text.record([header[place] for place in kept])
        ragged = [""] * (len(kept) + 1)  # the API refuses the row, and only it
        rows = 0
        for line, record in records:
            text.pad(line)
            whole = len(record) == len(header)
            text.record([record[place] for place in kept] if whole else ragged)
            rows += 1
            if rows == CHUNK_ROWS:
                yield self._part(text.take(), rows)
                rows = 0
        yield self._part(text.take(), rows)

    def _part(self, text: str, rows: int) -> bytes:
        self.rows += rows
        self.sent(rows)
        return text.encode()


class _Lines:
    """CSV that is written record by record, and knows at which line it is."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._line = 1
        self._writer = csv.writer(self, lineterminator="\n")

    def record(self, record: Sequence[str]) -> None:
        self._writer.writerow(record)

    def write(self, text: str) -> None:
        """Take the text of a record, as the writer gives it."""
        self._parts.append(text)
        self._line += text.count("\n")

    def pad(self, line: int) -> None:
        """Go to a line by empty ones, which nobody reads."""
        self.write("\n" * (line - self._line))

    def take(self) -> str:
        text = "".join(self._parts)
        self._parts = []
        return text


def predict_file(
    client: httpx.Client,
    sending: Sending,
    model: str,
    output: Path,
    received: Callable[[int], None],
) -> Counter[str]:
    """Send a file and write the answers as CSV. The output file appears only when it is complete.

    Parameters
    ----------
    received
        Function that is called with the number of lines of each part that was written.

    Returns
    -------
    Counter
        Number of rows by status; `dropped` counts the rows whose event was not published.

    Raises
    ------
    ServiceUnavailable
        If nothing answers, or it stops answering; nothing was written then.
    BadData
        If the file cannot be read, or the API refuses it.
    """
    with _written_at_once(output) as file:
        try:
            _exchange(client, sending, model, file, received)
        except httpx.HTTPError as error:
            raise ServiceUnavailable(
                f"The API at {client.base_url} does not answer ({type(error).__name__}); {output} "
                f"was not written. Rows may "
                "have been predicted and published. Start one with `driftgauge up`, or name it "
                "with --url or DRIFTGAUGE_API_URL."
            ) from error
        file.flush()
        return statuses(Path(file.name))


def statuses(path: Path) -> Counter[str]:
    """Count the rows of an answer by their status, and those whose event was dropped."""
    found: Counter[str] = Counter()
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.update([row["status"], *(["dropped"] if row["event"] == "dropped" else [])])
    return found


def _exchange(
    client: httpx.Client,
    sending: Sending,
    model: str,
    file: IO[bytes],
    received: Callable[[int], None],
) -> None:
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    request = client.stream(
        "POST",
        "/predict_batch",
        params={"model": model, **sending.row_columns},
        headers=headers,
        content=sending.parts(),
        timeout=TIMEOUT_S,
    )
    with request as answer:
        if not answer.is_success:
            answer.read()
            raise refusal(answer)
        for part in answer.iter_bytes():
            file.write(part)
            received(part.count(b"\n"))


@contextmanager
def _written_at_once(output: Path) -> Iterator[IO[bytes]]:
    """Open a file that is moved to its place when it is complete, and removed after an error."""
    part = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise BadData(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
