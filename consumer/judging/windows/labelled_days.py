"""The labelled predictions of a version by the logical day on which they were made, whatever the
order in which their labels came.

The labelled window (labelled.py) tells how the model is now. When labels come weeks late it has
left the days that they are of, or never was there: so each day keeps its own sums, and a label
revises its own day. What is found of a day follows from the day's sums alone.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import Pane, Revised, pack_changes, unpack_counts
from driftgauge.shared.performance import Sums

WEEK: Final = 7
"""Days that are judged together where a day has too few labels."""


class LabelledDay(msgspec.Struct):
    """A logical day of a version, as it stands in the checkpoint.

    Parameters
    ----------
    day
        Number of the day since 1970.
    panes
        First and last pane of each partition.
    predictions, labelled
        Of the version on that day.
    sums, segments, labels
        Packed sums of the labelled rows, of all and by segment, and packed counts of the labels'
        cells, as of the last checkpoint (`LabelledDays.total` has those of now); empty without.
    unjudged
        Whether labels came since it was judged.
    bad
        When (logical ms) each subject was first found bad on that day, while it is: a metric by
        its name, a segment by its own, the labels as `LABEL`.
    told
        The subjects whose alert knows of it, and whether it learnt of it from here, not from the
        labelled window.
    """

    day: int
    panes: dict[int, tuple[int, int]] = {}
    predictions: int = 0
    labelled: int = 0
    sums: bytes = b""
    segments: bytes = b""
    labels: bytes = b""
    unjudged: bool = False
    bad: dict[str, int] = {}
    told: dict[str, bool] = {}

    @property
    def end(self) -> int:
        return (self.day + 1) * DAY_MS


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What the labelled rows of some days add up to.

    Parameters
    ----------
    sums
        Of all rows; None without labels.
    segments
        Sums by segment, flat (`driftgauge.shared.performance.Measures`); None without segments.
    labels
        Counts of the labels' cells; None if the reference has no labels.
    """

    sums: Sums | None = None
    segments: Ints | None = None
    labels: Ints | None = None

    @classmethod
    def unpack(cls, packed: LabelledDay | Revised) -> "DayTotal":
        return cls(
            Sums.unpack(packed.sums) if packed.sums else None,
            unpack_counts(packed.segments) if packed.segments else None,
            unpack_counts(packed.labels) if packed.labels else None,
        )

    @property
    def rows(self) -> int:
        """Labelled rows."""
        return self.sums.rows if self.sums is not None else 0

    @property
    def label_rows(self) -> int:
        """Rows whose label is in `labels`."""
        return int(self.labels.sum()) if self.labels is not None else 0

    def __add__(self, other: "DayTotal") -> "DayTotal":
        return DayTotal(
            other.sums
            if self.sums is None
            else self.sums + (other.sums or Sums.zero(self.sums.layout)),
            _added(self.segments, other.segments),
            _added(self.labels, other.labels),
        )


@dataclass(slots=True)
class LabelledDays:
    """The days that are kept, by their number."""

    days: dict[int, LabelledDay] = field(default_factory=dict)
    _totals: dict[int, DayTotal] = field(default_factory=dict)
    """Unpacked sums of days that were looked at; `packed` takes them up."""

    @classmethod
    def of(cls, days: Iterable[LabelledDay]) -> "LabelledDays":
        """Take the days of a checkpoint."""
        return cls({one.day: one for one in sorted(days, key=lambda one: one.day)})

    def add(self, pane: Pane, predictions: int) -> LabelledDay:
        """Let a pane wait for its labels; it lies within one day."""
        day = pane.start // DAY_MS
        known = self.days.setdefault(day, LabelledDay(day))
        first, _ = known.panes.get(pane.partition, (pane.number, 0))
        known.panes = {**known.panes, pane.partition: (first, pane.number)}
        known.predictions += predictions
        return known

    def revise(self, partition: int, revised: Revised) -> LabelledDay | None:
        """Add labels to the day of their pane; None if it is not kept any more."""
        for day in reversed(self.days.values()):
            first, last = day.panes.get(partition, (0, -1))
            if first <= revised.pane <= last:
                break
        else:
            return None
        day.labelled += revised.labelled
        self._totals[day.day] = self.total([day]) + DayTotal.unpack(revised)
        day.unjudged = True
        return day

    def total(self, days: Iterable[LabelledDay]) -> DayTotal:
        """Add up the labelled rows of some days."""
        found = DayTotal()
        for one in days:
            known = self._totals.get(one.day)
            if known is None:
                known = self._totals[one.day] = DayTotal.unpack(one)
            found += known
        return found

    def packed(self, day: LabelledDay) -> bytes:
        """Return a day for the checkpoint."""
        total = self._totals.get(day.day)
        if total is not None:
            day.sums = total.sums.pack() if total.sums is not None else b""
            day.segments = pack_changes(total.segments) if total.segments is not None else b""
            day.labels = pack_changes(total.labels) if total.labels is not None else b""
        return msgspec.msgpack.encode(day)

    def trim(self, now: int, days: int) -> list[int]:
        """Drop the weeks that ended so many days before; return the numbers of their days."""
        oldest = now // DAY_MS - days
        dropped = [day for day in self.days if (day // WEEK + 1) * WEEK <= oldest]
        for day in dropped:
            del self.days[day]
            self._totals.pop(day, None)
        return dropped

    def take_over(self, now: int) -> list[LabelledDay]:
        """Take out the days to judge: those that are over at a logical time (ms) and have got
        labels since they were judged.
        """
        over = [one for one in self.days.values() if one.unjudged and one.end <= now]
        for one in over:
            one.unjudged = False
        return over

    def groups(
        self,
        over: Collection[LabelledDay],
        now: int,
        least: int,
        rows: Callable[[DayTotal], int],
    ) -> Iterator[list[LabelledDay]]:
        """Part days that are to be judged: each by itself, or with those of its week that have too
        few labels too.

        Parameters
        ----------
        over
            The days, as from `take_over`.
        least
            Labels from which a day is judged by itself.
        rows
            Function that counts the labels that matter.
        """
        counts = {one.day: rows(self.total([one])) for one in over}
        yield from ([one] for one in over if counts[one.day] >= least)
        for week in dict.fromkeys(one.day // WEEK for one in over):
            few = [
                one
                for one in self.days.values()
                if one.day // WEEK == week
                and one.end <= now
                and 0 < rows(self.total([one])) < least
            ]
            if few:
                yield few


def _added(one: Ints | None, other: Ints | None) -> Ints | None:
    """Add counts, where there are any."""
    if one is None or other is None:
        return other if one is None else one
    return one + other
