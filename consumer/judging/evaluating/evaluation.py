"""The evaluation of a window: PSI and integrity of all columns at once.

It runs at each pane, so it computes only what the rules need, vectorised over the columns. All
statistics and histograms of a column are computed only for a snapshot.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from driftgauge.consumer.judging.evaluating import integrity
from driftgauge.consumer.judging.evaluating.budget import Levels
from driftgauge.consumer.judging.evaluating.integrity import IntegrityCheck
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.last_week import LastWeek
from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.consumer.judging.ordered.week import VersionDays
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.severity import AlertSeverity, rank
from driftgauge.shared.contract.snapshot import Share
from driftgauge.shared.rules.drift import PSI_WEEK
from driftgauge.shared.statistics.psi import PSI
from driftgauge.shared.wording.numbers import percent
from driftgauge.shared.wording.titles import title

ColumnReading = tuple[int, str, Reading, Evidence]
"""Column, rule, and what it reads there."""
NOT_THIS_RULE = "a new calibration judges this column by another rule"


@dataclass(frozen=True)
class Evaluation:
    """PSI, integrity tests and readings of a window.

    Parameters
    ----------
    version
        The version whose window it is.
    cells, rows
        Counts of the window over all cells of the reference, and its rows.
    level
        Significance levels of the tests.
    policy
        Policy of judging.
    days
        Whole days of the version's ordered columns; None without such columns or days.
    labels_tell
        Whether fresh labels show how well the model performs. Then input drift is at most a
        WARNING, and only a fall of the performance is critical.
    known_week
        The last 7 of these days, if they were judged before.
    """

    version: JudgedVersion
    cells: Ints
    rows: int
    level: Levels
    policy: JudgingPolicy
    days: VersionDays | None = None
    labels_tell: bool = False
    known_week: LastWeek | None = None

    @cached_property
    def lacking(self) -> str:
        """Why there are too few rows for PSI; empty if there are enough."""
        n = self.version.reference.rows
        if n < self.policy.min_reference_rows:
            return f"{n} of {self.policy.min_reference_rows} reference rows"
        if self.rows < self.policy.min_window_rows:
            return f"{self.rows} of {self.policy.min_window_rows} window rows"
        return ""

    @cached_property
    def psi(self) -> Floats:
        """PSI of every column, shape (columns,); NaN with too few rows."""
        if self.lacking:
            return np.full(len(self.version.reference.columns), np.nan)
        return self.version.bins_for(self.rows).psi(self.cells, self.rows)

    @cached_property
    def part_psi(self) -> dict[int, float]:
        """The PSI of the part of a column that is judged by itself, of every exchangeable column
        that has one (`JudgedVersion.parts`).
        """
        if self.lacking:
            return {}
        return {
            column: part.psi(self.cells, self.rows)
            for column, part in self.version.parts.items()
            if self.version.is_exchangeable(column)
        }

    def psi_threshold(self, column: int, floor: float, rows: int | None = None) -> float:
        """Return the PSI threshold above which the true PSI is significantly larger than
        `floor`; `rows` are those of the window that are judged, all by default.
        """
        m = self.rows if rows is None else rows
        bins = int(self.version.bins_for(m).sizes[column])
        return threshold(floor, self._psi_level(column), bins, self.version.reference.rows, m)

    def part_threshold(self, column: int, floor: float) -> float:
        """Return the same of the column's part."""
        level = self._psi_level(column)
        return self.version.parts[column].threshold(floor, level, self.cells, self.rows)

    def _psi_level(self, column: int) -> float:
        """Return the significance of one test: a column with a part has two of them."""
        return self.level.psi / 2 if column in self.version.parts else self.level.psi

    def psi_quiet(self, column: int) -> bool:
        """Return whether PSI is well below its threshold, or there is none."""
        if not self.version.is_exchangeable(column):
            return True
        if self.lacking:
            return True
        share, floor = self.policy.resolve_below, self.policy.psi_warning
        if self.psi[column] >= share * self.psi_threshold(column, floor):
            return False
        value = self.part_psi.get(column, 0.0)
        if value and not self.version.parts[column].may_be_critical:
            floor = self.policy.psi_critical
        return not value or value < share * self.part_threshold(column, floor)

    def readings(self, watching: set[tuple[int, str]]) -> Iterator[ColumnReading]:
        """Yield the bad readings, and those of every column and rule with an open alert.

        Parameters
        ----------
        watching
            (column, rule) of the open alerts.
        """
        yield from self._of_window(watching) if watching else self._bad
        if self.days is not None and self.days.due:
            yield from _told(self.weekly_readings(watching), watching)

    def _of_window(self, watching: set[tuple[int, str]]) -> Iterator[ColumnReading]:
        """Yield those of the window."""
        yield from _told(self._integrity_readings(watching), watching)
        yield from _told(self._psi_readings(watching), watching)

    @cached_property
    def _bad(self) -> list[ColumnReading]:
        """The bad readings of the window, which alerts and reports ask for."""
        return [*self._of_window(set())]

    def _integrity_readings(self, watching: set[tuple[int, str]]) -> Iterator[ColumnReading]:
        """Test the shares that are above their mean, which are few: the others cannot be
        significant.
        """
        counts, means = self.version.bad_counts(self.cells)
        high = counts > means * self.rows
        if not watching and not high.any():
            return
        for check, count, above in zip(
            self.version.checks, counts.tolist(), high.tolist(), strict=True
        ):
            if above or (check.column, check.rule) in watching:
                yield check.column, check.rule, *self._integrity(check, count)

    def _psi_readings(self, watching: set[tuple[int, str]]) -> Iterator[ColumnReading]:
        """Judge the columns whose PSI is above the floor; a PSI below it is never an alarm."""
        if self.lacking:
            return
        floor = self.policy.psi_warning
        high = (self.psi > floor).tolist()
        for column, value in self.part_psi.items():
            high[column] = high[column] or value > floor
        for column in self.version.watched:
            if not self.version.is_exchangeable(column):
                if (column, PSI) in watching:
                    yield (
                        column,
                        PSI,
                        Reading(None, quiet=True, summary=NOT_THIS_RULE, over=True),
                        Evidence(PSI, 0.0, None, None),
                    )
            elif high[column] or (column, PSI) in watching:
                yield column, PSI, *self._psi(column)

    @cached_property
    def week(self) -> LastWeek:
        """The last 7 whole days of the ordered columns."""
        return self.known_week or LastWeek(self.version, self.policy, self.days)

    @cached_property
    def judged_psi(self) -> Floats:
        """The PSI that each column is judged by: of the window, or of whole days for ordered
        columns; NaN without enough data.
        """
        columns = len(self.version.reference.columns)
        found = np.full(columns, np.nan) if self.lacking else self.psi.copy()
        for column, lacking in self.week.lacking.items():
            found[column] = np.nan if lacking else self.week.psi[column]
        return found

    def weekly_readings(self, watching: set[tuple[int, str]]) -> Iterator[ColumnReading]:
        """Judge the ordered columns on the last 7 whole days; an alert of a column that is no
        longer ordered gets a quiet reading.
        """
        readings = self.week.readings(labels_tell=self.labels_tell)
        for column in self.version.watched:
            if column in readings:
                yield column, PSI_WEEK.name, *readings[column]
            elif (column, PSI_WEEK.name) in watching and column not in self.version.ordered:
                yield (
                    column,
                    PSI_WEEK.name,
                    Reading(None, quiet=True, summary=NOT_THIS_RULE, over=True),
                    Evidence(PSI, 0.0, None, None),
                )

    @cached_property
    def shares(self) -> dict[int, list[Share]]:
        """The tested shares of the columns that have some, for their reports."""
        found: dict[int, list[Share]] = {}
        if not self.rows:
            return found
        counts = self.version.bad_counts(self.cells)[0].tolist()
        for check, count in zip(self.version.checks, counts, strict=True):
            share = integrity.tested(check.rule, count, self.rows, check.law, check.reference)
            found.setdefault(check.column, []).append(share)
        return found

    def _integrity(self, check: IntegrityCheck, count: int) -> tuple[Reading, Evidence]:
        """Test a share; at or below its mean the tail need not be computed."""
        window = count / max(self.rows, 1)
        summary = f"{percent(window)} {title(check.rule)}, usually {percent(check.reference)}"
        if window <= check.mean:
            quiet = Reading(
                None, quiet=True, summary=summary, quiet_days=self._quiet_days(check.column)
            )
            return quiet, Evidence(f"{check.rule}_share", window, None, check.reference)
        limit = integrity.limit(check.law, self.rows, self.level.integrity)
        usual = check.mean * self.rows
        reading = Reading(
            "critical" if count >= limit else None,
            quiet=count - usual < self.policy.resolve_below * (limit - usual),
            summary=summary,
            quiet_days=self._quiet_days(check.column),
        )
        return reading, Evidence(f"{check.rule}_share", window, limit / self.rows, check.reference)

    def _quiet_days(self, column: int) -> int:
        """Return the days for which an ordered column must be quiet: until its window holds no row
        of the last window that was not.
        """
        return 0 if self.version.is_exchangeable(column) else WEEK - 1

    def _psi(self, column: int) -> tuple[Reading, Evidence]:
        """Alarm when PSI, over the bins or of the part that is judged by itself, is above its floor
        by more than chance explains.
        """
        bins = int(self.version.bins_for(self.rows).sizes[column])
        expected = (bins - 1) * (1 / self.version.reference.rows + 1 / self.rows)
        severity, summary, evidence = self._judged(
            PSI.upper(), float(self.psi[column]), partial(self.psi_threshold, column), expected
        )
        if column in self.part_psi:
            part, limit = self.version.parts[column], partial(self.part_threshold, column)
            if part.may_be_critical:
                found = self._judged(part.words, self.part_psi[column], limit, 0.0)
            else:
                found = self._warned(part.words, self.part_psi[column], limit)
            if rank(found[0] or "") < rank(severity or ""):
                severity, summary, evidence = found
        return Reading(severity, quiet=self.psi_quiet(column), summary=summary), evidence

    def _warned(
        self, name: str, value: float, limit: Callable[[float], float]
    ) -> tuple[AlertSeverity | None, str, Evidence]:
        """Hold a PSI that is at most a WARNING against the limit of the critical floor."""
        floor = self.policy.psi_critical
        bound = limit(floor)
        summary = f"{name} {value:.3f} is above {bound:.3f}: more than {floor:g}, and not by chance"
        if value <= bound:
            return (
                None,
                f"{name} {value:.3f} is not above {bound:.3f}",
                Evidence(PSI, value, bound, 0.0),
            )
        return "warning", summary, Evidence(PSI, value, bound, 0.0)

    def _judged(
        self, name: str, value: float, limit: Callable[[float], float], expected: float
    ) -> tuple[AlertSeverity | None, str, Evidence]:
        """Hold a PSI against the limits of both floors; give severity, summary and evidence."""
        policy = self.policy
        warning, critical = limit(policy.psi_warning), limit(policy.psi_critical)
        severity: AlertSeverity | None = (
            "critical" if value > critical else "warning" if value > warning else None
        )
        if severity is not None and self.labels_tell:
            severity = "warning"
        floor, bound = (
            (policy.psi_critical, critical)
            if severity == "critical"
            else (policy.psi_warning, warning)
        )
        summary = f"{name} {value:.3f} is above {bound:.3f}: more than {floor:g}, and not by chance"
        if severity is None:
            summary = f"{name} {value:.3f} is not above {bound:.3f}"
        return severity, summary, Evidence(PSI, value, bound, expected)


def _told(
    found: Iterable[ColumnReading], watching: set[tuple[int, str]]
) -> Iterator[ColumnReading]:
    """Yield the bad ones, and those of open alerts."""
    for one in found:
        if one[2].severity is not None or one[:2] in watching:
            yield one
