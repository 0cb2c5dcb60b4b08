"""Times for the rows of a file that has none: a stated rate, the same on every machine. Pure."""

from typing import Final

import numpy as np

from driftgauge.shared.arrays import Ints

START_MS: Final = 1_735_689_600_000
"""2025-01-01, in Unix milliseconds: when such a file begins."""
DAY_MS: Final = 86_400_000


def paced(rows: int, per_day: float, start_ms: int = START_MS) -> Ints:
    """Return the times of rows that follow each other evenly, in Unix milliseconds.

    Examples
    --------
    >>> (paced(3, 86_400) - START_MS).tolist()
    [0, 1000, 2000]
    """
    return start_ms + (np.arange(rows) * (DAY_MS / per_day)).astype(np.int64)


def start_after(busy_until_ms: int | None) -> int:
    """Return when a file without times begins: at the usual time, or at the first midnight (UTC)
    after what a model has counted already.

    Examples
    --------
    >>> start_after(None) == START_MS, (start_after(START_MS + 1) - START_MS) // DAY_MS
    (True, 1)
    """
    if busy_until_ms is None or busy_until_ms < START_MS:
        return START_MS
    return -(-busy_until_ms // DAY_MS) * DAY_MS


def remark(per_day: float, start_ms: int) -> str:
    """Say what times the rows were given.

    Examples
    --------
    >>> remark(100_000, START_MS)
    'The file has no times: its rows are taken as 100,000 a day from 2025-01-01 on.'
    """
    day = np.datetime64(start_ms, "ms").astype("datetime64[D]")
    return f"The file has no times: its rows are taken as {per_day:,.0f} a day from {day} on."
