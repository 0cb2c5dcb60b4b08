"""The window of a model version: its latest panes, and their sum."""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from functools import reduce

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import (
    LATENCY_EDGES_MS,
    OddValues,
    Slowest,
    slowest_of,
    unpack_counts,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class WindowPane(msgspec.Struct, frozen=True):
    """A version's part of a pane, as the checkpoint stores it."""

    partition: int
    number: int
    start: int
    end: int
    rows: int
    cells: bytes
    latency: bytes = b""
    scores: bytes = b""
    segments: bytes = b""
    odd: dict[int, OddValues] = {}
    slowest: Slowest = ()

    @property
    def key(self) -> str:
        return f"{self.partition}:{self.number}"

    @property
    def order(self) -> tuple[int, int, int]:
        return self.end, self.partition, self.number


@dataclass(slots=True)
class VersionWindow:
    """The latest panes of a version, with at least a number of rows and none older than some days,
    and their sum.

    `segments` are counts by segment and bin (shared/reference/segments.py); None before any pane
    had some.
    """

    cells: Ints
    panes: deque[WindowPane] = field(default_factory=deque)
    rows: int = 0
    _starts: list[int] = field(default_factory=list)
    """Starts (ms) of the panes, ascending."""
    latency: Ints = field(
        default_factory=lambda: np.zeros(len(LATENCY_EDGES_MS) + 1, dtype=np.int64)
    )
    scores: Ints | None = None
    segments: Ints | None = None

    def add(self, pane: WindowPane) -> None:
        """Insert a pane in the order of time, so that the window does not depend on which partition
        was read first.
        """
        place = len(self.panes)
        while place and self.panes[place - 1].order > pane.order:
            place -= 1
        self.panes.insert(place, pane)
        insort(self._starts, pane.start)
        self.cells += unpack_counts(pane.cells, exactly=len(self.cells))
        self.rows += pane.rows
        if pane.latency:
            self.latency += unpack_counts(pane.latency, exactly=len(self.latency))
        if pane.scores:
            counts = unpack_counts(pane.scores, exactly=_size(self.scores))
            self.scores = counts if self.scores is None else self.scores + counts
        if pane.segments:
            counts = unpack_counts(pane.segments, exactly=_size(self.segments))
            self.segments = counts if self.segments is None else self.segments + counts

    def trim(self, least_rows: int, days: int) -> list[WindowPane]:
        """Remove panes that the window does not need, oldest first; return them."""
        oldest_end = self.end - days * DAY_MS
        dropped = []
        while self.panes and (
            self.rows - self.panes[0].rows >= least_rows or self.panes[0].end < oldest_end
        ):
            pane = self.panes.popleft()
            del self._starts[bisect_left(self._starts, pane.start)]
            self.cells -= unpack_counts(pane.cells)
            self.rows -= pane.rows
            if pane.latency:
                self.latency -= unpack_counts(pane.latency)
            if pane.scores and self.scores is not None:
                self.scores = self.scores - unpack_counts(pane.scores)
            if pane.segments and self.segments is not None:
                self.segments = self.segments - unpack_counts(pane.segments)
            dropped.append(pane)
        return dropped

    def odd(self, column: int) -> OddValues:
        """Return the worst values of a column, in the order of the panes."""
        found = (pane.odd[column] for pane in self.panes if column in pane.odd)
        return reduce(OddValues.then, found, OddValues())

    @property
    def traces(self) -> tuple[str, ...]:
        """The traces of its slowest predictions, of those that are traced."""
        found = slowest_of(one for pane in self.panes for one in pane.slowest)
        return tuple(trace for _, trace in found)

    @classmethod
    def of(cls, size: int, panes: list[WindowPane]) -> "VersionWindow":
        """Sum panes; `size` is the number of cells of the version's reference."""
        window = cls(np.zeros(size, dtype=np.int64))
        for pane in panes:
            window.add(pane)
        return window

    @property
    def start(self) -> int:
        return self._starts[0] if self._starts else 0

    @property
    def end(self) -> int:
        return self.panes[-1].end if self.panes else 0  # they stand in the order of their ends

    def span(self, now: int) -> tuple[int, int]:
        """Return its start and end (ms) as people are told of it: `now` for both before its first
        pane, since an online alarm may come earlier.
        """
        return (self.start, self.end) if self.panes else (now, now)


def _size(counts: Ints | None) -> int | None:
    return None if counts is None else len(counts)
