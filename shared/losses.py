"""What is lost, and what came back older than it was: the words in which worker and API tell of it.
Pure.

A *hole* is a run of numbers that a publisher used and that has not arrived. It may still arrive, as
long as a process holds these numbers in memory or in its spool, and says so (`Holdings`). A
*setback* is a key whose state is older than a state that was seen before: Redis came back with an
older copy, or the key was deleted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from driftgauge.shared.unpacking import UNREADABLE

HOLES_FIELD: Final = b"holes"
"""Field of counting's checkpoint that holds its holes."""
SETBACK_FIELD: Final = b"setback"
"""Field beside a stage's state that holds the setbacks that workers found."""
MOST_SETBACKS: Final = 50
"""Most setbacks that the field holds, the latest."""
TOLD_MS: Final = 86_400_000
"""Time (ms) after which a loss is told no longer, if nobody acknowledged it."""
MOST_OF_PUBLISHER: Final = 20
MOST_HOLES: Final = 50
"""Most holes that are listed for a publisher and a partition; the rest is summed up in one."""
REST: Final = "*"
"""Publisher of the hole that sums up the rest of a partition."""


class Hole(msgspec.Struct, frozen=True, array_like=True):
    """Numbers of a publisher that have not arrived: `missing` of those from `first` to `last`."""

    publisher: str
    first: int
    last: int
    missing: int


class Held(msgspec.Struct, frozen=True, array_like=True):
    """Numbers of a publisher that a process holds for a log: some of those from `first` to
    `last`.
    """

    log: str
    publisher: str
    first: int
    last: int


class Holdings(msgspec.Struct, frozen=True):
    """What an API process holds of a model's events that may not have arrived.

    Parameters
    ----------
    told_ms, until_ms
        When it said so, and until when it counts as living if it says no more, by Redis's clock.
    where
        Its host and the folder of its spool.
    """

    told_ms: int
    until_ms: int
    where: str
    held: list[Held] = []


class Setback(msgspec.Struct, frozen=True):
    """Something in Redis that is older than it was seen before, or gone.

    Parameters
    ----------
    what
        What it is in words, such as `the counts of partition 0`.
    before, now
        The position that was seen, and the one that was found; empty if it is gone.
    at
        When it was found, by Redis's clock in ms.
    events
        Counted events that are missing since then; 0 if unknown.
    """

    what: str
    before: str
    now: str
    at: int
    events: int = 0

    @property
    def words(self) -> str:
        """What happened, as a part of a sentence.

        Examples
        --------
        >>> Setback("the counts of partition 0", "commit 500", "commit 320", 0, 6000).words
        'the counts of partition 0 went back from commit 500 to commit 320 (6,000 events)'
        >>> Setback("the log of partition 1", "entry 7-0", "", 0).words
        'the log of partition 1 is gone (it was at entry 7-0)'
        """
        events = f" ({self.events:,} events)" if self.events else ""
        if not self.now:
            return f"{self.what} is gone (it was at {self.before}){events}"
        return f"{self.what} went back from {self.before} to {self.now}{events}"


class SetbackNote(Setback, frozen=True, omit_defaults=True):
    """What the field beside a stage's state holds: its latest setback, and the latest of each other
    key. Setbacks come one after the other, and the watchdog looks now and then.

    It is read as a `Setback` by releases that noted the latest one alone.
    """

    earlier: list[Setback] = []


def noted(packed: bytes | None) -> list[Setback]:
    """Return the setbacks in a stage's field, the latest first; none if another release wrote it in
    another form.
    """
    try:
        note = msgspec.json.decode(packed or b"", type=SetbackNote)
    except UNREADABLE:
        return []
    return [Setback(note.what, note.before, note.now, note.at, note.events), *note.earlier]


def noting(packed: bytes | None, setback: Setback) -> bytes:
    """Return a stage's field with one more setback, which takes the place of that of the same key.

    Examples
    --------
    >>> counts = Setback("dg:{steel.0}:count", "commit 9", "commit 7", 1000)
    >>> log = Setback("dg:{steel.0}:log", "entry 7-0", "", 2000)
    >>> [one.what for one in noted(noting(noting(None, counts), log))]
    ['dg:{steel.0}:log', 'dg:{steel.0}:count']
    """
    earlier = [
        one for one in noted(packed) if one.what != setback.what and setback.at - one.at < TOLD_MS
    ]
    fields = msgspec.structs.asdict(setback)
    return msgspec.json.encode(SetbackNote(**fields, earlier=earlier[: MOST_SETBACKS - 1]))


def listed(holes: Iterable[Hole]) -> list[Hole]:
    """Return the holes of a partition, the largest first, of many the rest summed up in one.

    Examples
    --------
    >>> found = listed(Hole("p", 10 * place, 10 * place, 1) for place in range(1, 100))
    >>> len(found), found[-1]
    (51, Hole(publisher='*', first=0, last=0, missing=49))
    """
    found = sorted(holes, key=lambda hole: (-hole.missing, hole.publisher, hole.first))
    rest = sum(hole.missing for hole in found[MOST_HOLES:])
    return [*found[:MOST_HOLES], *([Hole(REST, 0, 0, rest)] if rest else [])]


def unheld(hole: Hole, held: Sequence[Held]) -> int:
    """Return how many numbers of a hole nobody holds.

    Parameters
    ----------
    held
        What is held for the log of the hole, whoever's numbers it is. The publishers of a rest are
        unknown: whatever is held may be of it.

    Examples
    --------
    >>> unheld(Hole("p", 5, 14, 10), [Held("log", "p", 1, 7), Held("log", "q", 1, 99)])
    7
    """
    if hole.publisher == REST:
        return 0 if held else hole.missing
    covered, reached = 0, hole.first - 1
    own = sorted((one.first, one.last) for one in held if one.publisher == hole.publisher)
    for first, last in own:
        start, end = max(first, reached + 1), min(last, hole.last)
        if end >= start:
            covered, reached = covered + end - start + 1, end
    return max(0, hole.missing - covered)
