"""A file of labels, posted to a running API part by part: it may be larger than memory.

Posting a file again is harmless: a label that is equal to the one before changes nothing.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from driftgauge.shared.connections.api_client import refusal
from driftgauge.shared.errors import BadData, ServiceUnavailable
from driftgauge.shared.reference.times import event_ms
from driftgauge.shared.tables.delimited import width_fault
from driftgauge.shared.tables.format import TableFormat, TimeFormat
from driftgauge.shared.tables.reading import cells_of

PART_ROWS: Final = 2000
TIMEOUT_S: Final = 60.0
SHOWN: Final = 5
ID: Final = "id"
"""The column of the predictions' ids in what `predict` and `replay` write."""


class Columns(NamedTuple):
    """Names of the columns of a file of labels; the time is when a label became known."""

    prediction_id: str
    label: str
    time: str | None = None


class Row(NamedTuple):
    """A label to be posted: its row in the file, from 1, and its cells."""

    row: int
    prediction_id: str
    label: str
    time: str


@dataclass
class Imported:
    """Numbers of a file's rows by what became of them.

    Parameters
    ----------
    other
        Accepted labels of a class that the model does not know.
    reasons
        Number of rejected labels by reason.
    first
        The first rejected ones: row of the file from 1, and reason.
    unmatched
        Rows whose key stands for no prediction; they were not posted.
    remarks
        What was recognised of the file.
    """

    accepted: int = 0
    rejected: int = 0
    other: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[tuple[int, str]] = field(default_factory=list)
    unmatched: int = 0
    remarks: tuple[str, ...] = ()

    def add(self, rows: Sequence[Row], answer: dict[str, Any]) -> None:
        """Take in the answer to a part."""
        self.accepted += answer["accepted"]
        self.other += answer.get("other", 0)
        for one in answer["rejected"]:
            self.reject(rows[one["index"]].row, one["reason"])

    def reject(self, row: int, reason: str) -> None:
        """Take in a row that cannot be used."""
        self.rejected += 1
        self.reasons[reason] += 1
        if len(self.first) < SHOWN:
            self.first.append((row, reason))


def ids_by_key(path: Path, key: str) -> dict[str, str | None]:
    """Read a file of predictions, as `predict` and `replay` write it: key to the prediction's id.

    Returns
    -------
    dict
        None for a key that stands for more than one prediction.

    Raises
    ------
    BadData
        If the file cannot be read, or lacks the column.
    """
    found: dict[str, str | None] = {}
    with cells_of(path) as cells:
        places = _places(path, cells.header, [key, ID])
        for _, record in cells.records:
            if len(record) == len(cells.header) and record[places[1]]:
                one = record[places[0]]
                found[one] = record[places[1]] if one not in found else None
    return found


def import_file(
    client: httpx.Client,
    path: Path,
    model: str,
    columns: Columns,
    sent: Callable[[int, int], None],
    ids: Mapping[str, str | None] | None = None,
    form: TableFormat | None = None,
    times: TimeFormat | None = None,
    imported: Imported | None = None,
) -> Imported:
    """Post a file.

    Parameters
    ----------
    sent
        Called with the characters and the rows of each part that was answered.
    ids
        The predictions' ids by what stands in the file instead, as from `ids_by_key`.
    form, times
        How the file's cells and times are written.
    imported
        The numbers of the files before, to which those of this one are added.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a column, or the API refuses it.
    ServiceUnavailable
        If nothing answers, or it stops answering; the message says what was accepted.
    """
    imported = Imported() if imported is None else imported
    with cells_of(path, form) as cells:
        imported.remarks += cells.remarks
        named = [name for name in columns if name is not None]
        places = _places(path, cells.header, named)
        numbered = enumerate((record for _, record in cells.records), start=1)
        while part := list(islice(numbered, PART_ROWS)):
            rows = list(_rows(part, places, len(cells.header), ids, imported, times))
            if rows:
                imported.add(rows, _post(client, model, rows, imported))
            sent(sum(sum(map(len, record)) + len(record) for _, record in part), len(part))
    return imported


def _rows(
    part: Iterable[tuple[int, list[str]]],
    places: Sequence[int],
    width: int,
    ids: Mapping[str, str | None] | None,
    imported: Imported,
    form: TimeFormat | None,
) -> Iterator[Row]:
    """Yield the labels that can be posted; the others are noted."""
    for row, record in part:
        if len(record) != width:
            imported.reject(row, width_fault(len(record), width))
            continue
        prediction_id, label, *when = (record[place] for place in places)
        if ids is not None:
            if prediction_id not in ids:
                imported.unmatched += 1
                continue
            known = ids[prediction_id]
            if known is None:
                imported.reject(row, "its key stands for more than one prediction")
                continue
            prediction_id = known
        yield Row(row, prediction_id, label, _moment(when[0], form) if when else "")


def _moment(text: str, form: TimeFormat | None) -> str:
    """Return a time as Unix milliseconds; what is none stays as it is, for the API to reject."""
    found = event_ms(text, form)
    return text if found is None else str(found)


def _post(
    client: httpx.Client, model: str, rows: Sequence[Row], before: Imported
) -> dict[str, Any]:
    """Post one part, and return the answer."""
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


def _places(path: Path, header: list[str], named: Sequence[str]) -> list[int]:
    missing = [name for name in named if name not in header]
    if missing:
        raise BadData(
            f"{path} lacks these columns: {', '.join(map(repr, missing))}; it has: "
            f"{', '.join(header)}. Nothing was posted."
        )
    return [header.index(name) for name in named]


def _table(rows: Iterable[Row]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("prediction_id", "label", "time"))
    writer.writerows(row[1:] for row in rows)
    return text.getvalue().encode()
