"""The last whole logical days of a version, for its ordered columns: kept as sums of panes,
evaluated at each midnight.

Panes close at logical midnight, so a day is a sum of panes. The day of the first pane is incomplete
and does not count. In judging's checkpoint each day has a field, `day:VERSION:DAY`, beside
`week:VERSION`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from driftgauge.consumer.judging.ordered.day_bins import WEEK, DayBins, week_rows
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.pane import pack_counts, unpack_counts
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import ReferenceProfile

DAY_MS = 86_400_000
REMEMBERED = 30
"""Number of latest evaluations for which it is stored whether a column was in alarm."""
OFFER_ABOVE = 0.3
"""Share of them in alarm above which accepting a new reference is recommended."""


class WeekProgress(msgspec.Struct):
    """Progress of a version's days, beside their counts.

    Parameters
    ----------
    first
        Day of the first pane.
    today
        The latest day that has begun.
    alarms
        Whether each of the last evaluations was in alarm, oldest first.
    """

    first: int
    today: int
    alarms: list[bool] = []


@dataclass(slots=True)
class VersionDays:
    """The days of one version.

    Parameters
    ----------
    progress
        Progress of the days.
    days
        Counts of the reference's bins by day (days since 1970); at most 9 days.
    due
        Whether the last pane began a day, so that the days before it are to be evaluated.
    """

    progress: WeekProgress
    days: dict[int, Ints] = field(default_factory=dict)
    due: bool = False
    _week: Ints | None = None
    _psi: tuple["WeekReference", Floats] | None = None
    """Cache of the PSI of the last 7 whole days until one of them changes, since it is needed at
    each pane.
    """

    def add(self, day: int, counts: Ints) -> list[int]:
        """Add a pane's counts to its day; return the days that are not needed any more.

        A pane of an earlier day that comes late still counts there, as long as that day is kept.
        """
        progress = self.progress
        self.due = day > progress.today
        if day != progress.today:
            self._week = self._psi = None
        progress.today = max(progress.today, day)
        kept = self.days.get(day)
        self.days[day] = counts if kept is None else kept + counts
        old = [known for known in self.days if known < progress.today - WEEK]
        for known in old:
            del self.days[known]
        return old

    @property
    def whole(self) -> int:
        """Number of whole days among the last 7."""
        return max(0, min(WEEK, self.progress.today - self.progress.first - 1))

    @property
    def seen(self) -> int:
        """Number of days with rows among the last 7."""
        return sum(self.progress.today - WEEK <= day < self.progress.today for day in self.days)

    def last_week(self, size: int) -> Ints:
        """Sum the last 7 days before today; `size` is the number of bins."""
        if self._week is None:
            days = range(self.progress.today - WEEK, self.progress.today)
            found = [counts for day, counts in self.days.items() if day in days]
            self._week = (
                np.sum(found, axis=0, dtype=np.int64) if found else np.zeros(size, dtype=np.int64)
            )
        return self._week

    def week_psi(self, reference: "WeekReference") -> Floats:
        """Return the PSI of every column over the last 7 whole days."""
        if self._psi is None or self._psi[0] is not reference:
            self._psi = reference, reference.psi(self.last_week(reference.size))
        return self._psi[1]

    def note(self, *, in_alarm: bool) -> None:
        """Remember an evaluation."""
        self.progress.alarms = [*self.progress.alarms[1 - REMEMBERED :], in_alarm]

    @property
    def offers_reference(self) -> bool:
        """Whether so much of the last 30 days was in alarm that the reference no longer describes
        the process.
        """
        alarms = self.progress.alarms
        return len(alarms) == REMEMBERED and sum(alarms) > OFFER_ABOVE * REMEMBERED


def pack_day(counts: Ints) -> bytes:
    """Pack a day for the checkpoint."""
    return pack_counts(counts)


def unpack_days(fields: Mapping[bytes, bytes]) -> dict[str, VersionDays]:
    """Read the days of all versions from a checkpoint's fields."""
    found = {
        name.decode().split(":")[1]: VersionDays(msgspec.json.decode(packed, type=WeekProgress))
        for name, packed in fields.items()
        if name.startswith(b"week:")
    }
    for name, packed in fields.items():
        if name.startswith(b"day:"):
            _, version, day = name.decode().split(":")
            if version in found:
                found[version].days[int(day)] = unpack_counts(packed)
    return found


class WeekReference:
    """The reference with which the weeks of a version are compared.

    Parameters
    ----------
    profile
        Reference profile of the version.
    calibration
        Calibration with its timeline.

    Attributes
    ----------
    usual_rows
        Mean number of rows in 7 days.
    least_days
        Least number of days with rows in a week of the reference; a live week with fewer is not
        judged.
    rows
        Rows of the whole reference.
    """

    def __init__(self, profile: ReferenceProfile, calibration: Calibration) -> None:
        timeline = calibration.timeline
        self.usual_rows = week_rows(timeline)
        self.bins = DayBins.of(profile, self.usual_rows)
        self._totals = self.bins.pool(timeline.totals)
        by_week = timeline.counts[: WEEK * timeline.weeks].any(axis=1).reshape(-1, WEEK).sum(axis=1)
        self.least_days = max(int(by_week.min(initial=WEEK)), 1)
        self.rows = int(np.add.reduceat(self._totals, self.bins.starts).max(initial=0))

    @property
    def size(self) -> int:
        """Number of bins of a day."""
        return len(self.bins.pooled)

    def psi(self, counts: Ints) -> Floats:
        """Return the PSI of every column."""
        return self.bins.psi(self._totals, self.bins.pool(counts))
