"""Drift of the target: compares the labels of the labelled window with those of the labelled
reference rows, like a column.

The distribution of the true values has changed since the model was made. That is not an error of
the model by itself, so it is at most a WARNING, and a fall of the performance inhibits it. It is
judged by the same rule as a column, a PSI significantly above its floor, and counts as one more
column in the budget of PSI.

If the prediction is ordered in time, so are the labels: then they are shown and not judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from driftgauge.consumer.judging.evaluating.budget import Levels
from driftgauge.consumer.judging.evaluating.category_names import vanished
from driftgauge.consumer.judging.evaluating.histogram import (
    display_histogram,
    quantiles,
    reference_quantiles,
)
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import FeatureReport, Share
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.profile import CategoricalReference
from driftgauge.shared.statistics import ColumnCounts, ReferenceSide, statistics_of
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
    """

    window: LabelledWindow
    reference: ReferenceSide
    level: Levels
    policy: JudgingPolicy
    excluded: str = ""

    @classmethod
    def of(
        cls, version: JudgedVersion, window: LabelledWindow, level: Levels, policy: JudgingPolicy
    ) -> "Target | None":
        """Return the labels of a version's window; None if its reference has no labels."""
        if version.target is None:
            return None
        return cls(window, version.target, level, policy, version.target_excluded)

    @cached_property
    def counts(self) -> ColumnCounts:
        cells = (
            self.window.labels
            if self.window.labels is not None
            else np.zeros_like(self.reference.cells)
        )
        return ColumnCounts(self.reference.column, cells, self.reference)

    @property
    def lacking(self) -> str:
        """Why there are too few labels to judge; empty if there are enough."""
        if self.counts.n < self.policy.min_reference_rows:
            return f"{self.counts.n} of {self.policy.min_reference_rows} labelled reference rows"
        if self.counts.m < self.policy.min_window_rows:
            return f"{self.counts.m} of {self.policy.min_window_rows} labelled predictions"
        return ""

    @property
    def is_judged(self) -> bool:
        """Whether the labels are judged and there are enough of them."""
        return not self.excluded and not self.lacking

    @cached_property
    def value(self) -> float:
        """PSI of the labels."""
        return population_stability(*self.counts.bins)

    @cached_property
    def threshold(self) -> float:
        """The PSI threshold above which the true PSI is significantly above the floor; with the
        classic policy the floor itself.
        """
        if self.policy.kind == "classic":
            return self.policy.psi_warning
        bins = len(self.counts.bins[0])
        return threshold(
            self.policy.psi_warning, self.level.psi, bins, self.counts.n, self.counts.m
        )

    @property
    def rule(self) -> str:
        """Name of the rule, the same as for columns."""
        return "classic.psi" if self.policy.kind == "classic" else PSI

    def readings(self) -> Iterator[tuple[str, Reading, Evidence]]:
        """Yield the reading of the rule, if the labels are judged."""
        if not self.is_judged:
            return
        bad = self.value > self.threshold
        summary = (
            f"PSI of the labels {self.value:.3f} is {'above' if bad else 'not above'} "
            f"{self.threshold:.3f}"
        )
        summary += f", {self.counts.m:,} labelled predictions"
        quiet = self.value < self.policy.resolve_below * self.threshold
        expected = (len(self.counts.bins[0]) - 1) * (1 / self.counts.n + 1 / self.counts.m)
        yield (
            self.rule,
            Reading("warning" if bad else None, quiet=quiet, summary=summary),
            Evidence(PSI, self.value, self.threshold, expected),
        )

    def report(self) -> FeatureReport:
        """Report the labels as a column is."""
        severity, reason = self._conclusion()
        statistics = statistics_of(self.counts)
        if self.is_judged:
            limit = self.threshold
            statistics = [
                msgspec.structs.replace(one, warning=limit) if one.name == PSI else one
                for one in statistics
            ]
        return FeatureReport(
            name=LABEL,
            kind="numeric" if self.counts.is_numeric else "categorical",
            severity=severity,
            reason=reason,
            statistics=statistics,
            shares=[self._unknown()],
            histogram=display_histogram(self.counts),
            reference_quantiles=reference_quantiles(self.reference),
            window_quantiles=quantiles(self.reference, self.counts.window),
            vanished=vanished(self.counts),
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
