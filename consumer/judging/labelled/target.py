"""Drift of the target: compares the labels of the labelled window with those of the labelled
reference rows, like a column.

The distribution of the true values has changed since the model was made. That is not an error of
the model by itself, so it is at most a WARNING, and a fall of the performance inhibits it. It is
judged by the same rule as a column, a PSI significantly above its floor, and counts as one more
column in the budget of PSI.

If the prediction is ordered in time, so are the labels: then they are shown and not judged.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftgauge.consumer.judging.evaluating.budget import Levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.labelled.late import Fall, Patience, with_days
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports.histogram import NO_BARS, reference_quantiles
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.judging.windows.labelled_days import DayTotal
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import FeatureReport, Share, Statistic
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.profile import CategoricalReference
from driftgauge.shared.statistics import ColumnCounts, ReferenceSide
from driftgauge.shared.statistics.psi import PSI, population_stability


@dataclass(frozen=True)
class Target:
    """The labels of a window with the reference and limits to judge them.

    Parameters
    ----------
    reference
        Reference of the labels.
    excluded
        Why they are shown and not judged; empty if they are judged.
    late
        Whether all labels of the window are of past days.
    fall
        The past days whose labels drifted; None without.
    unit
        Unit of the labels, as the schema has it.
    """

    window: LabelledWindow
    reference: ReferenceSide
    level: Levels
    policy: JudgingPolicy
    excluded: str = ""
    late: bool = False
    fall: Fall | None = None
    unit: str = ""

    @classmethod
    def of(cls, version: JudgedVersion, labelled: Labelled) -> "Target | None":
        """Return the labels of a version's window; None if its reference has no labels."""
        if version.target is None:
            return None
        return cls(
            labelled.window,
            version.target,
            labelled.level,
            labelled.policy,
            version.target_excluded,
            labelled.late,
            labelled.falls.get(LABEL),
            version.schema.unit,
        )

    @cached_property
    def counts(self) -> ColumnCounts:
        cells = (
            self.window.labels
            if self.window.labels is not None
            else np.zeros_like(self.reference.cells)
        )
        return ColumnCounts(self.reference.column, cells, self.reference)

    @property
    def rows(self) -> int:
        """Labels of the window."""
        return int(self.counts.m)

    @property
    def lacking(self) -> str:
        """Why there are too few labels to judge; empty if there are enough."""
        if self.counts.n < self.policy.min_reference_rows:
            return f"{self.counts.n} of {self.policy.min_reference_rows} labelled reference rows"
        if self.rows < self.policy.min_window_rows:
            return f"{self.rows} of {self.policy.min_window_rows} labelled predictions"
        return ""

    @property
    def is_judged(self) -> bool:
        """Whether the labels are judged and there are enough of them."""
        return not self.excluded and not self.lacking

    @cached_property
    def value(self) -> float:
        """PSI of the labels."""
        return float(population_stability(*self.counts.bins))

    @cached_property
    def threshold(self) -> float:
        """The PSI threshold above which the true PSI is significantly above the floor; with the
        classic policy the floor itself.
        """
        if self.policy.kind == "classic":
            return self.policy.psi_warning
        bins = len(self.counts.bins[0])
        return threshold(self.policy.psi_warning, self.level.target, bins, self.counts.n, self.rows)

    @property
    def rule(self) -> str:
        """Name of the rule, the same as for columns."""
        return "classic.psi" if self.policy.kind == "classic" else PSI

    def readings(self) -> Iterator[tuple[str, Reading, Evidence]]:
        """Yield the reading of the rule, if the labels are judged."""
        if not self.is_judged:
            if self.fall is not None and self.fall.news:
                yield self.rule, *self._fallen(self.fall)
            return
        bad = self.value > self.threshold
        summary = (
            f"PSI of the labels {self.value:.3f} is {'above' if bad else 'not above'} "
            f"{self.threshold:.3f}"
        )
        summary += f", {self.rows:,} labelled predictions"
        quiet = self.value < self.policy.resolve_below * self.threshold
        expected = (len(self.counts.bins[0]) - 1) * (1 / self.counts.n + 1 / self.rows)
        yield (
            self.rule,
            *with_days(
                Reading("warning" if bad else None, quiet=quiet, summary=summary),
                Evidence(PSI, self.value, self.threshold, expected),
                self.fall,
                late=self.late,
                fallen=self._fallen,
            ),
        )

    def _fallen(self, fall: Fall) -> tuple[Reading, Evidence]:
        """Tell of past days on which the labels drifted, at once."""
        counts = _counts(self.reference, fall.total)
        value, rows = float(population_stability(*counts.bins)), int(counts.m)
        text = f"PSI of the labels {value:.3f}, {rows:,} labelled predictions {fall.when()}"
        reading = Reading(
            "warning", quiet=False, summary=text, at_once=True, quiet_days=1, since=fall.start
        )
        return reading, Evidence(PSI, value, None, None, m=rows, start=fall.start, end=fall.end)

    def draft(self) -> FeatureReport:
        """Report the labels as a column is, without the numbers that hang on their counts alone
        (`reports.column_report.with_numbers`).
        """
        severity, reason = self._conclusion()
        limit = self.threshold if self.is_judged else None
        return FeatureReport(
            name=LABEL,
            kind="numeric" if self.counts.is_numeric else "categorical",
            severity=severity,
            reason=reason,
            statistics=[Statistic(PSI, None, warning=limit)],
            shares=[self._unknown()],
            histogram=NO_BARS,
            reference_quantiles=reference_quantiles(self.reference),
            window_quantiles=[],
            unit=self.unit,
        )

    def _conclusion(self) -> tuple[Severity, str]:
        if self.excluded:
            return "excluded", self.excluded
        if self.lacking:
            return "insufficient_data", self.lacking
        bad = next((reading.summary for _, reading, _ in self.readings() if reading.severity), "")
        return ("warning", bad) if bad else ("ok", "")

    def _unknown(self) -> Share:
        """Return the share of labels that the reference does not have, or that are out of its
        range; it is not tested.
        """
        reference, window = self.counts.reference_cells, self.counts.window
        column = self.reference.column
        cells = (
            [*range(column.unseen, column.missing)]
            if isinstance(column, CategoricalReference)
            else [0, len(window) - 2]
        )
        before, now = (
            float(counts[cells].sum() / max(counts.sum(), 1)) for counts in (reference, window)
        )
        return Share("out_of_range" if self.counts.is_numeric else "unseen", before, now)


