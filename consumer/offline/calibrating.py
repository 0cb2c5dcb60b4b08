"""Calibration of a registered version: times and rows from a CSV file, or the days that an earlier
one has kept.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.consumer.judging.ordered.days import DAY_MS, timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.shared.arrays import Ints
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.calibration import Calibration, Timeline
from driftgauge.shared.reference.frames import as_column, columns_of
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import model_columns, predict

READINGS: tuple[dict[str, Any], ...] = (
    {"format": "ISO8601"},
    {"dayfirst": False},
    {"dayfirst": True},
)
"""Ways to read a text as a time, tried in this order on the whole column."""
SECONDS_BELOW = 1e11
"""Numbers below it are seconds since 1970, else ms."""


@dataclass(frozen=True)
class TimedRows:
    """A file of time-ordered reference rows.

    Parameters
    ----------
    time
        Column of the time.
    prediction
        Column of the predictions, if the file has them.
    pii_key
        Key of the hashes, needed if a feature is to be hashed.
    """

    path: Path
    time: str
    prediction: str | None = None
    pii_key: str | None = None


def make_calibration(
    version: PublishedVersion,
    rows: TimedRows | None = None,
    *,
    target: float = 1.0,
    floor: float = 0.1,
    watch: Sequence[str] | None = None,
    estimator: Any = None,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Calibration, list[str]]:
    """Calibrate a version.

    Parameters
    ----------
    version
        As the registry gives it.
    rows
        The reference in its order; None to use the days that the version's calibration has.
    target
        False episodes per 30 days.
    floor
        PSI below which nothing matters.
    watch
        Functions of the clock that are judged nevertheless; None for those of the earlier
        calibration.
    estimator
        The fitted model, which predicts the rows if they have no predictions; None if there is
        none.

    Returns
    -------
    calibration, remarks
        What was noticed about the times.

    Raises
    ------
    BadData
        If there are no days and no rows, or the rows do not fit.
    """
    earlier = version.calibration
    if rows is not None:
        timeline, remarks = read_timeline(version, rows, estimator)
    elif earlier is not None:
        timeline, remarks = earlier.timeline, []
    else:
        raise BadData(
            f"{version.manifest.model} {version.manifest.version} was registered without times, so "
            f"its order is unknown. "
            "Give the reference rows with their times: --data reference.csv --time-column NAME."
        )
    watch = watch if watch is not None else earlier.watch if earlier is not None else ()
    unknown = sorted(set(watch) - {column.name for column in version.reference.columns})
    if unknown:
        raise BadData(
            f"The model has no feature {', '.join(unknown)}; it has: "
            f"{', '.join(version.schema.names)}."
        )
    made = calibrated(
        version.reference,
        timeline,
        target=target,
        floor=floor,
        watch=watch,
        created=utc_now(),
        progress=progress,
    )
    return made, remarks


def read_timeline(
    version: PublishedVersion, rows: TimedRows, estimator: Any = None
) -> tuple[Timeline, list[str]]:
    """Read a file into days."""
    frame = read_table(rows.path)
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
    times, remarks = parse_times(frame[rows.time], str(rows.path))
    order = np.argsort(times, kind="stable")
    columns = [*columns_of(frame, version.schema, rows.pii_key)]
    kind = version.schema.prediction
    if rows.prediction is not None and kind is not None:
        columns.append(as_column(frame[rows.prediction], kind))
    elif (
        estimator is not None
    ):  # it gets what is personal, too: the columns above are those of the stream
        columns.append(predict(version.schema, estimator, model_columns(frame, version.schema)))
    references = version.reference.columns
    cells: list[Ints | None] = [
        reference.cells(values)[order]
        for reference, values in zip(references, columns, strict=False)
    ]
    if len(cells) < len(references):
        cells.append(None)
        remarks.append(f"The file has no {PREDICTION}s: their order is not known.")
    return timeline_of(version.reference, cells, times[order]), remarks


def parse_times(column: pd.Series, source: str) -> tuple[Ints, list[str]]:
    """Return times in ms, and what was noticed.

    A number is seconds or ms since 1970, a text a date; one without a zone is UTC. Where only
    midnights run backwards, each ends the day that it is dated with, as some files have it, and is
    moved to the next day.

    Raises
    ------
    BadData
        If a time is missing or unreadable.

    Examples
    --------
    >>> times, remarks = parse_times(
    ...     pd.Series(["31/12/2018 23:45", "31/12/2018 00:00", "01/01/2019 00:15"]), "f.csv"
    ... )
    >>> np.diff(times).tolist(), len(remarks)
    ([900000, 900000], 1)
    """
    times = _milliseconds(column, source)
    remarks = []
    back = np.flatnonzero(np.diff(times) < 0) + 1
    if len(back) and (times[back] == times[back - 1] // DAY_MS * DAY_MS).all():
        times[back] += DAY_MS
        remarks.append(
            f"{len(back)} midnights are dated with the day that they end; they were moved to the "
            f"next day."
        )
    left = int((np.diff(times) < 0).sum())
    if left:
        remarks.append(f"Time runs backwards {left} times in {source}; the rows were sorted by it.")
    return times, remarks


def _milliseconds(column: pd.Series, source: str) -> Ints:
    if column.isna().any():
        raise BadData(
            f"{source}: {int(column.isna().sum())} rows have no {column.name}; remove them."
        )
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64)
        return (numbers * (1000 if np.abs(numbers).max() < SECONDS_BELOW else 1)).astype(np.int64)
    for reading in READINGS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # that the day stands first: it is tried in turn
                found = pd.to_datetime(column, utc=True, **reading)
        except (ValueError, TypeError, OverflowError):
            continue
        return found.to_numpy(dtype="datetime64[ms]").astype(np.int64)
    raise BadData(
        f"{source}: column {column.name} cannot be read as times (its first value is "
        f"{str(column.iloc[0])[:40]!r}). Write "
        "them as 2025-11-20T12:00:00Z, or as seconds since 1970."
    )
