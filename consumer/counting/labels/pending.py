"""Waiting events: predictions that wait for their label, and labels that came before their
prediction.

Both are kept by days of entry time: events of day D wait until day D + `wait_days` ends,
independently of clocks and of how the log was cut into batches. Predictions are stored in a Redis
hash per day; only those that a batch needs, and those not yet committed, are in memory. Early
labels are few, so all of them are in memory too. Ids are stored as digests of fixed length.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.shared.contract.counters import LabelCounts

EARLY_MOST = 100_000
"""Most early labels that are kept per partition, in memory and in Redis. They need a bound of their
own, since labels for ids that were never predicted are among them.
"""
Truth = float | str


class Waiting(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A prediction that waits for its label, or has it and may be corrected.

    Parameters
    ----------
    pane
        Number of its pane.
    time
        Event time (ms) of the prediction.
    label
        Current label; None without one.
    segments
        Packed segments, one byte each (`SegmentLayout.packed`); empty for a version without
        segments.
    """

    pane: int
    version: str
    time: int
    prediction: Truth
    probabilities: list[float] | None = None
    label: Truth | None = None
    segments: bytes = b""

    def labelled(self, label: Truth) -> "Waiting":
        """Return it with another label: many times faster than a general replacement."""
        return Waiting(
            self.pane,
            self.version,
            self.time,
            self.prediction,
            self.probabilities,
            label,
            self.segments,
        )


class Early(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A label whose prediction has not arrived, and the day of entry time on which the label
    arrived.
    """

    label: Truth
    time: int
    day: int


class Day(msgspec.Struct, array_like=True):
    """Number of predictions of a day that wait or waited, and how many of them have a label."""

    predictions: int = 0
    labelled: int = 0


@dataclass(slots=True)
class Pending:
    """The waiting predictions and labels of a partition, and the changes to write to Redis.

    Parameters
    ----------
    wait_days
        Number of whole days (24 h) after its own for which an event waits.
    days
        Counts of the predictions by day (Unix ms // 86,400,000).
    early
        Early labels by digest of the prediction's id.
    found
        Committed predictions that a batch's labels name, by day and digest; set before each batch.
    changes
        Predictions to write since the last commit, by day and digest.
    early_changes
        Early labels to write since the last commit, by day and digest; None is one to delete.
    gone
        Days to delete, since the last commit.

    Examples
    --------
    >>> pending = Pending()
    >>> pending.put(3, b"id", Waiting(1, "1.0.0", 0, 2.5))
    >>> pending.find(b"id", 10) == (3, Waiting(1, "1.0.0", 0, 2.5)), pending.find(b"id", 11)
    (True, None)
    """

    wait_days: int = 7
    days: dict[int, Day] = field(default_factory=dict)
    early: dict[bytes, Early] = field(default_factory=dict)
    found: Mapping[int, Mapping[bytes, Waiting]] = field(default_factory=dict)
    changes: dict[int, dict[bytes, Waiting]] = field(default_factory=dict)
    early_changes: dict[int, dict[bytes, Early | None]] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    _today: int = -1

    @property
    def size(self) -> int:
        """Number of predictions that are kept."""
        return sum(day.predictions for day in self.days.values())

    def oldest(self, day: int) -> int:
        """Return the oldest day that is still kept on a day."""
        return day - self.wait_days

    def day(self, day: int) -> Day:
        """Return the counts of a day, made if absent."""
        found = self.days.get(day)
        if found is None:
            found = self.days[day] = Day()
        return found

    def put(self, day: int, digest: bytes, waiting: Waiting) -> None:
        """Store a waiting prediction, or replace it after a change."""
        self.changes.setdefault(day, {})[digest] = waiting

    def label(self, day: int, digest: bytes, waiting: Waiting, label: Truth) -> None:
        """Store a waiting prediction with its first label."""
        self.day(day).labelled += 1
        self.put(day, digest, waiting.labelled(label))

    def put_all(self, day: int, pairs: Iterable[tuple[bytes, Waiting]]) -> None:
        """Store waiting predictions."""
        self.changes.setdefault(day, {}).update(pairs)

    def layers(self, today: int) -> list[tuple[int, Mapping[bytes, Waiting]]]:
        """Return the predictions in memory that still wait on a day, and their days: the first that
        has an id is the latest. They hold what is put later, too.
        """
        days = range(today, self.oldest(today) - 1, -1)
        return [
            (day, known)
            for day in days
            for known in (self._changes_of(day), self.found.get(day))
            if known is not None
        ]

    def find(self, digest: bytes, today: int) -> tuple[int, Waiting] | None:
        """Find the latest prediction of an id, and its day."""
        for day, known in self.layers(today):
            if digest in known:
                return day, known[digest]
        return None

    def _changes_of(self, day: int) -> dict[bytes, Waiting] | None:
        """Return the changes of a day, made if absent; None if nothing waits or waited."""
        if day in self.days or day in self.found:
            return self.changes.setdefault(day, {})
        return self.changes.get(day)

    def hold(self, digest: bytes, early: Early) -> None:
        """Keep an early label."""
        self.early[digest] = early
        self.early_changes.setdefault(early.day, {})[digest] = early

    def release(self, digest: bytes) -> Early | None:
        """Take out the early label of an id, if there is one."""
        early = self.early.pop(digest, None)
        if early is not None:
            self.early_changes.setdefault(early.day, {})[digest] = None
        return early

    def written(self) -> None:
        """Note that the changes are committed."""
        self.changes, self.early_changes, self.gone = {}, {}, []

    def forget(self, today: int, counts: LabelCounts) -> None:
        """Drop the days that no later entry needs: entry ids only grow."""
        if today <= self._today:
            return
        self._today, oldest = today, self.oldest(today)
        late = {digest: early.day for digest, early in self.early.items() if early.day < oldest}
        for digest in late:
            del self.early[digest]
        counts.unknown += len(late)
        for day in sorted(
            {
                day
                for days in (self.days, self.early_changes, late.values())
                for day in days
                if day < oldest
            }
        ):
            left = self.days.pop(day, Day())
            counts.unlabelled += left.predictions - left.labelled
            self.changes.pop(day, None)
            self.early_changes.pop(day, None)
            self.gone.append(day)


def is_expired(prediction_id: str, oldest: int) -> bool:
    """Return whether an id was made before a day: those that the API makes say when (UUID version
    7).

    Examples
    --------
    >>> is_expired("0190f0a0-0000-7000-8000-000000000000", 20_000), is_expired("order 12", 20_000)
    (True, False)
    """
    if len(prediction_id) != 36 or prediction_id[14] != "7":
        return False
    try:
        made = int(prediction_id[:8] + prediction_id[9:13], 16)
    except ValueError:
        return False
    return made // DAY_MS < oldest
