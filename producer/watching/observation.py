"""One observation of a model by the watchdog, and its memory of the earlier ones. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.notifications import NotificationRoute
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.fault import TRIES, StageFault
from driftgauge.shared.losses import Setback
from driftgauge.shared.settings import Settings

HOUR_MS: Final = 3_600_000
GROWTH_SLICE_MS: Final = 300_000
STILL_FAILS_MS: Final = 120_000
"""How long after its latest failed attempt work is taken to fail still."""


class Part(msgspec.Struct):
    """Memory of the progress of a partition, or of judging.

    Parameters
    ----------
    marker
        Progress: an offset.
    moved_ms
        Time (ms) at which it last made progress, or had nothing to do.
    unowned_ms
        Time (ms) since which it has work and no owner; None if it has both, or neither.
    stuck_at
        Progress at `unowned_ms`.
    """

    marker: str = ""
    moved_ms: int = 0
    unowned_ms: int | None = None
    stuck_at: str = ""


class Hour(msgspec.Struct, array_like=True):
    """An hour with events: the model's events before it, and the longest gap (ms) ending in it."""

    hour: int
    before: int
    gap_ms: int


class Activity(msgspec.Struct):
    """Times at which the model had events; `since_ms` is the start of the watch."""

    since_ms: int
    changed_ms: int
    events: int
    hours: list[Hour] = []


class Dropped(msgspec.Struct):
    """Number of events that one API process dropped, by reason, and the time (ms) of the
    last one.
    """

    reasons: dict[str, int]
    grew_ms: int

    @property
    def events(self) -> int:
        return sum(self.reasons.values())


class Hanging(msgspec.Struct):
    """What one API process tells of a version that hangs: since when (s) it did at `told_ms`, the
    last time that it told.
    """

    version: str
    seconds: float
    told_ms: int


class HoleSeen(msgspec.Struct, array_like=True):
    """A hole in a publisher's numbers that nobody holds: since when (ms), when it was first told as
    lost (0: not yet), and whether that is over.
    """

    since: int
    told: int = 0
    settled: bool = False


class Memory(msgspec.Struct):
    """The watchdog's memory of a model, stored in its hash.

    Parameters
    ----------
    firing
        Time (ms) at which the alert of each firing rule began.
    late
        Number of consecutive observations that found a lag.
    holes
        Holes that nobody holds, by partition, publisher and first number.
    setbacks
        What went back to an older state and is told by the alert that fires, by what it is.
    setbacks_later
        What went back since that alert was written; the next one tells it.
    setbacks_seen, setbacks_found
        Time (ms) of the latest setback that workers noted, and that an API process found, by what
        it is: a setback is known by both.
    dead
        (slice of time, dead letters at its first observation).
    labels
        Labels joined so far, and the time (ms) at which that last changed or no prediction waited.
    labels_full
        (slice of time, predictions and labels that had found no room to wait at its first look).
    unarchived
        (slice of time, predictions that the archive lacked at its first look).
    alone, paired
        (slice of time, halves of predictions that had stayed alone, or had met, at its first look).
    failing
        What the worker fails on, in words, while it is told of.
    told
        Summary of each firing rule, as of the last observation that found it bad.
    routes
        Time (ms) at which the alert of each route of notifications began that fails.
    """

    parts: dict[str, Part] = {}
    firing: dict[str, int] = {}
    late: int = 0
    holes: dict[str, HoleSeen] = {}
    setbacks: dict[str, Setback] = {}
    setbacks_later: dict[str, Setback] = {}
    setbacks_seen: dict[str, int] = {}
    setbacks_found: dict[str, int] = {}
    dead: list[tuple[int, int]] = []
    labels: tuple[int, int] = (0, 0)
    labels_full: list[tuple[int, int]] = []
    unarchived: list[tuple[int, int]] = []
    alone: list[tuple[int, int]] = []
    paired: list[tuple[int, int]] = []
    failing: str = ""
    told: dict[str, str] = {}
    routes: dict[str, int] = {}
    activity: Activity | None = None


class Assessment(msgspec.Struct, frozen=True):
    """Result of a rule: bad, good, or undecided (None); with value, limit and summary."""

    bad: bool | None
    value: float = 0.0
    limit: float = 0.0
    summary: str = ""


class Observation(msgspec.Struct, frozen=True):
    """State of a model at one time, as the watchdog read it.

    Parameters
    ----------
    setbacks
        What this process, or another one, found to be older than it was seen before.
    acknowledged
        Who acknowledged the alert of a rule since the last observation.
    evicts
        Policy by which Redis may evict keys; empty if it evicts none.
    routes
        The routes of notifications.
    is_first
        Whether the model is the first of all, by its name.
    noted
        Setbacks that workers noted of the routes, for the first model.
    """

    state: ModelState
    dropped: list[Dropped]
    settings: Settings
    hanging: list[Hanging] = []
    setbacks: list[Setback] = []
    acknowledged: dict[str, Acknowledge] = {}
    evicts: str = ""
    routes: list[NotificationRoute] = []
    is_first: bool = False
    noted: list[Setback] = []

    @property
    def now(self) -> int:
        return self.state.now_ms

    def since(self, moment: int) -> int:
        """Return the time (ms) since a moment; 0 if the clock went back behind it."""
        return max(0, self.now - moment)


class Work(msgspec.Struct, frozen=True):
    """Something that a worker does: counting a partition, judging, or what follows from it."""

    name: str
    owned: bool
    waits: bool
    oldest_ms: int | None
    marker: str
    fault: StageFault | None = None

    def fails(self, now: int) -> bool:
        """Return whether it failed again and again, and does still: a worker that is gone does not
        even fail.
        """
        fault = self.fault
        if fault is None or fault.over or fault.tries < TRIES:
            return False
        return now - fault.at < STILL_FAILS_MS


def works(state: ModelState) -> Iterator[Work]:
    """Yield the pieces of work that workers do for a model."""
    for partition in state.partitions:
        oldest = partition.backlog.oldest_ms
        yield Work(
            f"partition {partition.partition}",
            partition.owned,
            oldest is not None,
            oldest,
            partition.offset,
            partition.fault,
        )
    behind = any(partition.panes_behind for partition in state.partitions)
    yield Work(
        "judging",
        state.judging_owned,
        behind,
        None,
        " ".join(str(one.judged) for one in state.partitions),
        state.judging_fault,
    )
    for name, fault in state.follower_faults.items():
        yield Work(name, owned=True, waits=False, oldest_ms=None, marker="", fault=fault)


def remember(memory: Memory, work: Work, observed: Observation) -> None:
    """Update the memory by the progress of a piece of work."""
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


def last_hour(
    memory: list[tuple[int, int]], observed: Observation, count: int
) -> tuple[list[tuple[int, int]], int]:
    """Remember a growing count by slices of time; return the new memory, and the growth within an
    hour.
    """
    now = observed.now // GROWTH_SLICE_MS
    kept = [
        entry
        for entry in memory
        if now - HOUR_MS // GROWTH_SLICE_MS <= entry[0] <= now and entry[1] <= count
    ]
    memory = kept if kept and kept[-1][0] == now else [*kept, (now, count)]
    return memory, count - memory[0][1]
