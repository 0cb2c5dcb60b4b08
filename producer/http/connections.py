"""The open connections of this process: how many there may be, and which has to go for a new one.

Each connection is a file, and the process has a limit of files, beyond which it can neither accept
nor open anything. So connections have a bound below that, and one address has half of it. At the
bound a new connection takes the place of the one that has owed the rest of its request for longest,
or else of the one that has been idle for longest: whoever sends a whole request is served, however
many others send half of one.
"""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import Final, Literal, Protocol

from driftgauge.producer.http.problems import Problem

try:
    import resource
except ImportError:  # not a POSIX system: its limit is not known
    resource = None  # type: ignore[assignment]

RESERVED: Final = 256
"""Files that are left to Redis, the spool, the registry and the bodies of batches."""
MOST_STREAMS: Final = 500
"""Most open streams of events of each kind, where there is room for four times as many files."""
RefusalReason = Literal[
    "large_head",
    "malformed",
    "no_room",
    "slow_body",
    "slow_head",
    "slow_reader",
    "too_many",
]
"""Why a connection or a request is ended before a route sees it."""
TICK_S: Final = 1.0
"""Seconds between two looks at what takes too long."""
TOLD_S: Final = 60.0
"""Least time (s) between two lines about refused connections."""

logger = logging.getLogger("driftgauge.producer")


class Connection(Protocol):
    """What the bounds know of a connection."""

    def drop(self, reason: RefusalReason) -> None:
        """End it at once, without an answer."""

    def overdue(self, now: float) -> bool:
        """End it if it has taken too long for what it is doing; return whether it did."""


class Connections:
    """The connections of a process; for one event loop.

    Parameters
    ----------
    most
        Most open connections.

    Attributes
    ----------
    count
        Open connections.
    refused
        Connections and requests that were ended before a route saw them, by reason.
    heads
        Connections whose request has not all of its head, the one that waits longest first.
    idle
        Connections between two requests, the one that is idle for longest first.
    watched
        Connections that send a body, or do not read their answer.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.refused: Counter[str] = Counter()
        self.heads: dict[Connection, None] = {}
        self.idle: dict[Connection, None] = {}
        self.watched: dict[Connection, None] = {}
        self._sites: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._told_at = -TOLD_S

    @property
    def most_of_one(self) -> int:
        """Most open connections of one address."""
        return max(1, self.most // 2)

    @property
    def most_streams(self) -> int:
        """Most open streams of events of each kind."""
        return max(1, min(MOST_STREAMS, self.most // 4))

    def admit(self, site: str) -> Problem | None:
        """Count a new connection, and make room for it; return why there is none.

        Parameters
        ----------
        site
            Address that counts together; empty for this machine and for proxies, which speak for
            many.
        """
        if site and self._sites[site] >= self.most_of_one:
            return Problem(429, "This address has too many connections.", (), {"Retry-After": "1"})
        if self.count >= self.most and not self._make_room():
            return Problem(503, "There are too many connections.", (), {"Retry-After": "1"})
        self.count += 1
        if site:
            self._sites[site] += 1
        return None

    def leave(self, connection: Connection, site: str) -> None:
        """Forget an admitted connection."""
        self.count -= 1
        for held in (self.heads, self.idle, self.watched):
            held.pop(connection, None)
        if site:
            self._sites[site] -= 1
            if not self._sites[site]:
                del self._sites[site]

    def _make_room(self) -> bool:
        victim = next(iter(self.heads), None) or next(iter(self.idle), None)
        if victim is None:
            return False
        victim.drop("no_room")
        return True

    async def look(self) -> None:
        """End what takes too long now."""
        self.end_overdue(asyncio.get_running_loop().time())

    def end_overdue(self, now: float) -> None:
        """End the connections that take too long, and say how many were refused."""
        for connection in list(self.heads):
            if not connection.overdue(now):
                break  # those behind it have waited less
        for connection in list(self.watched):
            connection.overdue(now)
        fresh = self.refused - self._told
        if fresh and now - self._told_at >= TOLD_S:
            self._told, self._told_at = self.refused.copy(), now
            logger.warning(
                "Connections were refused or ended: %s.",
                ", ".join(f"{count} {reason}" for reason, count in sorted(fresh.items())),
            )


def raise_file_limit(connections: int) -> None:
    """Raise this process's limit of open files to what so many connections need, as far as it may
    do that itself.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for(connections: int) -> int:
    """Return how many connections this process has files for, at most as many as wanted."""
    if resource is None:
        return connections
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - min(RESERVED, soft // 4)))
