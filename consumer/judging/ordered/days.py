"""Counts per day of a time-ordered reference, and measures of how far its columns are from
exchangeable.

This is the first step of a calibration: it reads the rows' cells and times once, and its result is
all that the calibration needs.
"""

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.calibration import Timeline
from driftgauge.shared.reference.profile import ColumnReference, NumericReference, ReferenceProfile
from driftgauge.shared.reference.runs import Runs

DAY_MS = 86_400_000
MINUTE_MS = 60_000
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""
PARTIAL = 0.5
"""Share of the usual rows below which a first or last day counts as incomplete and is left out."""
ROWS_FOR_CLOCK = 100_000
ROWS_PER_MOMENT = 3
"""Least rows for each value of a field of the clock to test whether a column depends on it."""
DETERMINED = 0.9
"""Share of a column's variation explained by a field of the clock above which the column counts as
a function of that field.
"""
MONOTONE = 0.999


def timeline_of(
    profile: ReferenceProfile,
    cells: list[Ints | None],
    times_ms: Ints,
    runs: tuple[Runs | None, ...] = (),
) -> Timeline:
    """Sum up time-ordered rows.

    Parameters
    ----------
    profile
        The reference whose bins are counted.
    cells
        The cell of each row, per column; None for a column that the rows do not have.
    times_ms
        Ascending times of the rows.
    runs
        Runs of one value in each column.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(40.0))
    >>> profile = ReferenceProfile(rows=40, columns=(column,))
    >>> hours = np.arange(40) * 3_600_000
    >>> timeline_of(profile, [column.cells(np.arange(40.0))], hours).counts.sum(axis=1).tolist()
    [24, 16]
    """
    days = times_ms // DAY_MS
    first, last = _whole_days(days)
    kept = (days >= first) & (days <= last)
    number = last - first + 1
    bins = tuple(len(set(column.bin_of_cell)) for column in profile.columns)
    counts = [
        _per_day(
            days[kept] - first,
            np.array(column.bin_of_cell)[found[kept]] if found is not None else None,
            number,
            size,
        )
        for column, found, size in zip(profile.columns, cells, bins, strict=True)
    ]
    pairs = list(zip(profile.columns, cells, strict=True))
    fields = clock_fields(times_ms[:ROWS_FOR_CLOCK])
    return Timeline.of(
        first,
        np.concatenate(counts, axis=1),
        bins,
        tuple(
            autocorrelation(column, found) if found is not None else None for column, found in pairs
        ),
        tuple(
            "" if found is None else clock_field(found, times_ms, fields, len(column.counts))
            for column, found in pairs
        ),
        runs,
    )


def autocorrelation(column: ColumnReference, cells: Ints) -> float | None:
    """Return the lag-1 rank autocorrelation of rows in order; of categories, Cohen's kappa of
    neighbours.

    Returns
    -------
    float or None
        None without variation, or with fewer than 3 pairs.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(100.0))
    >>> round(autocorrelation(column, column.cells(np.arange(100.0))), 2)
    1.0
    """
    if isinstance(column, NumericReference):
        both = np.stack((cells[:-1], cells[1:]))[
            :, (cells[:-1] != column.missing) & (cells[1:] != column.missing)
        ]
        before, after = _mid_ranks(cells, len(column.counts))[both]
        if len(before) < 3 or not np.ptp(before) or not np.ptp(after):
            return None
        return float(np.corrcoef(before, after)[0, 1])
    shares = np.bincount(cells, minlength=1) / max(len(cells), 1)
    by_chance = float((shares**2).sum())
    if len(cells) < 4 or by_chance >= 1:
        return None
    return float(((cells[1:] == cells[:-1]).mean() - by_chance) / (1 - by_chance))


def clock_fields(times_ms: Ints) -> dict[str, Ints]:
    """Return the fields of clock and calendar (hour, weekday, …) at each time, by name; fields
    whose values hardly repeat are left out.
    """
    dates = times_ms.astype("datetime64[ms]")
    months = dates.astype("datetime64[M]")
    minute = times_ms % DAY_MS // MINUTE_MS
    weekday = (times_ms // DAY_MS + EPOCH_WEEKDAY) % 7
    day = (dates.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    fields = {
        "the time of day": minute,
        "the weekday": weekday,
        "the time of the week": weekday * 1440 + minute,
        "the day of the month": day,
        "the month": months.astype(np.int64) % 12,
    }
    return {
        name: field
        for name, field in fields.items()
        if ROWS_PER_MOMENT * len(np.unique(field)) <= len(field)
    }


def clock_field(cells: Ints, times_ms: Ints, fields: dict[str, Ints], size: int) -> str:
    """Return the field of the clock that a column is a function of; empty if of none.

    A column that rises or falls all the time is a function of time itself.
    """
    seen = cells[: len(next(iter(fields.values()), cells))]
    if len(np.unique(seen)) < 2:
        return ""
    ranks = _mid_ranks(cells, size)[cells]
    if (
        len(cells) > ROWS_PER_MOMENT
        and abs(np.corrcoef(ranks, np.arange(len(times_ms)))[0, 1]) > MONOTONE
    ):
        return "time"
    return next(
        (name for name, field in fields.items() if determined(seen, field, size) > DETERMINED), ""
    )


def determined(cells: Ints, field: Ints, size: int) -> float:
    """Return the share of the rows beyond the commonest cell that a field determines (Goodman and
    Kruskal's lambda).

    Examples
    --------
    >>> determined(np.array([0, 1, 0, 1]), np.array([5, 6, 5, 6]), 2)
    1.0
    """
    commonest = int(np.bincount(cells).max())
    if commonest == len(cells):
        return 0.0
    pairs, counts = np.unique(field * size + cells, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs // size, prepend=-1))
    return float((np.maximum.reduceat(counts, starts).sum() - commonest) / (len(cells) - commonest))


def _whole_days(days: Ints) -> tuple[int, int]:
    """Return the first and the last day that are whole."""
    first, last = int(days[0]), int(days[-1])
    rows = np.bincount(days - first)
    usual = PARTIAL * float(np.median(rows[rows > 0]))
    if last > first and rows[-1] < usual:
        last -= 1
    if last > first and rows[0] < usual:
        first += 1
    return first, last


def _per_day(days: Ints, bins: Ints | None, number: int, size: int) -> Ints:
    if bins is None:
        return np.zeros((number, size), dtype=np.int64)
    return np.bincount(days * size + bins, minlength=number * size).reshape(number, size)


def _mid_ranks(cells: Ints, size: int) -> Floats:
    """Return the mid-rank of each cell among these rows."""
    counts = np.bincount(cells, minlength=size)
    ranks: Floats = np.cumsum(counts) - counts / 2
    return ranks
