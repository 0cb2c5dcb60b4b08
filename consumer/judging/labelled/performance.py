"""Judges the performance in a labelled window against the version's baseline.

What the window says is joined by what past days say whose labels came late (late.py): an alert
tells of both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import msgspec

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS, Levels, judged_metrics
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.labelled.late import Fall, with_days
from driftgauge.consumer.judging.labelled.metric_reading import judge, summary
from driftgauge.consumer.judging.labelled.worth import confusion_report, where_lost
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import Confusion, MetricReport, Performance
from driftgauge.shared.performance import (
    ASSUMPTION,
    LOSSES,
    VALUE,
    Baseline,
    Confidence,
    Metric,
    PerformanceBaselines,
    Sums,
    Worth,
    definition,
    empty_counts,
    estimate,
    metrics,
    unit_of,
)

SHOWN_CONFIDENCE: Final = 0.95
DELAYS: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Labelled:
    """A labelled window, and by what it is judged.

    Parameters
    ----------
    now
        Logical time (ms).
    falls
        What is known of past days, by subject: a metric, a segment, or `LABEL`.
    """

    window: LabelledWindow
    baselines: PerformanceBaselines
    level: Levels
    policy: JudgingPolicy
    now: int = 0
    falls: Mapping[str, Fall] = field(default_factory=dict)

    @property
    def lacking(self) -> str:
        """Why there are too few labelled rows to judge; empty if there are enough."""
        least = self.policy.min_labelled_rows
        if self.window.labelled < least:
            return f"{self.window.labelled} of {least} labelled predictions"
        return ""

    @property
    def late(self) -> bool:
        """Whether the labels of the window are of days that are over."""
        return self.window.latest_label // DAY_MS < self.now // DAY_MS

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the judged metrics."""
        return judged_metrics(self.baselines.layout.kind, self.policy)

    @property
    def sums(self) -> Sums:
        return self.window.sums or Sums.zero(self.baselines.layout)

    @cached_property
    def first_metric(self) -> float | None:
        """Value of the first judged metric, by which a version is watched; None without a labelled
        row.
        """
        name = JUDGED_METRICS[self.baselines.layout.kind][0]
        return metrics(self.sums, names=(name,))[name].value if self.window.labelled else None

    def readings(self) -> Sequence[tuple[str, Reading, Evidence]]:
        """Return the reading of each judged metric that has a baseline."""
        return self._readings

    @cached_property
    def _readings(self) -> Sequence[tuple[str, Reading, Evidence]]:
        return tuple(self._judged())

    def _judged(self) -> Iterator[tuple[str, Reading, Evidence]]:
        sure = Confidence(1 - 2 * self.level.performance)
        judged, worth = self.judged, self.policy.value
        found = {} if self.lacking else metrics(self.sums, sure.level, judged, worth)
        for name in judged:
            base, metric, fall = (
                self.baselines.baseline(name, worth),
                found.get(name),
                self.falls.get(name),
            )
            if base is None:
                continue
            if metric is not None and metric.value is not None:
                reading, evidence = judge(name, metric, base, sure, self.policy)
                if reading.severity:
                    reading = self._explained(name, reading, self.sums)
                told = partial(self._fallen, name, base)
                yield name, *with_days(reading, evidence, fall, late=self.late, fallen=told)
            elif fall is not None and fall.news:
                yield name, *self._fallen(name, base, fall)

    def _fallen(self, name: str, base: Baseline, fall: Fall) -> tuple[Reading, Evidence]:
        assert fall.total.sums is not None  # noqa: S101  a metric was bad
        found = metrics(fall.total.sums, names=(name,), worth=self.policy.value)
        reading, evidence = fallen(name, found[name], base, fall)
        return self._explained(name, reading, fall.total.sums), evidence

    def _explained(self, name: str, reading: Reading, sums: Sums) -> Reading:
        """Add to a fall of the value which predictions it comes from."""
        where = where_lost(sums, self.baselines, self.policy.value) if name == VALUE else ""
        if not where:
            return reading
        return msgspec.structs.replace(reading, summary=f"{reading.summary}, {where}")

    def is_fresh(self, now: int, window_ms: int) -> bool:
        """Return whether the labels are of recent predictions. Then only the performance is
        critical, and input drift is its explanation.

        Parameters
        ----------
        now, window_ms
            Logical time, and length of the drift window (both ms).
        """
        if self.lacking or not any(
            self.baselines.baseline(name) for name in JUDGED_METRICS[self.baselines.layout.kind]
        ):
            return False
        return self.window.latest_label >= now - window_ms - 2 * self.window.delay_ms(DELAYS[-1])


