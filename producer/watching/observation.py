"""One look of the watchdog at a model, and what it remembers of the looks before. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from driftgauge.producer.reading.pipeline import ModelState
from driftgauge.shared.settings import Settings


class Part(msgspec.Struct):
    """What is remembered of a partition, or of judging.

    Parameters
    ----------
    marker
        Its progress: an offset.
    moved_ms
        When it last moved, or had nothing to do.
    unowned_ms
        Since when it has work and no owner; None if it has both, or neither.
    stuck_at
        Its progress then.
    """

    marker: str = ""
    moved_ms: int = 0
    unowned_ms: int | None = None
    stuck_at: str = ""


class Hour(msgspec.Struct, array_like=True):
    """An hour with events: those of the model before it, and the longest time without one that
    ended in it.
    """

    hour: int
    before: int
    gap_ms: int


class Activity(msgspec.Struct):
    """When the model had events; `since_ms` is when the watch began."""

    since_ms: int
    changed_ms: int
    events: int
    hours: list[Hour] = []


class Dropped(msgspec.Struct):
    """What one API process dropped, by reason, and when it last did."""

    reasons: dict[str, int]
    grew_ms: int

    @property
    def events(self) -> int:
        return sum(self.reasons.values())


class Memory(msgspec.Struct):
    """What the watchdog remembers of a model, in its hash.

    Parameters
    ----------
    firing
        Rule to the time at which its alert began.
    late
        Looks running that found a lag.
    missing
        (slice of time, least number of missing sequences in it); those of retired publishers are
        missing for ever.
    retired
        (slice of time, missing sequences of retired publishers at its first look).
    dead
        (slice of time, dead letters at its first look).
    rolled_back
        (slice of time, times that panes had gone back at its first look).
    labels
        Labels joined so far, and when that last changed, or nothing waited for one.
    labels_full
        (slice of time, predictions and labels that had found no room to wait at its first look).
    """

    parts: dict[str, Part] = {}
    firing: dict[str, int] = {}
    late: int = 0
    missing: list[tuple[int, int]] = []
    retired: list[tuple[int, int]] = []
    dead: list[tuple[int, int]] = []
    rolled_back: list[tuple[int, int]] = []
    labels: tuple[int, int] = (0, 0)
    labels_full: list[tuple[int, int]] = []
    activity: Activity | None = None


class Assessment(msgspec.Struct, frozen=True):
    """What a rule says: bad, good, or (None) not decided; with its number, its limit, and words for
    it.
    """

    bad: bool | None
    value: float = 0.0
    limit: float = 0.0
    summary: str = ""


class Observation(msgspec.Struct, frozen=True):
    """One look at a model."""

    state: ModelState
    dropped: list[Dropped]
    settings: Settings

    @property
    def now(self) -> int:
        return self.state.now_ms

    def since(self, moment: int) -> int:
        """Return the time (ms) since a moment; 0 if the clock went back behind it."""
        return max(0, self.now - moment)


class Work(msgspec.Struct, frozen=True):
    """Something that a worker does: counting a partition, or judging."""

    name: str
    owned: bool
    waits: bool
    oldest_ms: int | None
    marker: str


def works(state: ModelState) -> Iterator[Work]:
    """Yield what workers do for a model."""
    for partition in state.partitions:
        oldest = partition.backlog.oldest_ms
        yield Work(
            f"partition {partition.partition}",
            partition.owned,
            oldest is not None,
            oldest,
            partition.offset,
        )
    behind = any(partition.panes_behind for partition in state.partitions)
    yield Work(
        "judging",
        state.judging_owned,
        behind,
        None,
        " ".join(str(one.judged) for one in state.partitions),
    )


def remember(memory: Memory, work: Work, observed: Observation) -> None:
    """Take in how a piece of work stands."""
    part = memory.parts.setdefault(work.name, Part(work.marker, observed.now))
    if not work.waits or part.marker != work.marker:
        part.marker, part.moved_ms = work.marker, observed.now
    part.moved_ms = min(part.moved_ms, observed.now)
    if not work.waits or (work.owned and work.marker != part.stuck_at):
        part.unowned_ms = None
    elif not work.owned:
        if part.unowned_ms is None:
            part.unowned_ms, part.stuck_at = observed.now, work.marker
        part.unowned_ms = min(part.unowned_ms, observed.now)


def unowned(observed: Observation) -> bool:
    """Tell whether something waits that nobody owns."""
    return any(work.waits and not work.owned for work in works(observed.state))


def late(observed: Observation) -> bool:
    """Tell whether something waits for longer than a lag may be."""
    limit = observed.settings.blind_lag_seconds * 1000
    return any(
        work.oldest_ms is not None and observed.since(work.oldest_ms) > limit
        for work in works(observed.state)
    )


def named(parts: Mapping[str, float]) -> str:
    """Name some parts, the worst first, and no more than three.

    Examples
    --------
    >>> named({"partition 0": 3.0, "judging": 9.0})
    'judging, partition 0'
    """
    names = sorted(parts, key=lambda name: (-parts[name], name))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
