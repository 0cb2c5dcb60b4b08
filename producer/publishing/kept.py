"""[pure] Up to which moment acknowledged events are safe with their server.

What a server has acknowledged it can still lose: an append-only file with `everysec` loses its last
second in a power failure, and a replica that takes over loses what it had not received. So an
acknowledged event is kept here until the same server has lived on for `LEAST_S`, and until every
connected replica has confirmed it. The first without the second would lose what a lagging replica
never had. Time only passes with a primary's answers: while none answers, nothing is let go.
"""

import math
from collections import deque

from driftgauge.producer.publishing.server import Server

LEAST_S = 5.0
"""Seconds for which the server must keep running after it acknowledged an event; its sync is at
most two seconds late.
"""


class Kept:
    """The moment up to which acknowledged events are safe; all times are of one clock, in seconds.

    Parameters
    ----------
    longest_s
        Longest time for which events wait for a replica that does not confirm them, or is gone.

    Examples
    --------
    >>> kept = Kept(longest_s=60)
    >>> kept.note(100, Server(b"a", offset=70, confirmed=(56,)))
    >>> kept.until(107)  # the replica has not confirmed what was written by 100
    47
    >>> kept.note(108, Server(b"a", offset=90, confirmed=(80,)))
    >>> kept.until(108)
    100
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._written: deque[tuple[float, int]] = deque()
        self._replicated = math.inf

    def note(self, asked_at: float, server: Server) -> None:
        """Take in what the primary told, which was asked at a time."""
        if server.confirmed and self._replicated == math.inf:
            self._replicated = -math.inf
        self._written.append((asked_at, server.offset))
        while self._written[0][0] < asked_at - self._longest_s:
            self._written.popleft()
        least = min(server.confirmed, default=-1)
        while self._written and self._written[0][1] <= least:
            self._replicated, _ = self._written.popleft()

    def forget(self) -> None:
        """Forget the replicas: the server has become another one."""
        self._written.clear()
        self._replicated = math.inf

    def until(self, now: float) -> float:
        """Return the moment up to which what was acknowledged is safe; the primary answered now."""
        least, longest = now - LEAST_S, now - max(LEAST_S, self._longest_s)
        return max(longest, min(least, self._replicated))