@dataclass(frozen=True)
class LabelsDrifted:
    """The question whether the labels of past days drifted from those of the reference (late.py).

    Between two numbers of labels the limit is that of the larger one, widened as an interval is:
    with m labels the squared distance may be as large as with m / widened^2 ones.

    Parameters
    ----------
    level
        Of one day.
    """

    reference: ReferenceSide
    level: float
    policy: JudgingPolicy

    @property
    def subjects(self) -> Collection[str]:
        return (LABEL,)

    @property
    def least(self) -> int:
        return self.policy.min_window_rows

    def rows(self, total: DayTotal) -> int:
        return total.label_rows

    def bad(self, total: DayTotal) -> Collection[str]:
        counts = _counts(self.reference, total)
        value = float(population_stability(*counts.bins))
        return self.subjects if value > self._limit(counts) else ()

    def _limit(self, counts: ColumnCounts) -> float:
        if self.policy.kind == "classic":
            return self.policy.psi_warning
        labels = int(counts.m)
        patience = Patience.after(labels, self.least, self.level)
        level, rows = (1 - patience.confidence.level) / 2, labels / patience.widened**2
        bins = len(counts.bins[0])
        return threshold(self.policy.psi_warning, level, bins, counts.n, rows)


def _counts(reference: ReferenceSide, total: DayTotal) -> ColumnCounts:
    cells = total.labels if total.labels is not None else np.zeros_like(reference.cells)
    return ColumnCounts(reference.column, cells, reference)
