"""Judges a labelled window against the version's baseline: is the model still right?

A metric is CRITICAL when it is worse than its baseline by more than the limit (accuracy and F1 down
by 5 %, MAE and RMSE up by 5 %) and its confidence interval, at the level that the false-alarm
budget leaves, excludes the baseline. The error of the baseline itself is in it: the interval of the
difference is MOVER's (Zou and Donner 2008, Stat. in Medicine 27, 1693-1702).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS, Levels
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.severity import AlertSeverity, Severity
from driftgauge.shared.contract.snapshot import Confusion, MetricReport, Performance
from driftgauge.shared.performance import (
    ASSUMPTION,
    LOSSES,
    Baseline,
    Confidence,
    Metric,
    PerformanceBaselines,
    Sums,
    confusion,
    definition,
    empty_counts,
    estimate,
    metrics,
)
from driftgauge.shared.wording.titles import title

SHOWN_CONFIDENCE: Final = 0.95
DELAYS: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Labelled:
    """A labelled window, and by what it is judged."""

    window: LabelledWindow
    baselines: PerformanceBaselines
    level: Levels
    policy: JudgingPolicy

    @property
    def lacking(self) -> str:
        """What a judgement needs and does not have; empty if it has enough."""
        least = self.policy.min_labelled_rows
        if self.window.labelled < least:
            return f"{self.window.labelled} of {least} labelled predictions"
        return ""

    @property
    def sums(self) -> Sums:
        return self.window.sums or Sums.zero(self.baselines.layout)

    def readings(self) -> Sequence[tuple[str, Reading, Evidence]]:
        """Return what the rule says of each metric that is judged and has a baseline; rules, alerts
        and reports ask for it.
        """
        return self._readings

    @cached_property
    def _readings(self) -> Sequence[tuple[str, Reading, Evidence]]:
        return tuple(self._judged())

    def _judged(self) -> Iterator[tuple[str, Reading, Evidence]]:
        if self.lacking:
            return
        sure = Confidence(1 - 2 * self.level.performance)
        judged = JUDGED_METRICS[self.baselines.layout.kind]
        for name, metric in metrics(self.sums, sure.level, judged).items():
            base = self.baselines.baseline(name)
            if base is not None and metric.value is not None:
                yield name, *judge(name, metric, base, sure, self.policy)

    def is_fresh(self, now: int, window_ms: int) -> bool:
        """Return whether labels tell about recent predictions: then it is they that page, and input
        drift explains.

        Parameters
        ----------
        now, window_ms
            Logical time, and the length of the drift window.
        """
        if self.lacking or not any(
            self.baselines.baseline(name) for name in JUDGED_METRICS[self.baselines.layout.kind]
        ):
            return False
        return self.window.latest_label >= now - window_ms - 2 * self.window.delay_ms(DELAYS[-1])


def judge(
    name: str, metric: Metric, base: Baseline, sure: Confidence, policy: JudgingPolicy
) -> tuple[Reading, Evidence]:
    """Judge a metric: worse by more than the limit, and not by chance."""
    assert metric.value is not None  # noqa: S101  its caller has looked
    towards = metric.low if name in LOSSES else metric.high
    own = abs(metric.value - towards) if towards is not None else np.inf
    margin = float(np.hypot(own, sure.z * base.error))
    worse = metric.value - base.value if name in LOSSES else base.value - metric.value
    floor = policy.performance_drop * abs(base.value)
    bad = worse > floor and worse > margin
    severity: AlertSeverity | None = "critical" if bad else None
    sign = 1 if name in LOSSES else -1
    limit = base.value + sign * max(floor, margin)
    change = f" ({(metric.value - base.value) / abs(base.value):+.1%})" if base.value else ""
    summary = (
        f"{title(name)} {metric.value:.4g}, baseline {base.value:.4g}{change}, {metric.n:,} "
        "labelled predictions"
    )
    quiet = worse < policy.resolve_below * max(floor, margin)
    shown = float(limit) if np.isfinite(limit) else None
    return Reading(severity, quiet=quiet, summary=summary), Evidence(
        name, metric.value, shown, base.value
    )


def report(
    labelled: Labelled | None, baselines: PerformanceBaselines | None, scores: Ints | None
) -> Performance | None:
    """Report a version's performance; None if neither labels nor probabilities can tell of it.

    Parameters
    ----------
    labelled
        None for a version without labels.
    scores
        Counts of the drift window for the estimates; None without.
    """
    estimated = _estimated(baselines, scores)
    if labelled is None:
        if not estimated:
            return None
        reason = "no labels: only an estimate"
        return Performance(
            "insufficient_data",
            reason,
            0,
            0,
            0,
            0,
            None,
            0,
            [],
            SHOWN_CONFIDENCE,
            [],
            None,
            estimated,
            ASSUMPTION,
        )
    window = labelled.window
    bad = {name: reading for name, reading, _ in labelled.readings() if reading.severity}
    severity: Severity = "insufficient_data" if labelled.lacking else "critical" if bad else "ok"
    return Performance(
        severity=severity,
        reason=labelled.lacking or "; ".join(reading.summary for reading in bad.values()),
        start=window.start,
        end=window.end,
        predictions=window.predictions,
        labelled=window.labelled,
        coverage=min(window.labelled / window.predictions, 1.0) if window.predictions else None,
        corrected=window.corrected,
        delays_ms=[window.delay_ms(share) for share in DELAYS] if window.delays.any() else [],
        confidence=SHOWN_CONFIDENCE,
        metrics=_reports(labelled, set(bad)),
        confusion=_confusion(labelled),
        estimated=estimated,
        assumption=ASSUMPTION if estimated else "",
    )


def _reports(labelled: Labelled, bad: set[str]) -> list[MetricReport]:
    """Report every metric, the judged ones first."""
    if not labelled.window.labelled:
        return []
    found = metrics(labelled.sums, SHOWN_CONFIDENCE)
    judged = JUDGED_METRICS[labelled.baselines.layout.kind]
    ordered = [
        *(name for name in judged if name in found),
        *(name for name in found if name not in judged),
    ]
    return [
        metric_report(
            name,
            found[name],
            labelled.baselines.baseline(name),
            "critical" if name in bad else "ok",
        )
        for name in ordered
    ]


def metric_report(
    name: str, metric: Metric, base: Baseline | None, severity: Severity
) -> MetricReport:
    """Report a metric beside its baseline."""
    change, meaning = None, definition(name)
    directed = meaning is None or meaning.better != "neither"
    if directed and base is not None and base.value and metric.value is not None:
        change = (metric.value - base.value) / abs(base.value) * (-1 if name in LOSSES else 1)
    return MetricReport(
        name,
        metric.value,
        metric.low,
        metric.high,
        metric.bound,
        metric.n,
        base.value if base is not None else None,
        change,
        severity if metric.value is not None else "insufficient_data",
        metric.note,
    )


def _estimated(baselines: PerformanceBaselines | None, scores: Ints | None) -> list[MetricReport]:
    """Estimate from the drift window's probabilities; nothing of it is ever judged."""
    if (
        baselines is None
        or scores is None
        or baselines.reference is None
        or baselines.reference.scores is None
    ):
        return []
    counts = scores.reshape(empty_counts(baselines.layout).shape)
    found = estimate(counts, baselines.reference.scores, baselines.layout, SHOWN_CONFIDENCE)
    return [
        metric_report(name, metric, baselines.baseline(name), "ok")
        for name, metric in found.items()
    ]


def _confusion(labelled: Labelled) -> Confusion | None:
    if labelled.baselines.layout.kind == "numeric" or not labelled.window.labelled:
        return None
    return Confusion(*confusion(labelled.sums))
