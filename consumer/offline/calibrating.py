"""Calibration of a registered version from times and rows of a CSV file, or from the days of its
earlier calibration.
"""

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
from driftgauge.shared.reference.building import counted
from driftgauge.shared.reference.calibration import Calibration, Timeline
from driftgauge.shared.reference.frames import answers_of, columns_of
from driftgauge.shared.reference.profile import PREDICTION, Column, ReferenceProfile
from driftgauge.shared.reference.runs import runs_of
from driftgauge.shared.reference.times import event_times
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.tables.format import TimeFormat
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import model_columns, predict


@dataclass(frozen=True)
class TimedRows:
    """A file of time-ordered reference rows.

    Parameters
    ----------
    time
        Name of the time column.
    prediction
        Name of the column of predictions; None if the file has none.
    pii_key
        Key of the hashes, needed if a feature is to be hashed.
    """

    path: Path
    time: str
    prediction: str | None = None
    pii_key: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are no features."""
        return tuple(name for name in (self.time, self.prediction) if name is not None)


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
        The version as the registry returns it.
    rows
        Time-ordered reference rows; None uses the days of the version's calibration.
    target
        Allowed false episodes of the model per 30 days.
    floor
        PSI below which there is never an alarm.
    watch
        Names of columns that are functions of the clock and are judged nevertheless; None for those
        of the earlier calibration.
    estimator
        Fitted model, which predicts the rows if they have no predictions; None without one.

    Returns
    -------
    calibration, remarks
        The calibration, and remarks about the times.

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
    told: list[str] = []
    kinds = version.schema.kinds_of(rows.columns)
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
    times, remarks = parse_times(frame[rows.time], str(rows.path), version.schema.time)
    stream = columns_of(frame, version.schema, rows.pii_key)
    columns = counted(version.schema, stream, times.astype(np.float64))
    kind = version.schema.prediction
    if rows.prediction is not None and kind is not None:
        columns.append(answers_of(frame[rows.prediction], version.schema))
    elif (
        estimator is not None
    ):  # it gets what is personal, too: the columns above are those of the stream
        columns.append(predict(version.schema, estimator, model_columns(frame, version.schema)))
    if len(columns) < len(version.reference.columns):
        remarks.append(f"The file has no {PREDICTION}s: their order is not known.")
    return timeline_in(version.reference, columns, times), [*told, *remarks]


def timeline_in(profile: ReferenceProfile, columns: Sequence[Column], times: Ints) -> Timeline:
    """Sum rows up to days, in the order of their times.

    Parameters
    ----------
    profile
        The reference whose bins are counted.
    columns
        Columns of the profile, from the first on; it may have one more, that of the predictions.
    times
        When each row was predicted, in Unix ms.
    """
    order = np.argsort(times, kind="stable")
    ordered = [_in_order(values, order) for values in columns]
    pairs = list(zip(profile.columns, ordered, strict=False))
    cells: list[Ints | None] = [reference.cells(values) for reference, values in pairs]
    runs = [
        None if found is None else runs_of(reference, values, found)
        for (reference, values), found in zip(pairs, cells, strict=True)
    ]
    absent = len(profile.columns) - len(pairs)
    return timeline_of(profile, [*cells, *[None] * absent], times[order], (*runs, *[None] * absent))


def _in_order(values: Column, order: Ints) -> Column:
    """Sort a column's values, numbers or categories."""
    if isinstance(values, np.ndarray):
        return values[order]
    return [values[row] for row in order.tolist()]


def parse_times(
    column: pd.Series, source: str, form: TimeFormat | None = None
) -> tuple[Ints, list[str]]:
    """Return times in ms, and what was noticed.

    A number is seconds, ms, us or ns since 1970, by its size; a text a date; one without a zone is
    UTC. Where only midnights run backwards, each ends the day that it is dated with, as some files
    have it, and is moved to the next day.

    Parameters
    ----------
    form
        How the times are written, as the version has it; None to find out.

    Raises
    ------
    BadData
        If a time is missing or unreadable, or can be meant in two ways.

    Examples
    --------
    >>> times, remarks = parse_times(
    ...     pd.Series(["31/12/2018 23:45", "31/12/2018 00:00", "01/01/2019 00:15"]), "f.csv"
    ... )
    >>> np.diff(times).tolist(), len(remarks)
    ([900000, 900000], 1)
    """
    times = np.floor(event_times(column, form, source)[0]).astype(np.int64)
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
