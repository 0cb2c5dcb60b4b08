"""A CSV file of labels, posted to a running API part by part: it may be larger than memory.

Posting a file again is harmless: a label that is equal to the one before changes nothing.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from driftgauge.shared.connections.api_client import refusal
from driftgauge.shared.errors import BadData, ServiceUnavailable

PART_ROWS: Final = 2000
TIMEOUT_S: Final = 60.0
SHOWN: Final = 5


class Columns(NamedTuple):
    """The columns of a file of labels; the time is when a label became known."""

    prediction_id: str
    label: str
    time: str | None = None


@dataclass
class Imported:
    """What became of a file's rows.

    Parameters
    ----------
    reasons
        How many labels were rejected, by reason.
    first
        The first rejected ones: row of the file from 1, and reason.
    """

    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, start: int, answer: dict[str, Any]) -> None:
        """Take in the answer to a part that begins at a row."""
        self.accepted += answer["accepted"]
        self.rejected += len(answer["rejected"])
        for one in answer["rejected"]:
            self.reasons[one["reason"]] += 1
            if len(self.first) < SHOWN:
                self.first.append((start + one["index"], one["reason"]))


def import_file(
    client: httpx.Client, path: Path, model: str, columns: Columns, sent: Callable[[int], None]
) -> Imported:
    """Post a file.

    Parameters
    ----------
    sent
        Called with the bytes of the file that each answered part took.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a column, or the API refuses it.
    ServiceUnavailable
        If nothing answers, or stops answering; what was accepted is said.
    """
    imported = Imported()
    start = 1
    for rows, size in _parts(path, columns):
        imported.add(start, _post(client, model, rows, imported))
        start += len(rows)
        sent(size)
    return imported


def _post(
    client: httpx.Client, model: str, rows: list[list[str]], before: Imported
) -> dict[str, Any]:
    """Post one part, and give the answer."""
    headers = {"Content-Type": "text/csv"}
    try:
        answer = client.post(
            "/labels",
            params={"model": model},
            headers=headers,
            content=_table(rows),
            timeout=TIMEOUT_S,
        )
    except httpx.HTTPError as error:
        raise ServiceUnavailable(
            _stopped(f"No API at {client.base_url} ({type(error).__name__})", before)
        ) from error
    if not answer.is_success:
        refused = refusal(answer)
        raise type(refused)(_stopped(str(refused), before))
    found: dict[str, Any] = answer.json()
    return found


def _stopped(reason: str, imported: Imported) -> str:
    return (
        f"{reason}. {imported.accepted} labels were accepted before; import the file again, equal "
        "labels change nothing."
    )


def _parts(path: Path, columns: Columns) -> Iterator[tuple[list[list[str]], int]]:
    """Yield the labels of a file part by part, each with its size in characters."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            places = _places(path, next(reader, []), columns)
            while records := list(islice(reader, PART_ROWS)):
                yield (
                    [_row(record, places) for record in records if record],
                    sum(map(_length, records)),
                )
    except FileNotFoundError:
        raise BadData(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} cannot be read as CSV: {error}.") from error


def _places(path: Path, header: list[str], columns: Columns) -> list[int]:
    named = [name for name in columns if name is not None]
    missing = [name for name in named if name not in header]
    if missing:
        raise BadData(
            f"{path} lacks these columns: {', '.join(map(repr, missing))}. Nothing was posted."
        )
    return [header.index(name) for name in named]


def _row(record: list[str], places: list[int]) -> list[str]:
    """Return id, label and time of a record; a cell that it lacks is empty, which the API rejects
    by its reason.
    """
    cells = [record[place] if place < len(record) else "" for place in places]
    return [*cells[:2], with_zone(cells[2]) if len(cells) > 2 else ""]


def _length(record: list[str]) -> int:
    return sum(map(len, record)) + len(record)


def with_zone(text: str) -> str:
    """Return a time its zone: one without is UTC. What is no ISO 8601 stays as it is.

    Examples
    --------
    >>> (
    ...     with_zone("2025-11-20 20:15"),
    ...     with_zone("2025-11-20T20:15+01:00"),
    ...     with_zone("1763666100000"),
    ... )
    ('2025-11-20T20:15:00+00:00', '2025-11-20T20:15+01:00', '1763666100000')
    """
    try:
        moment = datetime.fromisoformat(text) if not text.isdecimal() else None
    except ValueError:
        return text
    return (
        text
        if moment is None or moment.tzinfo is not None
        else moment.replace(tzinfo=UTC).isoformat()
    )


def _table(rows: list[list[str]]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("prediction_id", "label", "time"))
    writer.writerows(rows)
    return text.getvalue().encode()
