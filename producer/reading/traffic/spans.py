"""What panes tell of when events came. Pure.

A pane says when it began and ended, how many events it has, and how many there were in all until
its end. So any two panes tell how many events came between them, and not all have to be read.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

DAY_MS: Final = 86_400_000
STRETCHES: Final = 144
"""Parts of the time shown that are told apart: ten minutes of a day."""
SPACINGS: Final = 3
"""Panes that are no further apart than this many times the distance of their events have no
silence between them."""


class Counted(NamedTuple):
    """Events that came within a time: its start and end (ms, by the events), and their number."""

    start: int
    end: int
    events: int


class TrafficSpans(NamedTuple):
    """When the events of a model came.

    Parameters
    ----------
    partitions
        For each partition the times in which events came, ascending, with silence between them.
    end
        Where the time shown ends (ms): now, or with the last pane if the events are of an earlier
        day.
    is_live
        Whether it ends now.
    """

    partitions: list[list[Counted]]
    end: int
    is_live: bool


class PaneNumbers(msgspec.Struct, frozen=True, tag="pane"):
    """A pane without its counts (shared/contract/pane.py)."""

    number: int
    start: int
    end: int
    events: int
    total: int


def middles(known: Mapping[int, PaneNumbers]) -> list[int]:
    """Return the numbers of the panes to read next: those in the middle of stretches that are too
    long to be shown as one. A silence is found so too, since its ends are in one stretch.

    Examples
    --------
    >>> hour = 3_600_000
    >>> ends = {
    ...     1: PaneNumbers(1, 0, 1, 250, 250),
    ...     9: PaneNumbers(9, hour, hour, 250, 2250),
    ... }
    >>> middles(ends)
    [5]
    """
    numbers = sorted(known)
    if not numbers:
        return []
    oldest = max(known[numbers[0]].start, known[numbers[-1]].end - DAY_MS)
    longest = max(1000, (known[numbers[-1]].end - oldest) // STRETCHES)
    return [
        (one + other) // 2
        for one, other in itertools.pairwise(numbers)
        if other - one > 1
        and known[other].start > oldest
        and known[other].start - known[one].end > longest
    ]


def counted(panes: Sequence[PaneNumbers]) -> list[Counted]:
    """Return the times of panes, and of what came between those that were not read.

    Examples
    --------
    >>> counted([PaneNumbers(1, 0, 50, 250, 250), PaneNumbers(3, 90, 120, 250, 750)])
    [Counted(start=0, end=50, events=250), Counted(start=50, end=90, events=250), \
Counted(start=90, end=120, events=250)]
    """
    found: list[Counted] = []
    for place, pane in enumerate(panes):
        if place:
            before = panes[place - 1]
            between = max(pane.total - pane.events - before.total, 0)
            if between and pane.start > before.end:
                found.append(Counted(before.end, pane.start, between))
            elif pane.start - before.end <= SPACINGS * _spacing(before):
                found[-1] = found[-1]._replace(end=max(pane.start, before.end))
        found.append(Counted(pane.start, pane.end, pane.events))
    return found


def _spacing(pane: PaneNumbers) -> float:
    return (pane.end - pane.start) / max(pane.events, 1)
