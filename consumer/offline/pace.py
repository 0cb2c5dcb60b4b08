"""Whether a window can fill: what the rate of a reference's rows says of the rules that wait for
rows.
"""

from math import ceil
from typing import Final

from driftgauge.consumer.judging.ordered.day_bins import LEAST_ROWS, WEEK, week_rows
from driftgauge.shared.reference.calibration import Calibration

FEWER_ROWS: Final = 100
"""Rows of a window that is proposed instead: ten bins with ten expected rows each."""


def pace(calibration: Calibration, window_days: int, min_window_rows: int) -> list[str]:
    """Say which columns will have too few rows to be judged for drift, and what would work.

    Parameters
    ----------
    calibration
        With the reference in its order in time.
    window_days, min_window_rows
        How long a window is at most, and how many rows it needs.
    """
    timeline = calibration.timeline
    usual = week_rows(timeline)
    per_day = usual / WEEK if timeline.weeks else _rows(calibration) / max(timeline.days, 1)
    orders = [feature.order for feature in calibration.features]
    free, ordered = orders.count("exchangeable"), orders.count("ordered")
    said = []
    if free and per_day * window_days < min_window_rows:
        days = ceil(min_window_rows / max(per_day, 1e-9))
        fewer = ceil(FEWER_ROWS / max(per_day, 1e-9))
        said.append(
            f"{per_day:.1f} rows a day: {min_window_rows} rows take {days:,} days, and a window is "
            f"of {window_days} at most, so the PSI of {free} columns is INSUFFICIENT_DATA. What "
            f"works: DRIFTGAUGE_WINDOW_DAYS={days}; or coarser and sooner, "
            f"DRIFTGAUGE_WINDOW_DAYS={fewer} and DRIFTGAUGE_MIN_WINDOW_ROWS={FEWER_ROWS}. "
            "Broken values are judged and early warnings are given row by row as it is."
        )
    if ordered and usual < LEAST_ROWS:
        said.append(
            f"{per_day:.1f} rows a day: {ordered} columns are ordered in time and judged on {WEEK} "
            f"days, which have {usual} rows and need {LEAST_ROWS}, so their drift is "
            "INSUFFICIENT_DATA. Broken values are judged as it is."
        )
    return said


def _rows(calibration: Calibration) -> int:
    """Count the rows of a timeline: those of the column that has most."""
    timeline = calibration.timeline
    totals, first, most = timeline.counts.sum(axis=0), 0, 0
    for size in timeline.bins:
        most = max(most, int(totals[first : first + size].sum()))
        first += size
    return most