def fallen(name: str, metric: Metric, base: Baseline, fall: Fall) -> tuple[Reading, Evidence]:
    """Tell of a metric that fell on past days, at once: a day's verdict needs no second one."""
    text = f"{summary(name, metric, base)} {fall.when()}"
    reading = Reading(
        "critical", quiet=False, summary=text, at_once=True, quiet_days=1, since=fall.start
    )
    return reading, Evidence(
        name,
        metric.value or 0.0,
        None,
        base.value,
        m=metric.n,
        start=fall.start,
        end=fall.end,
        unit=base.unit,
    )


def report(
    labelled: Labelled | None,
    baselines: PerformanceBaselines | None,
    scores: Ints | None,
    drift_window: tuple[int, int],
    worth: Worth | None = None,
) -> Performance | None:
    """Report a version's performance; None if there are neither labels nor probabilities.

    Parameters
    ----------
    labelled
        Labelled window; None for a version without labels.
    scores
        Counts of probabilities in the drift window, for the estimates; None without.
    drift_window
        Start and end (ms) of the drift window: that of the report where no prediction waits for a
        label.
    worth
        What predictions are worth, as the policy states it, for the estimates.
    """
    estimated = _estimated(baselines, scores, worth)
    if labelled is None:
        if not estimated:
            return None
        reason = "no labels: only an estimate"
        return Performance(
            "insufficient_data",
            reason,
            *drift_window,
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
    start, end = (window.start, window.end) if window.predictions else drift_window
    bad = {name: reading for name, reading, _ in labelled.readings() if reading.severity}
    severity: Severity = "insufficient_data" if labelled.lacking else "critical" if bad else "ok"
    return Performance(
        severity=severity,
        reason=labelled.lacking or "; ".join(reading.summary for reading in bad.values()),
        start=start,
        end=end,
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
    worth, judged = labelled.policy.value, labelled.judged
    found = metrics(labelled.sums, SHOWN_CONFIDENCE, worth=worth)
    ordered = [
        *(name for name in judged if name in found),
        *(name for name in found if name not in judged),
    ]
    return [
        metric_report(
            name,
            found[name],
            labelled.baselines.baseline(name, worth),
            "critical" if name in bad else "ok",
            unit_of(name, labelled.baselines.unit, worth),
        )
        for name in ordered
    ]


def metric_report(
    name: str, metric: Metric, base: Baseline | None, severity: Severity, unit: str = ""
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
        unit,
    )


def _estimated(
    baselines: PerformanceBaselines | None, scores: Ints | None, worth: Worth | None
) -> list[MetricReport]:
    """Estimate the metrics from the drift window's probabilities; estimates are never judged."""
    if (
        baselines is None
        or scores is None
        or baselines.reference is None
        or baselines.reference.scores is None
    ):
        return []
    counts = scores.reshape(empty_counts(baselines.layout).shape)
    found = estimate(counts, baselines.reference.scores, baselines.layout, SHOWN_CONFIDENCE, worth)
    return [
        metric_report(
            name,
            metric,
            baselines.baseline(name, worth),
            "ok",
            unit_of(name, baselines.unit, worth),
        )
        for name, metric in found.items()
    ]


def _confusion(labelled: Labelled) -> Confusion | None:
    if labelled.baselines.layout.kind == "numeric" or not labelled.window.labelled:
        return None
    return confusion_report(labelled.sums, labelled.policy.value)
