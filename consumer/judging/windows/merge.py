"""Panes of several partitions become one order: by (end, partition), behind the smallest watermark.

A partition's logical time only grows, so after a pane or a tick that stands at time w nothing of
that partition ends before w. A pane is judged when no other partition can still bring one that
belongs before it. A partition that has ticked without ever having had an event holds nobody up; one
of which nothing was read yet does, since its panes may be on their way. With one partition every
pane passes at once.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from driftgauge.shared.contract.pane import Alarm, Delta, Pane, PaneEntry

HELD_MOST = 256
"""Panes of a partition that wait for the others before it is not read on."""


@dataclass(slots=True)
class Merge:
    """The panes that wait, and how far each partition has come.

    Parameters
    ----------
    watermarks
        Logical time (ms) per partition; None if it ticks but has had no event.
    held
        Panes, and labels that revise some, that wait, per partition, in their order.
    """

    watermarks: dict[int, int | None] = field(default_factory=dict)
    held: dict[int, deque[Pane | Delta]] = field(default_factory=dict)

    def add(self, entry: PaneEntry) -> None:
        """Take note of an entry; a pane or delta waits until `ready` gives it."""
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
        """Take out the panes and deltas whose turn has come, in order."""
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
        """Return whether another partition can bring nothing more that belongs before it."""
        if other not in self.watermarks:
            return False
        watermark = self.watermarks[other]
        return watermark is None or (watermark, other) > (_time(entry), entry.partition)

    def is_full(self, partition: int) -> bool:
        """Return whether so many panes of a partition wait that it need not be read on."""
        return len(self.held.get(partition, ())) >= HELD_MOST


def _time(entry: PaneEntry) -> int:
    """Return the logical time (ms) at which an entry stands."""
    return entry.end if isinstance(entry, Pane) else entry.time
