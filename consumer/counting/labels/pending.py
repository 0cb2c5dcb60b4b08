"""What waits in counting: predictions for their label, and labels that came before their
prediction.

Both are kept by days of entry time: what came on day D is known to labels until day D + `wait_days`
ends, whatever the clocks do and however the log was cut into batches. Predictions stand in a hash
per day in Redis; of those only what a batch asks for is in memory, and what was not committed yet.
Early labels are few, so all of them are in memory too. A digest stands for an id, however long.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.shared.contract.counters import LabelCounts

EARLY_MOST = 100_000
"""Early labels that are kept per partition, in memory and in Redis: labels for ids that nobody ever
predicted are among them, so they must be bounded by themselves.
"""
Truth = float | str


class Waiting(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A prediction that waits for its label, or has it and may be corrected.

    Parameters
    ----------
    pane
        Number of the pane that it is in.
    time
        When it was made (ms).
    label
        As it is known now.
    segments
        One byte each (`SegmentLayout.packed`); empty for a version without segments.
    """

    pane: int
    version: str
    time: int
    prediction: Truth
    probabilities: list[float] | None = None
    label: Truth | None = None
    segments: bytes = b""


class Early(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A label whose prediction has not come, and the day of entry time on which it came itself."""

    label: Truth
    time: int
    day: int


class Day(msgspec.Struct, array_like=True):
    """How many predictions of a day were put to wait, and how many of them have got a label."""

    predictions: int = 0
    labelled: int = 0


@dataclass(slots=True)
class Pending:
    """What waits, and what is to be written of it.

    Parameters
    ----------
    wait_days
        Whole days (of 24 h) that something waits after its own.
    days
        By day (Unix ms // 86,400,000).
    early
        By digest of the prediction's id.
    found
        What a batch's labels ask for, as it stands committed, by day and digest: to be set before
        each batch.
    changes
        Predictions to write, by day and digest, since the last commit.
    early_changes
        Early labels to write, by day and digest, since the last commit; None is one to delete.
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
        """Predictions that are kept."""
        return sum(day.predictions for day in self.days.values())

    def oldest(self, day: int) -> int:
        """Return the first day that is known on a day."""
        return day - self.wait_days

    def day(self, day: int) -> Day:
        """Return the counts of a day, made if absent."""
        found = self.days.get(day)
        if found is None:
            found = self.days[day] = Day()
        return found

    def put(self, day: int, digest: bytes, waiting: Waiting) -> None:
        """Let a prediction wait, or write what has become of it."""
        self.changes.setdefault(day, {})[digest] = waiting

    def put_all(self, day: int, pairs: Iterable[tuple[bytes, Waiting]]) -> None:
        """Let predictions wait."""
        self.changes.setdefault(day, {}).update(pairs)

    def find(self, digest: bytes, today: int) -> tuple[int, Waiting] | None:
        """Find the latest prediction of an id, and its day."""
        for day in range(today, self.oldest(today) - 1, -1):
            waiting = self.changes.get(day, {}).get(digest) or self.found.get(day, {}).get(digest)
            if waiting is not None:
                return day, waiting
        return None

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
        """Drop the days that no later entry asks for: entry ids only grow."""
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
