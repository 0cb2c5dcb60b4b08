"""Turns the rows of a file into panes by the code that counts the log, without Redis, so that they
can be judged as if they had come as traffic at their times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.offline.calibrating import parse_times
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import PREDICTION, TICK, Prediction, encode
from driftgauge.shared.contract.pane import PaneEntry
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import answers_of, columns_of, json_values
from driftgauge.shared.tables.pace import START_MS, paced, remark
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import model_columns, predict

BATCH = 1000


@dataclass(frozen=True)
class FileRows:
    """A file to be judged.

    Parameters
    ----------
    time
        Name of the time column; None spreads the rows evenly at the expected traffic.
    prediction
        Name of the column of predictions; None lets the model predict.
    pii_key
        Key of the hashes of personal features, if the schema has any.
    """

    path: Path
    time: str | None = None
    prediction: str | None = None
    pii_key: str | None = None


@dataclass(frozen=True)
class Log:
    """The entries of a log that were made from a file."""

    entries: list[Entry]
    remarks: list[str]


def log_of(
    version: PublishedVersion, rows: FileRows, expected_per_day: float, estimator: Any = None
) -> Log:
    """Read a file as the log that its rows would have made, in the order of their times.

    Parameters
    ----------
    expected_per_day
        Rows per day of a file without times.
    estimator
        Fitted model, which predicts the rows if they have no predictions; None without one.

    Raises
    ------
    BadData
        If a column is missing, or a value is not what the schema says.
    """
    named = [name for name in (rows.time, rows.prediction) if name is not None]
    told: list[str] = []
    kinds = version.schema.kinds_of(named)
    frame = read_table(rows.path, version.schema.table, kinds, told.append)
    absent = [
        name
        for name in (rows.time, rows.prediction)
        if name is not None and name not in frame.columns
    ]
    if absent:
        raise BadData(
            f"{rows.path} has no column {', '.join(absent)}; it has: "
            f"{', '.join(map(str, frame.columns))}."
        )
    if rows.time is not None:
        times, remarks = parse_times(frame[rows.time], str(rows.path), version.schema.time)
    else:
        times = paced(len(frame), expected_per_day)
        remarks = [remark(expected_per_day, START_MS)]
    order = np.argsort(times, kind="stable")
    features = [json_values(column) for column in columns_of(frame, version.schema, rows.pii_key)]
    predictions = _predictions(version, rows, frame, estimator)
    if predictions is None:
        predictions = [None] * len(frame)
        if version.schema.prediction is not None:
            raise BadData(
                f"{rows.path}: name the column of the predictions with --prediction-column."
            )
    return Log(
        [_entry(version, place, times, features, predictions) for place in order.tolist()],
        [*told, *remarks],
    )


def _predictions(
    version: PublishedVersion, rows: FileRows, frame: Any, estimator: Any
) -> Sequence[Any] | None:
    kind = version.schema.prediction
    if kind is None:
        return None
    if rows.prediction is not None:
        return json_values(answers_of(frame[rows.prediction], version.schema))
    if estimator is None:
        return None
    return json_values(predict(version.schema, estimator, model_columns(frame, version.schema)))


def _entry(
    version: PublishedVersion,
    place: int,
    times: Ints,
    features: Sequence[Sequence[Any]],
    predictions: Sequence[Any],
) -> Entry:
    moment = int(times[place])
    values = [column[place] for column in features]
    event = Prediction(
        f"row-{place + 1}", version.manifest.version, max(moment, 0), values, predictions[place]
    )
    fields = [b"t", PREDICTION, b"p", b"file", b"s", str(place + 1).encode(), b"e", encode(event)]
    return str(EntryId(moment, place)).encode(), fields


def counted(version: PublishedVersion, log: Log, policy: CountingPolicy) -> Iterator[PaneEntry]:
    """Count a log and yield its panes entries; the open pane is closed at the end."""
    name = version.manifest.version
    cells = CellMap(
        version.schema,
        version.reference,
        version.calibration,
        batch_counts=version.manifest.batch_counts,
    )
    state = CountingState()
    for first in range(0, len(log.entries), BATCH):
        batch = columns.read(log.entries[first : first + BATCH], cells.decoder)
        outputs = advance(state, batch, {name: cells}, policy)
        if outputs.dead:
            raise BadData(f"A row does not fit the schema: {outputs.dead[0].reason}.")
        yield from (entry for _, _, entry in outputs.panes)
    last = EntryId.parse(log.entries[-1][0]).ms
    end: Entry = (str(EntryId(last + policy.pane_seconds * 1000, 0)).encode(), [b"t", TICK])
    yield from (
        entry for _, _, entry in advance(state, columns.read([end]), {name: cells}, policy).panes
    )
