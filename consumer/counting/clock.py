"""Logical time: the running maximum of min(event time, entry time).

A year that is replayed in a minute still lasts a year, and a client whose clock is in the future
cannot move logical time ahead of Redis's clock.
"""

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAYS_MEASURED = 7
"""Whole days over which the traffic is measured: a week, so that the weekend is included."""
IDLE_TICK_S = 5.0
"""Shortest time (s) without entries after which time passes by a tick."""
FULL_PANE_TICK_S = 2.0
"""Time (s) without events after which a tick closes a pane that is full."""


class Clock(msgspec.Struct):
    """The logical time of a partition, and the entry time of its last entry (both Unix ms).

    Parameters
    ----------
    held
        Entry time (ms) of the last entry before the failed predictions that were the last entries;
        0 if another entry was. Failed predictions let no time pass: the next tick does.
    """

    logical: int = 0
    entry: int = 0
    held: int = 0

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
        """Advance logical time by as much as entry time advanced since the last entry, and return
        it (ms).
        """
        if self.entry:
            self.logical += max(0, entry_ms - self.entry)
        self.entry = entry_ms
        return self.logical


class Traffic(msgspec.Struct):
    """Events per logical day, from which the false-alarm budget becomes significance levels.

    The rate is the mean of the latest whole logical days (UTC) that had events; None until one is
    known. A single day is not enough: after a quiet Sunday, Monday's events would be judged by
    levels for as few events, which are too lax. Days without events do not count.

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
        """Begin a day if it is later than the current one; return whether it is."""
        if self.day is not None and day <= self.day:
            return False
        if self.whole and self.count:
            self.days = [*self.days[1 - DAYS_MEASURED :], self.count]
            self.per_day = sum(self.days) / len(self.days)
        self.whole = self.day is not None
        self.day, self.count = day, 0
        return True
