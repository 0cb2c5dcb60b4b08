"""The segments of an evaluated window: which of them drifted, and in which the model got worse.

There is one reading per segment and kind, however many columns or metrics are behind it, so that
one cause is one alert. A segment's drift is a WARNING; its performance is judged by the same rule
as the model's (performance.py). A segment in alarm that now has too few rows gets a quiet reading,
since nothing else would end its alert.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import itemgetter
from typing import Final

import numpy as np

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS, Levels
from driftgauge.consumer.judging.evaluating.contributions import of_bins
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.evaluating.segment_reference import (
    Marks,
    SegmentReference,
    rows_of,
    shortened,
)
from driftgauge.consumer.judging.labelled.late import Fall, with_days
from driftgauge.consumer.judging.labelled.metric_reading import judge
from driftgauge.consumer.judging.labelled.performance import Labelled, fallen
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.segments.change import SegmentChange
from driftgauge.consumer.judging.segments.drift import psi_by_segment, thresholds, usual
from driftgauge.consumer.judging.segments.fairness import Fairness
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.performance import LOSSES, Confidence, SegmentMetric, by_segment

NAMED: Final = 3
"""Most columns that an alert names."""


@dataclass(frozen=True, slots=True)
class SegmentReading:
    """Reading of a segment, given by its position; `names` are the columns that drift in it, or the
    metrics that fell.
    """

    segment: int
    reading: Reading
    evidence: Evidence
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SegmentWindow:
    """The segments of a window.

    Parameters
    ----------
    reference
        Reference of the segments.
    counts
        Window rows by segment and bin, flat; None before any pane had some.
    labelled
        The labelled window; None for a version without labels.
    """

    reference: SegmentReference
    counts: Ints | None
    level: Levels
    policy: JudgingPolicy
    labelled: Labelled | None = None

    # -- drift -------------------------------------------------------------------------------------

    @cached_property
    def window(self) -> Ints:
        """Window rows, shape (segments, bins)."""
        shape = self.reference.counts.shape
        return (
            self.counts.reshape(shape)
            if self.counts is not None
            else np.zeros(shape, dtype=np.int64)
        )

    @cached_property
    def rows(self) -> Ints:
        """Window rows of each segment."""
        return rows_of(self.reference.layout, self.window)

    @cached_property
    def _drift(self) -> tuple[Floats, Ints]:
        reference = self.reference
        return psi_by_segment(
            reference.counts, self.window, reference.layout.bin_starts, reference.least_rows
        )

    @property
    def psi(self) -> Floats:
        """PSI of every column within every segment, shape (segments, columns); NaN without rows."""
        return self._drift[0]

    def lacking(self, segment: int) -> str:
        """Return why a segment has too few rows to judge its drift; empty if it has enough."""
        policy, n, m = self.policy, int(self.reference.rows[segment]), int(self.rows[segment])
        if n < policy.min_segment_reference_rows:
            return f"{n} of {policy.min_segment_reference_rows} reference rows"
        return (
            f"{m} of {policy.min_segment_rows} window rows" if m < policy.min_segment_rows else ""
        )

    def limits(self, wanted: Marks) -> Floats:
        """Return the PSI above which columns of segments are in alarm; NaN where it is not wanted
        or not judged.

        Computing one threshold takes far longer than computing all PSI.

        Parameters
        ----------
        wanted
            Where thresholds are wanted, shape (segments, columns).
        """
        found = np.full(wanted.shape, np.nan)
        segments, columns = np.nonzero(wanted & self._judged)
        if len(segments):
            bins, n, m = (
                self._drift[1][segments, columns],
                self.reference.rows[segments],
                self.rows[segments],
            )
            found[segments, columns] = thresholds(
                self.policy.psi_warning, self.level.segment_psi, bins, n, m
            )
        return found

    @cached_property
    def _judged(self) -> Marks:
        """Which columns are judged within which segments, shape (segments, columns): those with
        enough rows on both sides.
        """
        n, m = self.reference.rows, self.rows
        enough = (n >= self.policy.min_segment_reference_rows) & (m >= self.policy.min_segment_rows)
        return np.asarray(
            self.reference.judged & enough[:, None] & (self.policy.kind == "standard")
        )

    def drift_readings(self, watching: Collection[str]) -> Iterator[SegmentReading]:
        """Yield the segments in which a column drifts, and those of open alerts.

        Parameters
        ----------
        watching
            Names of segments that have an alert of their drift.
        """
        if self.policy.kind != "standard":
            return
        watched = np.array([name in watching for name in self.reference.names])
        limits = self.limits(self._suspect | watched[:, None])
        for segment in np.flatnonzero(self._suspect.any(axis=1) | watched).tolist():
            found = self._drifted(segment, limits[segment])
            if found.reading.severity or watched[segment]:
                yield found

    @cached_property
    def _suspect(self) -> Marks:
        """Where PSI is above its mean at the floor, shape (segments, columns): elsewhere no
        threshold is needed.
        """
        n, m = np.maximum(self.reference.rows, 1), np.maximum(self.rows, 1)
        high = self.psi > usual(self.policy.psi_warning, self._drift[1], n[:, None], m[:, None])
        return np.asarray(self._judged & high)

    def _drifted(self, segment: int, limits: Floats) -> SegmentReading:
        psi, m = self.psi[segment], int(self.rows[segment])
        bad = np.flatnonzero(self._suspect[segment] & (psi > limits))
        bad = bad[np.argsort(-psi[bad], kind="stable")]
        if not len(bad):
            quiet = not (psi >= self.policy.resolve_below * limits).any()
            said = self.lacking(segment) or f"no PSI is above its limit, {m:,} rows"
            return SegmentReading(
                segment, Reading(None, quiet=quiet, summary=said), Evidence("psi", 0.0, None, None)
            )
        names = [self.reference.profile.columns[place].name for place in bad.tolist()]
        parts = [
            f"{shortened(name)} {psi[place]:.3f} (limit {limits[place]:.3f})"
            for name, place in zip(names[:NAMED], bad.tolist(), strict=False)
        ]
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        reading = Reading(
            "warning", quiet=False, summary=f"PSI of {', '.join(parts)}{more}; {m:,} rows"
        )
        return SegmentReading(
            segment,
            reading,
            self._psi_evidence(segment, int(bad[0]), float(limits[bad[0]])),
            tuple(names),
        )

    def _psi_evidence(self, segment: int, column: int, limit: float) -> Evidence:
        n, m = int(self.reference.rows[segment]), int(self.rows[segment])
        part = slice(*self.reference.layout.bin_starts[column : column + 2].tolist())
        p, q = self.reference.counts[segment, part] / n, self.window[segment, part] / m
        cells = of_bins(self.reference.profile.columns[column], p, q)
        expected = (int(self._drift[1][segment, column]) - 1) * (1 / n + 1 / m)
        return Evidence("psi", float(self.psi[segment, column]), limit, expected, n, m, cells)

    @cached_property
    def change(self) -> SegmentChange:
        """The change of the model's metric, by segment."""
        return SegmentChange(self.reference, self.labelled)

    @cached_property
    def fairness(self) -> Fairness:
        """How alike the segments are treated."""
        return Fairness(self.reference, self.window, self.change.sums, self.policy.outcome)

    # -- performance -------------------------------------------------------------------------------

    def metrics(self, confidence: float) -> dict[str, SegmentMetric]:
        """Return the metrics of every segment by labels; empty without labels."""
        measures, sums = self.reference.measures, self.change.sums
        return {} if measures is None or sums is None else by_segment(measures, sums, confidence)

    def performance_readings(self, watching: Collection[str]) -> Iterator[SegmentReading]:
        """Yield the segments in which the model is worse than it was, and those of open alerts, as
        `drift_readings`.
        """
        if self.labelled is None:
            return
        confidence = 1 - 2 * self.level.segment_performance
        found = self.metrics(confidence)
        worse, falls = self._worse(found), self.labelled.falls
        for segment, name in enumerate(self.reference.names):
            if worse[segment] or name in watching or name in falls:
                one = self._performance(segment, found, Confidence(confidence))
                reading, evidence = with_days(
                    one.reading,
                    one.evidence,
                    falls.get(name),
                    late=self.labelled.late,
                    fallen=partial(self._fallen, segment),
                )
                if reading.severity or name in watching:
                    yield SegmentReading(segment, reading, evidence, one.names)

    def _fallen(self, segment: int, fall: Fall) -> tuple[Reading, Evidence]:
        """Tell of the metric of a segment that fell most on past days."""
        measures, found = self.reference.measures, {}
        if measures is not None and fall.total.segments is not None:
            found = by_segment(measures, fall.total.segments)
        told = []
        for name in self._judged_metrics:
            metric = found[name].of(segment) if name in found else None
            base = self.reference.baseline(name, segment, self.policy.min_segment_rows)
            if metric is not None and metric.value is not None and base is not None:
                sign = 1 if name in LOSSES else -1
                worse = sign * (metric.value - base.value) / (abs(base.value) or 1.0)
                told.append((worse, name, metric, base))
        _, name, metric, base = max(told, key=itemgetter(0))
        reading, evidence = fallen(name, metric, base, fall)
        n = self.reference.baselines[name].of(segment).n
        return reading, replace(evidence, n=n)

    def _worse(self, found: dict[str, SegmentMetric]) -> Floats:
        """Return which segments are worse by more than the limit in a metric: the others need no
        interval.
        """
        worse = np.zeros(len(self.reference.names), dtype=bool)
        for name in self._judged_metrics:
            now, before = found.get(name), self.reference.baselines.get(name)
            if now is not None and before is not None:
                enough = np.minimum(now.n, before.n) >= self.policy.min_segment_rows
                change = now.value - before.value if name in LOSSES else before.value - now.value
                worse |= enough & (change > self.policy.performance_drop * np.abs(before.value))
        return np.asarray(worse)

    @property
    def _judged_metrics(self) -> tuple[str, ...]:
        return (
            JUDGED_METRICS[self.labelled.baselines.layout.kind] if self.labelled is not None else ()
        )

    def _performance(
        self, segment: int, found: dict[str, SegmentMetric], sure: Confidence
    ) -> SegmentReading:
        """Judge all metrics of a segment; the result is the worst reading."""
        said: list[tuple[str, Reading, Evidence]] = []
        labelled = 0
        for name in self._judged_metrics:
            metric = found[name].of(segment) if name in found else None
            base = self.reference.baseline(name, segment, self.policy.min_segment_rows)
            labelled = metric.n if metric is not None else labelled
            if (
                metric is None
                or base is None
                or metric.value is None
                or metric.n < self.policy.min_segment_rows
            ):
                continue
            reading, evidence = judge(name, metric, base, sure, self.policy)
            n = self.reference.baselines[name].of(segment).n
            said.append(
                (
                    name,
                    reading,
                    replace(evidence, n=n, m=metric.n),
                )
            )
        if not said:
            lacking = f"{labelled} of {self.policy.min_segment_rows} labelled predictions"
            return SegmentReading(
                segment,
                Reading(None, quiet=True, summary=lacking),
                Evidence("rows", labelled, None, None),
            )
        bad = [one for one in said if one[1].severity]
        severity: AlertSeverity | None = "critical" if bad else None
        summary = "; ".join(reading.summary for _, reading, _ in bad or said[:1])
        reading = Reading(severity, quiet=all(one.quiet for _, one, _ in said), summary=summary)
        return SegmentReading(
            segment, reading, (bad or said)[0][2], tuple(name for name, _, _ in bad)
        )
