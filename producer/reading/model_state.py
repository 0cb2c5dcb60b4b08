"""The state of a model in Redis at one time, as `Pipeline` reads it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.fault import StageFault
from driftgauge.shared.contract.refused import RefusedHour
from driftgauge.shared.losses import Holdings, Hole, Setback


@dataclass(frozen=True, slots=True)
class Backlog:
    """Entries of a log that wait to be counted.

    Parameters
    ----------
    entries
        Entries after the worker's offset: their number if `exact`, else a lower bound.
    seconds
        Entry time (s) between the offset and the last entry: how far the counts are behind the log.
    oldest_ms
        Entry time (ms) of the oldest waiting entry; None if nothing waits.
    """

    entries: int = 0
    exact: bool = True
    seconds: float = 0.0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ArchivingState:
    """How far a partition is archived.

    Parameters
    ----------
    owned
        Whether a worker archives it now.
    missing
        Predictions that left the log before they could be archived.
    oldest_ms
        Entry time (ms) of the oldest counted entry that is not archived; None if all are.
    """

    owned: bool
    missing: int
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PartitionState:
    """State of a partition in Redis.

    Parameters
    ----------
    counted
        All of counting's counters, as it wrote them.
    offset
        Id of the last counted entry.
    dead_letters
        Entries kept in the dead-letter stream, which is capped; `counters.dead` counts all.
    judged
        Id of the last panes entry that was judged; None if judging's checkpoint cannot be read.
    panes_behind
        Closed panes that judging has not read, 1 if it only has not read an alarm or late labels
        after them; None if judging's checkpoint cannot be read.
    waiting
        Panes and late labels that judging has read and that wait for earlier ones of other
        partitions.
    rolled_back
        How often the partition's panes went back to an older state.
    fault
        What counting it failed on last; None if it never did.
    log
        Key of its log.
    holes
        Numbers of its publishers that have not arrived.
    setbacks
        What workers found of its keys to have gone back, the latest of each.
    archiving
        How far it is archived; None if it never was.
    """

    partition: int
    counters: Counters
    counted: dict[str, Any]
    owned: bool
    offset: str
    backlog: Backlog
    dead_letters: int
    judged: str | None
    panes_behind: int | None
    waiting: int = 0
    rolled_back: int = 0
    fault: StageFault | None = None
    log: str = ""
    holes: tuple[Hole, ...] = ()
    setbacks: tuple[Setback, ...] = ()
    archiving: ArchivingState | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """How far a key of a model has come.

    Parameters
    ----------
    unit
        What is numbered: a `commit` or an `entry`.
    place
        The number of the commit and 0, or the numbers of the last entry that was ever written; both
        0 if the key is not there.
    events
        Events that are counted there; 0 if unknown.
    """

    key: str
    unit: Literal["commit", "entry"]
    place: tuple[int, int]
    events: int = 0

    def words(self, place: tuple[int, int]) -> str:
        """Return a position of the key in words; empty for one of a key that is not there.

        Examples
        --------
        >>> Position("dg:{steel.0}:log", "entry", (0, 0)).words((5, 1))
        'entry 5-1'
        """
        if not any(place):
            return ""
        return f"{self.unit} {place[0] if self.unit == 'commit' else EntryId(*place)}"


@dataclass(frozen=True, slots=True)
class ModelState:
    """State of a model in Redis; `now_ms` is Redis's clock, which makes the entries' ids."""

    model: str
    now_ms: int
    partitions: tuple[PartitionState, ...]
    judging_owned: bool
    firing: dict[tuple[str, str], int]
    """Firing drift alerts by version and severity, as of the current snapshots."""
    commands_refused: int = 0
    refused: RefusedHour = field(default_factory=RefusedHour)
    """Events that the API processes took and refused within the last hour."""
    refused_labels: RefusedHour = field(default_factory=RefusedHour)
    """The same of labels."""
    judging_dead: int = 0
    """Entries of the panes that judging could not process, and put to the dead letters."""
    judging_fault: StageFault | None = None
    """What judging failed on last; None if it never did."""
    labels_too_late: int = 0
    """Labels whose day is not kept any more: they changed nothing."""
    follower_faults: Mapping[str, StageFault] = field(default_factory=dict)
    """What followers failed on last, such as `reports`, by name; those that never did are not in
    it.
    """
    judging_setbacks: tuple[Setback, ...] = ()
    """What judging found to have gone back, of its checkpoint and of the panes that it had judged,
    the latest of each.
    """
    held: tuple[Holdings, ...] = ()
    """What the API processes hold of its events."""
    positions: tuple[Position, ...] = ()
    """How far its keys have come."""
    unreadable: str = ""
    """Why nothing of it can be read; empty if it can be."""
    judged: frozenset[str] = frozenset()
    """Versions that have a window."""
    ended: frozenset[str] = frozenset()
    """Versions that were judged and are not any more, of the latest ones."""

    @property
    def events(self) -> int:
        return sum(partition.counters.events for partition in self.partitions)

    def age_s(self, partition: PartitionState) -> float:
        """Return the age (s) of a partition's oldest entry that waits to be counted; 0 if none
        waits.
        """
        oldest = partition.backlog.oldest_ms
        return 0.0 if oldest is None else max(0, self.now_ms - oldest) / 1000
