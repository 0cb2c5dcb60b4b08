"""Logical time: the running maximum of min(event time, entry time).

A year replayed in a minute is still a year, and a clock in the future cannot run ahead of Redis.
"""

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAYS_MEASURED = 7
"""A week: the weekend is part of it."""


class Clock(msgspec.Struct):
    """The logical time of a partition, and the entry time of its last entry (both Unix ms)."""

    logical: int = 0
    entry: int = 0

    def advance(self, event_ms: Ints, entry_ms: Ints) -> Ints:
        """Return the logical time of each event, in the order of the log.

        Examples
        --------
        >>> Clock().advance(np.array([5, 90, 7]), np.array([10, 11, 12])).tolist()
        [5, 11, 11]
        """
        logical = np.maximum.accumulate(np.maximum(np.minimum(event_ms, entry_ms), self.logical))
        self.logical, self.entry = int(logical[-1]), int(entry_ms[-1])
        return logical

    def tick(self, entry_ms: int) -> int:
        """Let logical time pass as much as entry time did since the last entry."""
        if self.entry:
            self.logical += max(0, entry_ms - self.entry)
        self.entry = entry_ms
        return self.logical


class Traffic(msgspec.Struct):
    """Events per logical day: what turns a false-alarm budget into significance levels.

    The rate is the mean of the latest whole logical days (UTC) that had events; None until one is
    known. A single day would not do: after a quiet Sunday, Monday's events would be judged as if
    there were as few of them, by levels that are too lax for so many. A day without any event says
    nothing of what an event may cost.

    Examples
    --------
    >>> traffic = Traffic()
    >>> for day, count in [(1, 5), (2, 700), (3, 0), (4, 300), (5, 0)]:
    ...     _ = traffic.begin(day)
    ...     traffic.count = count
    >>> traffic.per_day
    500.0
    """

    day: int | None = None
    count: int = 0
    whole: bool = False
    per_day: float | None = None
    days: list[int] = []
    """Events of the latest whole days that had any, oldest first."""

    def begin(self, day: int) -> bool:
        """Begin a day, if it is a later one; tell whether it is."""
        if self.day is not None and day <= self.day:
            return False
        if self.whole and self.count:
            self.days = [*self.days[1 - DAYS_MEASURED :], self.count]
            self.per_day = sum(self.days) / len(self.days)
        self.whole = self.day is not None
        self.day, self.count = day, 0
        return True
