"""Where ticks stood in a log whose ticks nobody kept: they close panes while no events come.

A worker writes a tick when a full pane has stood still for two seconds, and when a pane is old,
once nothing came for five seconds (consumer/stages/counting.py). Of a log that a live worker
followed, silences between the events tell when that was. Only ticks that close a pane are found:
others let time pass that the next event lets pass, too.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from driftgauge.consumer.counting.clock import DAY_MS, FULL_PANE_TICK_S, IDLE_TICK_S
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.arrays import Ints

IDLE_MS: Final = int(1000 * IDLE_TICK_S)
FULL_MS: Final = int(1000 * FULL_PANE_TICK_S)


class OpenPane(NamedTuple):
    """Logical time (ms) at which a pane began, and its rows."""

    start: int
    size: int


class Stop(NamedTuple):
    """A row before which counting stops, and the entry time (ms) of a tick there; None without."""

    row: int
    tick: int | None


@dataclass(frozen=True)
class Silences:
    """The silences before some rows of a log.

    Parameters
    ----------
    ms, logical
        Entry times and logical times (ms) of the rows.
    before_ms, before_logical
        Those of the row before each.
    """

    policy: CountingPolicy
    ms: Ints
    logical: Ints
    before_ms: Ints
    before_logical: Ints
    rows: Ints

    @classmethod
    def of(
        cls, policy: CountingPolicy, ms: Ints, logical: Ints, last: tuple[int, int]
    ) -> "Silences":
        """Find them; `last` are the two times of the row before all of these, 0 without one."""
        before_ms = np.append(last[0] or ms[0], ms[:-1])
        before_logical = np.append(last[1] or logical[0], logical[:-1])
        rows = np.flatnonzero(ms - before_ms > FULL_MS)
        return cls(policy, ms, logical, before_ms, before_logical, rows)

    def next(self, done: int, first: int, pane: OpenPane | None) -> Stop | None:
        """Return where counting stops next, to write a tick or to look at the pane; None if it can
        count all rows.

        Parameters
        ----------
        done
            Number of rows that are counted.
        first
            First row before which a tick may stand.
        pane
            The open pane after these rows; None if none is open.
        """
        start = int(self.logical[done]) if pane is None else pane.start
        size = 0 if pane is None else pane.size
        sure = max(done, self._sure(done, start, size))
        begin = max(first, done) if pane is not None else max(first, done + 1)
        low = np.searchsorted(self.rows, begin)
        high = max(low, np.searchsorted(self.rows, sure, side="right"))
        near = self.rows[low:high]
        age = self.before_logical[near] - start
        at = self.before_ms[near] + np.maximum(IDLE_MS, self.policy.pane_seconds * 1000 - age)
        if size >= self.policy.pane_events:
            at = np.minimum(at, self.before_ms[near] + FULL_MS)
        found = np.flatnonzero(at < self.ms[near])
        if len(found):
            return Stop(int(near[found[0]]), int(at[found[0]]))
        return Stop(int(self.rows[high]), None) if high < len(self.rows) else None

    def _sure(self, done: int, start: int, size: int) -> int:
        """Return the last row before which the open pane is certainly the same, and not full."""
        old = start + self.policy.pane_seconds * 1000
        midnight = (start // DAY_MS + 1) * DAY_MS
        closing = int(np.searchsorted(self.logical, min(old, midnight)))
        return min(closing, done + self.policy.pane_events - size - 1)


def after_all(policy: CountingPolicy, ms: int, logical: int, pane: OpenPane) -> int:
    """Return the entry time (ms) of the tick that closes a pane behind the last row.

    Examples
    --------
    >>> after_all(CountingPolicy(), 9_000_000, 9_000_000, OpenPane(8_000_000, 20))
    11600000
    >>> after_all(CountingPolicy(), 9_000_000, 9_000_000, OpenPane(8_000_000, 250))
    9002000
    """
    if pane.size >= policy.pane_events:
        return ms + FULL_MS
    return ms + max(IDLE_MS, policy.pane_seconds * 1000 - (logical - pane.start))
