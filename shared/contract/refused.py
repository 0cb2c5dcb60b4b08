"""Counts of a model's events that each API process accepted and refused, and their sum over the
last hour.

An event that does not fit the schema is in no log. So each process counts accepted and refused
events by slices of five minutes and writes the counts to a field of its own; readers add them up.
New slices replace the older ones of the same process, so that nothing is counted twice.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
SLICE_MS: Final = 300_000
HOLD_MS: Final = 600_000
"""Time (ms) after the last refused event before a feed counts as good again."""
LEAST_SHARE: Final = 0.001
"""Least share of refused events for a feed to be broken."""
MOST_FAULTS: Final = 20
"""Most pairs of field and reason that are reported, the most frequent first."""


class Slice(msgspec.Struct, array_like=True, frozen=True):
    """Events that a process accepted and refused in a slice of time.

    Parameters
    ----------
    age_ms
        Time (ms) from the end of the slice to when it was written; 0 for the current slice.
    """

    age_ms: int
    taken: int
    refused: int


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """Number of events that were refused for one field and reason; `-` is not a field of
    the model.
    """

    field: str
    reason: str
    events: int


class Refused(msgspec.Struct, frozen=True):
    """The counts of one process for one model.

    Parameters
    ----------
    told_ms
        Time (ms) at which they were written, by Redis's clock.
    slices
        Counts of the last hour by slices of time.
    faults
        Refused events of the last hour by field and reason; an event counts for each of its fields.
    last_ms
        Time (ms) of the last refused event; None if none was refused.
    taken_since
        Number of events accepted since then.
    """

    told_ms: int
    slices: list[Slice]
    faults: list[Fault]
    last_ms: int | None
    taken_since: int


class RefusedHour(msgspec.Struct, frozen=True):
    """Events of a model that all processes accepted and refused within the last hour."""

    taken: int = 0
    refused: int = 0
    faults: list[Fault] = []
    last_ms: int | None = None
    taken_since: int = 0

    @property
    def share(self) -> float:
        """Share of refused events; 0 without any event."""
        return self.refused / max(self.taken + self.refused, 1)

    def is_bad(self, now: int, limit: int) -> bool | None:
        """Return whether the feed is broken: more than `limit` events, and more than a thousandth
        of all, were refused. Return False if it is good: no event was refused for ten minutes while
        events came, or fewer than half of a limit were. Else return None.

        Examples
        --------
        >>> RefusedHour(4990, 10, [], 0, 0).is_bad(1000, 5)
        True
        >>> RefusedHour(4990, 10, [], 0, 3).is_bad(600_000, 5)
        False
        """
        quiet = self.last_ms is None or now - self.last_ms >= HOLD_MS
        if quiet and self.taken_since:
            return False
        if self.refused > limit and self.share >= LEAST_SHARE:
            return None if quiet else True
        if not self.taken and quiet and self.last_ms is not None:
            return None
        few = self.refused <= limit / 2 or self.share < LEAST_SHARE / 2
        return False if few else None

    def described(self, what: str = "events") -> str:
        """Describe how many were refused, and for which fields.

        Examples
        --------
        >>> RefusedHour(4990, 10, [Fault("speed", "wrong_type", 10)]).described()
        '10 of 5,000 events of the last hour were refused (speed wrong type: 10)'
        """
        named = ", ".join(
            f"{one.field} {one.reason.replace('_', ' ')}: {one.events:,}" for one in self.faults[:3]
        )
        total = self.taken + self.refused
        return f"{self.refused:,} of {total:,} {what} of the last hour were refused" + (
            f" ({named})" if named else ""
        )


def last_hour(told: Iterable[Refused], now: int) -> RefusedHour:
    """Add up the counts of the processes.

    Parameters
    ----------
    now
        Current time in ms by Redis's clock; counts from the future count as written now.

    Examples
    --------
    >>> one = Refused(0, [Slice(0, 90, 0)], [], None, 90)
    >>> other = Refused(0, [Slice(0, 0, 10)], [Fault("x", "missing", 10)], 0, 0)
    >>> last_hour([one, other], 60_000)
    RefusedHour(taken=90, refused=10, faults=[Fault(field='x', reason='missing', events=10)], \
last_ms=0, taken_since=0)
    >>> last_hour([one, other], 2 * HOUR_MS)
    RefusedHour(taken=0, refused=0, faults=[], last_ms=0, taken_since=0)
    """
    processes = list(told)
    taken = refused = 0
    faults: Counter[tuple[str, str]] = Counter()
    for one in processes:
        passed = max(0, now - one.told_ms)
        recent = [part for part in one.slices if part.age_ms + passed < HOUR_MS]
        taken += sum(part.taken for part in recent)
        lost = sum(part.refused for part in recent)
        refused += lost
        if lost:
            faults.update({(fault.field, fault.reason): fault.events for fault in one.faults})
    moments = [min(one.last_ms, now) for one in processes if one.last_ms is not None]
    last_ms = max(moments, default=None)
    return RefusedHour(
        taken,
        refused,
        [Fault(*name, events) for name, events in faults.most_common(MOST_FAULTS)],
        last_ms,
        sum(_since(one, last_ms) for one in processes),
    )


def _since(one: Refused, moment: int | None) -> int:
    """Return the least number of events that a process accepted after a time: those since its own
    last refusal, or in slices that began later.
    """
    if moment is None or one.last_ms == moment:
        return one.taken_since
    return sum(part.taken for part in one.slices if one.told_ms - part.age_ms - SLICE_MS > moment)
