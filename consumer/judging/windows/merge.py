"""Merges the panes of several partitions in the order (end, partition), up to the smallest
watermark.

A partition's logical time only grows, so after a pane or a tick at time w no pane of that partition
ends before w. A pane is judged when no other partition can still have an earlier one. A partition
with ticks but without any event delays nothing; one of which nothing was read yet does, since its
panes may be on their way. With one partition every pane passes at once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from driftgauge.shared.contract.pane import Alarm, Delta, Pane, PaneEntry

HELD_MOST = 256
"""Number of waiting panes of a partition at which reading it is paused."""


@dataclass(slots=True)
class Merge:
    """The waiting panes, and the logical time that each partition has reached.

    Parameters
    ----------
    watermarks
        Logical time (ms) per partition; None if it ticks but has had no event.
    held
        Waiting panes and label deltas, per partition, in order.
    """

    watermarks: dict[int, int | None] = field(default_factory=dict)
    held: dict[int, deque[Pane | Delta]] = field(default_factory=dict)

    def add(self, entry: PaneEntry) -> None:
        """Add an entry; a pane or delta waits until `ready` yields it."""
        if isinstance(entry, (Pane, Delta)):
            self.held.setdefault(entry.partition, deque()).append(entry)
        if isinstance(entry, Alarm):
            return  # its pane is still open: only its end tells how far the partition has come
        time = _time(entry)
        before = self.watermarks.get(entry.partition)
        if before is not None or entry.total:
            self.watermarks[entry.partition] = max(time, before or 0)
        else:
            self.watermarks[entry.partition] = None

    def ready(self, partitions: int) -> Iterator[Pane | Delta]:
        """Remove and yield the panes and deltas whose turn has come, in order."""
        while True:
            heads = [waiting[0] for waiting in self.held.values() if waiting]
            if not heads:
                return
            first = min(heads, key=lambda entry: (_time(entry), entry.partition))
            if not all(
                self._passed(other, first)
                for other in range(partitions)
                if other != first.partition
            ):
                return
            self.held[first.partition].popleft()
            yield first

    def _passed(self, other: int, entry: Pane | Delta) -> bool:
        """Return whether another partition has no more entries that come before this one."""
        if other not in self.watermarks:
            return False
        watermark = self.watermarks[other]
        return watermark is None or (watermark, other) > (_time(entry), entry.partition)

    def is_full(self, partition: int) -> bool:
        """Return whether so many panes of a partition wait that reading it is paused."""
        return len(self.held.get(partition, ())) >= HELD_MOST


def _time(entry: PaneEntry) -> int:
    """Return the logical time (ms) of an entry."""
    return entry.end if isinstance(entry, Pane) else entry.time
