"""[pure] The ring: acknowledged events of the last seconds, in memory.

A server that keeps its append-only file with `everysec` can lose its last second in a power
failure, after it has acknowledged it. So an acknowledged event stays here until the same server has
answered once more, long enough after. Time only passes here with the server's answers: while it is
away nothing leaves the ring.
"""

from collections import deque

from driftgauge.producer.publishing.lane import Batch

KEEP_S = 5.0
"""Seconds for which the server must keep running after it acknowledged an event; its sync is at
most two seconds late.
"""
ENTRY_BYTES = 200
"""Bytes that an event takes in memory besides its payload."""


class Ring:
    """Acknowledged groups, oldest first.

    Parameters
    ----------
    max_bytes
        Most bytes kept; beyond it the oldest events leave too early, and are counted in
        `shortened`.
    """

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self.shortened = 0
        self._max_bytes = max_bytes
        self._groups: deque[tuple[float, int, Batch]] = deque()

    def add(self, group: Batch, now: float) -> None:
        """Keep a group whose last reply came now."""
        size = sum([ENTRY_BYTES + len(entry.payload) for _, entry in group])
        self._groups.append((now, size, group))
        self.bytes += size
        while self.bytes > self._max_bytes:
            self.shortened += self._drop_oldest()

    def pass_time(self, now: float) -> None:
        """Let go what the server has kept long enough; it answered now."""
        while self._groups and self._groups[0][0] + KEEP_S <= now:
            self._drop_oldest()

    def take(self) -> Batch:
        """Return all that is kept, to be sent again, and keep nothing."""
        taken = [pair for _, _, group in self._groups for pair in group]
        self._groups.clear()
        self.bytes = 0
        return taken

    def _drop_oldest(self) -> int:
        _, size, group = self._groups.popleft()
        self.bytes -= size
        return len(group)
