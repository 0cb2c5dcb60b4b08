"""What the API refused of a model's events, as each of its processes tells it, and the last hour of
all of them.

An event that does not fit the schema is in no log. So each process keeps what it took and what it
refused by slices of five minutes, writes that under a name of its own, and whoever asks adds them
up. The newest slices replace the older ones of the same process, so that nothing is counted twice.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000
SLICE_MS: Final = 300_000
HOLD_MS: Final = 600_000
"""How long after the last refused event a feed is not called well."""
LEAST_SHARE: Final = 0.001
"""Share of refused events from which a feed is broken."""
MOST_FAULTS: Final = 20
"""Fields with reasons that are told, the most frequent first."""


class Slice(msgspec.Struct, array_like=True, frozen=True):
    """What a process took and refused in a slice of time.

    Parameters
    ----------
    age_ms
        Time since the end of the slice when it was told; 0 of the present one.
    """

    age_ms: int
    taken: int
    refused: int


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """Events that were refused for one field and reason; `-` is what is no field of the model."""

    field: str
    reason: str
    events: int


class Refused(msgspec.Struct, frozen=True):
    """What one process tells of one model.

    Parameters
    ----------
    told_ms
        When, by the clock of Redis.
    slices
        Of the last hour.
    faults
        Of the last hour; an event counts for each of its fields.
    last_ms
        When an event was refused last; None if none was.
    taken_since
        Events taken since then.
    """

    told_ms: int
    slices: list[Slice]
    faults: list[Fault]
    last_ms: int | None
    taken_since: int


class RefusedHour(msgspec.Struct, frozen=True):
    """What all processes took and refused of a model within the last hour."""

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
        """Tell whether the feed is broken: more than `limit` events and more than a thousandth of
        all were refused. None if it is not well either: it is well when none was refused for ten
        minutes and events came meanwhile, or when less than half of a limit was.

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

    def described(self) -> str:
        """Say how many were refused, and for which fields.

        Examples
        --------
        >>> RefusedHour(4990, 10, [Fault("speed", "wrong_type", 10)]).described()
        '10 of 5,000 events of the last hour were refused (speed wrong type: 10)'
        """
        named = ", ".join(
            f"{one.field} {one.reason.replace('_', ' ')}: {one.events:,}" for one in self.faults[:3]
        )
        total = self.taken + self.refused
        return f"{self.refused:,} of {total:,} events of the last hour were refused" + (
            f" ({named})" if named else ""
        )


def last_hour(told: Iterable[Refused], now: int) -> RefusedHour:
    """Add up what the processes told.

    Parameters
    ----------
    now
        Time in ms by the clock of Redis; what was told later than that was told now.

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
    """Count what a process surely took after a moment: since its own last refusal, or in slices
    that began later.
    """
    if moment is None or one.last_ms == moment:
        return one.taken_since
    return sum(part.taken for part in one.slices if one.told_ms - part.age_ms - SLICE_MS > moment)
