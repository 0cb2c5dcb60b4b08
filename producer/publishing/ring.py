"""[pure] The ring: acknowledged events of the last seconds, in memory, until they are safe with
their server (kept.py), to be sent again if it lost them.
"""

from collections import deque
from collections.abc import Collection

from driftgauge.producer.publishing.lane import Batch, Lane

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
        self.max_bytes = max_bytes
        self._groups: deque[tuple[float, int, Batch]] = deque()

    def add(self, group: Batch, now: float) -> None:
        """Keep a group whose last reply came now."""
        size = _bytes_of(group)
        self._groups.append((now, size, group))
        self.bytes += size
        while self.bytes > self.max_bytes:
            self.shortened += self._drop_oldest()

    def release(self, until: float) -> None:
        """Let go what was acknowledged up to a moment: it is safe."""
        while self._groups and self._groups[0][0] <= until:
            self._drop_oldest()

    def take(self, lanes: Collection[Lane] | None = None) -> Batch:
        """Return what is kept, to be sent again, and keep it no more: of some lanes, or of all."""
        if lanes is None:
            lanes = {lane for _, _, group in self._groups for lane, _ in group}
        taken: Batch = []
        kept: deque[tuple[float, int, Batch]] = deque()
        for added, _, group in self._groups:
            taken += [pair for pair in group if pair[0] in lanes]
            rest = [pair for pair in group if pair[0] not in lanes]
            if rest:
                kept.append((added, _bytes_of(rest), rest))
        self._groups = kept
        self.bytes = sum(size for _, size, _ in kept)
        return taken

    def _drop_oldest(self) -> int:
        _, size, group = self._groups.popleft()
        self.bytes -= size
        return len(group)


def _bytes_of(group: Batch) -> int:
    return sum([ENTRY_BYTES + len(entry.payload) for _, entry in group])
