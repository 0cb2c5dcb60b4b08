"""The last 7 whole days of a version, by which its ordered columns are judged, once a day."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftgauge.consumer.judging.evaluating.budget import DAYS_PER_MONTH
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.ordered.day_bins import LEAST_ROWS, WEEK
from driftgauge.consumer.judging.ordered.week import VersionDays
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.statistics.psi import PSI


@dataclass(eq=False)
class LastWeek:
    """The days, held against the reference's. They are the same at every pane of a day, so they are
    kept as long as nothing changes (`holds`).

    Parameters
    ----------
    days
        Whole days of the version; None without such columns or days.
    """

    version: JudgedVersion
    policy: JudgingPolicy
    days: VersionDays | None

    def __post_init__(self) -> None:
        self._counts = self._counted()
        self.lacking_days = self._lacking_days()

    def holds(self, version: JudgedVersion, days: VersionDays | None) -> bool:
        """Return whether it is still that of a version and its days."""
        return self.version is version and self.days is days and self._counted() is self._counts

    def _counted(self) -> Ints | None:
        """Return the rows of the days' bins: the same array until a day changes."""
        reference = self.version.week
        if self.days is None or reference is None:
            return None
        return self.days.last_week(reference.size)

    def _lacking_days(self) -> str:
        """Say why there are too few days to judge ordered columns; empty if there are enough."""
        whole = self.days.whole if self.days is not None else 0
        if whole < WEEK:
            return f"ordered in time: {whole} of {WEEK} whole days"
        seen, least = (
            (self.days.seen if self.days else 0),
            (self.version.week.least_days if self.version.week else WEEK),
        )
        return (
            ""
            if seen >= least
            else f"ordered in time: rows on {seen} of the last {WEEK} days, "
            f"the reference has {least}"
        )

    @cached_property
    def lacking(self) -> dict[int, str]:
        """What the judgement of each ordered column needs and does not have; empty if it has
        enough.
        """
        ordered, reference = self.version.ordered, self.version.week
        if self.lacking_days or reference is None:
            return dict.fromkeys(ordered, self.lacking_days)
        if reference.usual_rows < LEAST_ROWS:
            few = (
                f"ordered in time: the reference has {reference.usual_rows} rows in {WEEK} days, "
                f"{LEAST_ROWS} are needed"
            )
            return dict.fromkeys(ordered, few)
        one_bin = f"ordered in time: {WEEK} days have too few rows beside its commonest values"
        few = f"ordered in time: {self.rows} of {LEAST_ROWS} rows in the last {WEEK} days"
        enough, sizes = self.rows >= LEAST_ROWS, reference.bins.sizes.tolist()
        return {
            column: one_bin if sizes[column] < 2 else "" if enough else few for column in ordered
        }

    @cached_property
    def rows(self) -> int:
        """Rows of the days."""
        reference = self.version.week
        if reference is None or self._counts is None:
            return 0
        return reference.bins.rows(self._counts)

    @cached_property
    def psi(self) -> Floats:
        """PSI of every column over the days."""
        reference = self.version.week
        if self.days is None or reference is None or self.lacking_days:
            return np.zeros(len(self.version.reference.columns))
        return self.days.week_psi(reference)

    @cached_property
    def threshold(self) -> dict[int, float]:
        """The PSI that is an alarm, of each ordered column."""
        return {column: self._threshold(column) for column in self.version.ordered}

    def _threshold(self, column: int) -> float:
        """Return the replayed threshold, but at least the closed form for the number of rows."""
        reference, found = self.version.week, self.version.calibrated(column)
        if reference is None or found is None or found.threshold is None:
            return float("inf")
        bins = int(reference.bins.sizes[column])
        tests = DAYS_PER_MONTH * max(len(self.version.ordered), 1)
        alpha = min(self.policy.psi_share * self.policy.false_alarms_per_month / tests, 0.5)
        return max(
            found.threshold,
            threshold(0.0, alpha, bins, max(reference.rows, 1), max(self.rows, 1)),
        )

    def critical(self, column: int) -> float:
        """Return the PSI that is critical: the threshold times the ratio of the two floors."""
        return self.threshold[column] * self.policy.psi_critical / self.policy.psi_warning

    def expected(self, column: int) -> float | None:
        """Return the PSI that is usual in the reference's own weeks, if it is known."""
        found = self.version.calibrated(column)
        return found.expected if found is not None else None

    def readings(self, *, labels_tell: bool) -> dict[int, tuple[Reading, Evidence]]:
        """Return the readings of the ordered columns that have enough days; with labels that tell
        how well the model performs none is critical.
        """
        if labels_tell not in self._readings:
            self._readings[labels_tell] = {
                column: self._reading(column, labels_tell=labels_tell)
                for column, lacking in self.lacking.items()
                if not lacking
            }
        return self._readings[labels_tell]

    @cached_property
    def _readings(self) -> dict[bool, dict[int, tuple[Reading, Evidence]]]:
        return {}

    def _reading(self, column: int, *, labels_tell: bool) -> tuple[Reading, Evidence]:
        value, bound = float(self.psi[column]), self.threshold[column]
        severity: AlertSeverity | None = None
        if value > bound:
            severity = (
                "critical" if value > self.critical(column) and not labels_tell else "warning"
            )
        expected = self.expected(column)
        side = "above" if severity else "not above"
        summary = (
            f"PSI of the last {WEEK} days {value:.3f} is {side} {bound:.3f}, usual is "
            f"{expected or 0.0:.3f}"
        )
        quiet = value < self.policy.resolve_below * bound
        # only after a week does a window hold no row of this one: until then its quiet is no news,
        # nor is its alarm
        reading = Reading(
            severity,
            quiet=quiet,
            summary=summary,
            at_once=True,
            quiet_days=WEEK - 1,
            rest_days=WEEK,
        )
        return reading, Evidence(PSI, value, bound, expected)
