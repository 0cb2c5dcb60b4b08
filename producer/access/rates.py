"""Requests per second of each key, or of each address without one: a sliding window, in this
process's memory.

The window is the current second and the share of the second before that it still covers (the
sliding window counter of https://limits.readthedocs.io/en/stable/strategies.html), so that a burst
across the turn of a second gets no double allowance. Each process counts for itself: behind N
processes a key has N times the limit.
"""

import time
from collections import OrderedDict
from typing import Final

MOST_CALLERS: Final = 10_000
"""Callers that are remembered; beyond it the one whose last admitted request is oldest is
forgotten. Each takes about 200 B.
"""


class Rates:
    """The number of requests that each caller may make in a second; for one thread, the event
    loop's.

    Parameters
    ----------
    per_second
        Requests of a caller; 0 for no limit.
    most_callers
        Callers that are remembered.
    """

    def __init__(self, per_second: int, most_callers: int = MOST_CALLERS) -> None:
        self.per_second = per_second
        self._most = most_callers
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        """A second of each caller, the requests admitted in the second before it, and in it."""

    def admit(self, caller: str) -> bool:
        """Count a request of a caller; False, and not counted, if it is beyond the limit."""
        if not self.per_second:
            return True
        now = time.monotonic()
        second = int(now)
        last, before, admitted = self._windows.get(caller, (second, 0, 0))
        if last != second:
            before, admitted = (admitted if last == second - 1 else 0), 0
        if before * (1 - now % 1) + admitted + 1 > self.per_second:
            return False
        self._windows[caller] = (second, before, admitted + 1)
        self._windows.move_to_end(caller)
        if len(self._windows) > self._most:
            self._windows.popitem(last=False)
        return True
