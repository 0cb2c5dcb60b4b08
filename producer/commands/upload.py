"""A CSV file as a batch for a running API: its features are sent as they are read, the answers
written as they come.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO, Final

import httpx

from driftgauge.shared.connections.api_client import refusal
from driftgauge.shared.errors import BadData, ServiceUnavailable

CHUNK_ROWS: Final = 500
TIMEOUT_S: Final = 60.0


@dataclass
class Sending:
    """A file that is being sent.

    Parameters
    ----------
    names
        The model's features; other columns stay out.
    sent
        Called with the number of rows of each part that was sent.
    """

    path: Path
    names: Sequence[str]
    sent: Callable[[int], None]
    rows: int = 0
    ignored: list[str] = field(default_factory=list)

    def parts(self) -> Iterator[bytes]:
        """Yield the file part by part, line for line, without the columns that are no features.

        Raises
        ------
        BadData
            If there is no such file, or it is no CSV.
        """
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                yield from self._parts(csv.reader(file, strict=True))
        except FileNotFoundError:
            raise BadData(f"There is no file {self.path}.") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadData(f"{self.path} cannot be read as CSV: {error}.") from error

    def _parts(self, records: Iterator[list[str]]) -> Iterator[bytes]:
        header = next(records, [])
        known = set(self.names)
        kept = [place for place, name in enumerate(header) if name in known]
        self.ignored = [name for name in header if name not in known]
        lines = [[header[place] for place in kept]]
        ragged = [""] * (len(kept) + 1)  # the API refuses the row, and only it
        for record in records:
            whole = len(record) == len(header)
            lines.append([record[place] for place in kept] if whole else ragged if record else [])
            if len(lines) >= CHUNK_ROWS:
                yield self._part(lines)
                lines = []
        yield self._part(lines)

    def _part(self, lines: Sequence[Sequence[str]]) -> bytes:
        self.rows += len(lines)
        self.sent(len(lines))
        text = StringIO(newline="")
        csv.writer(text).writerows(lines)
        return text.getvalue().encode()


def predict_file(
    client: httpx.Client,
    sending: Sending,
    model: str,
    output: Path,
    received: Callable[[int], None],
) -> Counter[str]:
    """Send a file and write the answers, as CSV; the output is there when all of it is.

    Parameters
    ----------
    received
        Called with the number of lines of each part that was written.

    Returns
    -------
    Counter
        How many rows have which status; and `dropped`, how many of their events were not published.

    Raises
    ------
    ServiceUnavailable
        If nothing answers, or stops answering; nothing was written then.
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
                "have been predicted and published. Start one with `driftgauge serve`, or name it "
                "with --url."
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
        params={"model": model},
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
    """Open a file that takes its place when it was written to its end, and is gone otherwise."""
    part = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise BadData(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
