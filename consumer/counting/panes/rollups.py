"""Roll-ups: the sums of the panes of a logical hour, and of the hours of a logical day. They are
kept longer than the panes.

A pane belongs to the hour in which it starts, and never spans midnight; a partition's logical time
only grows. So an hour is complete when a pane of a later hour closes, or a later tick comes while
no pane of that hour is open. This depends only on the log, so a replay writes the same sums at the
same positions. They are written in the commit of their last pane, and the running sums are in the
checkpoint; the id of an entry is the number of its last pane, so it cannot be written twice.

Their age is measured in entry time, from when they were closed: a year that is replayed in a minute
is kept as long as live data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from driftgauge.consumer.counting.clock import DAY_MS, HOUR_MS
from driftgauge.consumer.counting.panes.open_pane import OpenBlock
from driftgauge.shared.contract.pane import Alarm, Block, Pane, RollUp, Span

SPAN_MS: Final[Mapping[Span, int]] = {"hour": HOUR_MS, "day": DAY_MS}
FIELDS: Final = (b"hour", b"day", b"ages")

Marks = list[tuple[int, int]]
"""(entry-time hour or day, first entry written in it), ascending: what trimming by age needs."""


def mark(marks: Marks, age: int, number: int) -> None:
    """Note the first entry of an age."""
    if not marks or marks[-1][0] < age:
        marks.append((age, number))


def first_kept(marks: Marks, oldest: float) -> int:
    """Forget the ages before `oldest`; return the number of the first entry that is young enough to
    keep.

    Return 0 if nothing is too old, or everything is: then the entries are trimmed once there is a
    younger one.

    Examples
    --------
    >>> marks = [(4, 1), (5, 12), (9, 30)]
    >>> first_kept(marks, 5), marks, first_kept(marks, 5)
    (12, [(5, 12), (9, 30)], 0)
    """
    kept = [found for found in marks if found[0] >= oldest]
    if not kept or len(kept) == len(marks):
        return 0
    marks[:] = kept
    return kept[0][1]


@dataclass(slots=True)
class OpenRollUp:
    """A sum that grows until its span of logical time is over."""

    partition: int
    start: int
    first: int
    last: int = 0
    end: int = 0
    events: int = 0
    total: int = 0
    events_per_day: float | None = None
    blocks: dict[str, OpenBlock] = field(default_factory=dict)
    alarms: int = 0
    kept: dict[tuple[str, str, str], list[Alarm]] = field(default_factory=dict)
    """First and latest alarm of each version, detector and column."""

    def take(self, pane: Pane, blocks: Mapping[str, OpenBlock]) -> None:
        """Add a closed pane, or a sum of panes; `blocks` are its counts."""
        self.last, self.end, self.total, self.events_per_day = (
            pane.number,
            pane.end,
            pane.total,
            pane.events_per_day,
        )
        self.events += pane.events
        for version, block in blocks.items():
            if version in self.blocks:
                self.blocks[version].add(block)
            else:
                self.blocks[version] = block.copy()

    def note(self, alarm: Alarm) -> None:
        """Keep an alarm: with the first one an alert fires, the latest one tells how long it went
        on.
        """
        self.alarms += 1
        self.keep(alarm)

    def keep(self, alarm: Alarm) -> None:
        known = self.kept.setdefault((alarm.version, alarm.detector, alarm.column), [])
        known[1:] = [alarm]

    def closed(self) -> RollUp:
        """Return the roll-up as it is written to its stream."""
        blocks: dict[str, Block] = {
            version: self.blocks[version].pack() for version in sorted(self.blocks)
        }
        kept = sorted((alarm for found in self.kept.values() for alarm in found), key=_place)
        return RollUp(
            Pane(
                self.partition,
                self.last,
                self.start,
                self.end,
                self.events,
                self.total,
                self.events_per_day,
                blocks,
            ),
            self.first,
            kept,
            self.alarms,
        )

    @classmethod
    def unpack(cls, packed: bytes) -> "OpenRollUp":
        """Unpack a sum from a checkpoint."""
        found = msgspec.msgpack.decode(packed, type=RollUp)
        pane = found.pane
        rolled = cls(pane.partition, pane.start, found.first, alarms=found.alarms)
        rolled.take(
            pane, {version: OpenBlock.unpack(block) for version, block in pane.blocks.items()}
        )
        for alarm in found.kept:
            rolled.keep(alarm)
        return rolled


@dataclass(slots=True)
class RollUps:
    """The running sums of a partition, and the ages of the written ones."""

    open: dict[Span, OpenRollUp] = field(default_factory=dict)
    ages: dict[Span, Marks] = field(default_factory=lambda: {"hour": [], "day": []})
    changed: set[bytes] = field(default_factory=set)

    def take(self, pane: Pane, blocks: Mapping[str, OpenBlock]) -> None:
        """Add a closed pane to its hour; the hours before it are complete, see `complete`."""
        if "hour" not in self.open:
            self.open["hour"] = OpenRollUp(pane.partition, pane.start, pane.number)
        self.open["hour"].take(pane, blocks)
        self.changed.add(b"hour")

    def note(self, alarm: Alarm, start: int, number: int) -> None:
        """Add an alarm to the hour of the pane that is open: its start and number."""
        if "hour" not in self.open:
            self.open["hour"] = OpenRollUp(alarm.partition, start, number)
        self.open["hour"].note(alarm)
        self.changed.add(b"hour")

    def complete(self, now: int, entry_ms: int) -> list[tuple[Span, RollUp]]:
        """Close and return the sums whose span was over at logical time `now` (ms), before which no
        further pane starts.
        """
        written: list[tuple[Span, RollUp]] = []
        hour = self.open.get("hour")
        if hour is not None and hour.start // HOUR_MS < now // HOUR_MS:
            written.append(("hour", self._close("hour")))
            self._add_to_day(hour, written[-1][1].pane)
        day = self.open.get("day")
        if day is not None and day.start // DAY_MS < now // DAY_MS:
            written.append(("day", self._close("day")))
        for span, rolled in written:
            mark(self.ages[span], entry_ms // DAY_MS, rolled.pane.number)
            self.changed.add(b"ages")
        return written

    def _add_to_day(self, hour: OpenRollUp, pane: Pane) -> None:
        day = self.open.setdefault("day", OpenRollUp(pane.partition, pane.start, hour.first))
        day.take(pane, hour.blocks)
        day.alarms += hour.alarms
        for alarm in sorted((alarm for found in hour.kept.values() for alarm in found), key=_place):
            day.keep(alarm)
        self.changed.add(b"day")

    def _close(self, span: Span) -> RollUp:
        self.changed.add(span.encode())
        return self.open.pop(span).closed()

    def first_kept(self, span: Span, days: int, entry_ms: int) -> int:
        """Return the first roll-up to keep if they are kept for some days of entry time; 0 if none
        is too old.
        """
        first = first_kept(self.ages[span], entry_ms // DAY_MS - days)
        if first:
            self.changed.add(b"ages")
        return first

    def pack(self, name: bytes) -> bytes:
        """Return a field of the checkpoint; empty if there is none now."""
        if name == b"ages":
            return msgspec.msgpack.encode(self.ages)
        span: Span = "hour" if name == b"hour" else "day"
        return msgspec.msgpack.encode(self.open[span].closed()) if span in self.open else b""

    def unpack(self, name: bytes, packed: bytes) -> None:
        """Read a field of the checkpoint."""
        if name == b"ages":
            self.ages = msgspec.msgpack.decode(packed, type=dict[Span, Marks])
        else:
            span: Span = "hour" if name == b"hour" else "day"
            self.open[span] = OpenRollUp.unpack(packed)


def _place(alarm: Alarm) -> tuple[int, str, str, str]:
    return alarm.total, alarm.version, alarm.detector, alarm.column
