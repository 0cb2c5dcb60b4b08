"""The labelled predictions of a version by the logical day on which they were made, whatever the
order in which their labels came.

The labelled window (labelled.py) tells how the model is now. When labels come weeks late it has
left the days that they are of, or never was there: so each day keeps its own sums, and a label
revises its own day. What is found of a day follows from the day's sums alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.pane import Pane, Revised
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
    sums
        Packed sums of the labelled rows, as of the last checkpoint (`LabelledDays.sums_of` has
        those of now); empty without labels.
    unjudged
        Whether labels came since it was judged.
    bad
        When (logical ms) each metric was first found bad on that day, while it is.
    told
        The metrics whose alert knows of it, and whether it learnt of it from here, not from the
        labelled window.
    """

    day: int
    panes: dict[int, tuple[int, int]] = {}
    predictions: int = 0
    labelled: int = 0
    sums: bytes = b""
    unjudged: bool = False
    bad: dict[str, int] = {}
    told: dict[str, bool] = {}

    @property
    def end(self) -> int:
        return (self.day + 1) * DAY_MS


@dataclass(slots=True)
class LabelledDays:
    """The days that are kept, by their number."""

    days: dict[int, LabelledDay] = field(default_factory=dict)
    _sums: dict[int, Sums] = field(default_factory=dict)
    """Unpacked sums of days whose labels changed; `packed` takes them up."""

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
        if revised.sums:
            sums, known = Sums.unpack(revised.sums), self.sums_of(day)
            self._sums[day.day] = sums if known is None else known + sums
        day.unjudged = True
        return day

    def sums_of(self, day: LabelledDay) -> Sums | None:
        """Return the sums of a day's labelled rows; None without labels."""
        found = self._sums.get(day.day)
        if found is None and day.sums:
            found = self._sums[day.day] = Sums.unpack(day.sums)
        return found

    def packed(self, day: LabelledDay) -> bytes:
        """Return a day for the checkpoint."""
        sums = self._sums.get(day.day)
        if sums is not None:
            day.sums = sums.pack()
        return msgspec.msgpack.encode(day)

    def trim(self, now: int, days: int) -> list[int]:
        """Drop the weeks that ended so many days before; return the numbers of their days."""
        oldest = now // DAY_MS - days
        dropped = [day for day in self.days if (day // WEEK + 1) * WEEK <= oldest]
        for day in dropped:
            del self.days[day]
            self._sums.pop(day, None)
        return dropped

    def to_judge(self, now: int, least: int) -> Iterator[list[LabelledDay]]:
        """Take out the days to judge that are over at a logical time: each by itself, or with those
        of its week that have too few labels too.

        Parameters
        ----------
        least
            Labels from which a day is judged by itself.
        """
        over = [one for one in self.days.values() if one.unjudged and one.end <= now]
        for one in over:
            one.unjudged = False
        yield from ([one] for one in over if one.labelled >= least)
        for week in dict.fromkeys(one.day // WEEK for one in over):
            few = [
                one
                for one in self.days.values()
                if one.day // WEEK == week and 0 < one.labelled < least and one.end <= now
            ]
            if few:
                yield few
