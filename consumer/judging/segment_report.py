"""The segments in a snapshot: how each stands, and what explains a change of the model's metric."""

from typing import Final

import numpy as np

from consumer.judging.attribution import Attribution
from consumer.judging.performance import SHOWN_CONFIDENCE, metric_report
from consumer.judging.segments import SegmentReading, SegmentWindow
from shared.performance import LOSSES, SegmentMetric
from shared.snapshot import SegmentDrift, SegmentFeature, SegmentReport, Segments, Severity

SHOWN: Final = 3
"""Columns whose drift is shown of each segment."""
Bad = tuple[dict[int, SegmentReading], dict[int, SegmentReading]]
"""The segments whose performance fell, and those that drifted."""


def report(window: SegmentWindow) -> Segments:
    """Report the segments of a window."""
    drifted = {one.segment: one for one in window.drift_readings(set())}
    fallen = {one.segment: one for one in window.performance_readings(set())}
    metrics = window.metrics(SHOWN_CONFIDENCE)
    parts = dict(window.attributions)
    features = [
        _feature(window, name, place, metrics, (fallen, drifted), parts.get(name))
        for name, place in window.standard.features()
    ]
    return Segments(window.metric, window.value, window.model_baseline, features)


def _feature(
    window: SegmentWindow, name: str, place: slice, metrics: dict[str, SegmentMetric],
    bad: Bad, part: Attribution | None,
) -> SegmentFeature:  # fmt: skip
    sign = 1 if window.metric in LOSSES else -1
    segments = [
        _segment(
            window, segment, metrics, bad, None if part is None else sign * float(part.contributions[segment - place.start])
        )
        for segment in range(place.start, place.stop)
    ]
    return SegmentFeature(name, segments, None if part is None else sign * part.mix, window.sentence(name))


def _segment(
    window: SegmentWindow, segment: int, metrics: dict[str, SegmentMetric],
    bad: Bad, contribution: float | None,
) -> SegmentReport:  # fmt: skip
    feature, value = window.standard.layout.name(segment)
    place = next(place for name, place in window.standard.features() if name == feature)
    rows, known = window.rows, window.standard.rows
    found = [(name, metric.of(segment)) for name, metric in metrics.items()]
    labelled = found[0][1].n if found else 0
    severity, reason = _conclusion(window, segment, bad, labelled)
    fallen = bad[0].get(segment)
    reports = [
        metric_report(name, metric, window.baseline(name, segment), _of_metric(name, fallen)) for name, metric in found
    ] if labelled else []  # fmt: skip
    return SegmentReport(
        feature, value, severity, reason, int(rows[segment]), _share(int(rows[segment]), int(rows[place].sum())),
        _share(int(known[segment]), int(known[place].sum())), _drift(window, segment), labelled, reports, contribution,
    )  # fmt: skip


def _of_metric(name: str, fallen: SegmentReading | None) -> Severity:
    return "critical" if fallen is not None and name in fallen.names else "ok"


def _conclusion(window: SegmentWindow, segment: int, bad: Bad, labelled: int) -> tuple[Severity, str]:
    """Say how a segment stands, and why: its performance first."""
    fallen, drifted = (readings.get(segment) for readings in bad)
    said = "; ".join(one.reading.summary for one in (fallen, drifted) if one is not None)
    if said:
        return "critical" if fallen is not None else "warning", said
    lacking = window.lacking(segment)
    if lacking and not (window.metric and labelled >= window.policy.min_segment_rows and window.baselines):
        return "insufficient_data", lacking
    return "ok", ""


def _drift(window: SegmentWindow, segment: int) -> list[SegmentDrift]:
    """Give the columns with the largest PSI, the largest first."""
    if window.lacking(segment):
        return []
    psi = np.where(window.standard.shown[segment], window.psi[segment], -np.inf)
    largest = [place for place in np.argsort(-psi, kind="stable")[:SHOWN].tolist() if window.standard.shown[segment, place]]
    limits = window.limits(segment)
    return [
        SegmentDrift(
            window.standard.profile.columns[place].name, float(psi[place]),
            float(limits[place]) if np.isfinite(limits[place]) else None,
        )
        for place in largest
    ]  # fmt: skip


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
