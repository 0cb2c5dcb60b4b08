"""[pure] The ring: acknowledged events of the last seconds, in memory, until they are safe with
their server (kept.py), to be sent again if it lost them.
"""

from collections import deque

from driftgauge.producer.publishing.lane import Batch

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

    def release(self, until: float) -> None:
        """Let go what was acknowledged up to a moment: it is safe."""
        while self._groups and self._groups[0][0] <= until:
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
