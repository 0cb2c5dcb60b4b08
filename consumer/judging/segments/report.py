"""The segments in a snapshot: the severity of each, what explains a change of the model's metric,
and how alike they are treated.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.consumer.judging.labelled.performance import SHOWN_CONFIDENCE, metric_report
from driftgauge.consumer.judging.policy import FairnessLimit
from driftgauge.consumer.judging.segments.attribution import Attribution
from driftgauge.consumer.judging.segments.fairness import severity_of
from driftgauge.consumer.judging.segments.window import SegmentReading, SegmentWindow
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import (
    FairnessReport,
    GroupRate,
    SegmentDrift,
    SegmentFeature,
    SegmentReport,
    Segments,
)
from driftgauge.shared.performance import (
    LOSSES,
    MEASURES,
    Measure,
    Rate,
    SegmentMetric,
    unit_of,
)

SHOWN: Final = 3
"""Most columns whose drift is shown for each segment."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Results for all segments, by their positions: metrics, falls of the metrics, drift, and the
    columns that are shown.
    """

    metrics: dict[str, SegmentMetric]
    fallen: dict[int, SegmentReading]
    drifted: dict[int, SegmentReading]
    drifts: list[list[SegmentDrift]]


def report(window: SegmentWindow) -> Segments:
    """Report the segments of a window."""
    fallen = {one.segment: one for one in window.performance_readings(set())}
    drifted = {one.segment: one for one in window.drift_readings(set())}
    found, change = (
        _Found(window.metrics(SHOWN_CONFIDENCE), fallen, drifted, _drifts(window)),
        window.change,
    )
    features = [
        _feature(window, name, place, found, change.attributions.get(name))
        for name, place in window.reference.features()
    ]
    return Segments(
        change.metric,
        change.value,
        change.baseline,
        features,
        change.unit,
        window.fairness.outcome,
    )


def _feature(
    window: SegmentWindow, name: str, place: slice, found: _Found, part: Attribution | None
) -> SegmentFeature:
    sign = 1 if window.change.metric in LOSSES else -1
    sizes = [] if part is None else (sign * part.contributions).tolist()
    segments = [
        _segment(window, segment, place, found, sizes[segment - place.start] if sizes else None)
        for segment in _segments(place)
    ]
    return SegmentFeature(
        name,
        segments,
        None if part is None else sign * part.mix,
        window.change.sentence(name),
        _fairness(window, name, place),
    )


def _fairness(window: SegmentWindow, name: str, place: slice) -> list[FairnessReport]:
    """Report how alike the segments of a feature are treated; `place` is their range."""
    fairness = window.fairness
    if not fairness.outcome:
        return []
    values = [window.reference.layout.name(segment)[1] for segment in _segments(place)]
    return [_measure(window, measure, name, values) for measure in MEASURES.values()]


def _measure(
    window: SegmentWindow, measure: Measure, feature: str, values: list[str]
) -> FairnessReport:
    fairness = window.fairness
    found = fairness.of(measure, feature, SHOWN_CONFIDENCE)
    known = found.value is not None
    stated = [one for one in window.policy.fairness if one.is_on(measure.name, feature)]
    warning, critical, severity = _limited(window, stated[0]) if stated else (None, None, None)
    return FairnessReport(
        measure.name,
        found.value,
        found.low,
        found.high,
        fairness.baseline(measure, feature),
        found.rate if known else "",
        values[found.least] if known else "",
        values[found.most] if known else "",
        found.rows,
        warning,
        critical,
        severity,
        found.note,
    )


def _limited(
    window: SegmentWindow, limit: FairnessLimit
) -> tuple[float | None, float | None, Severity]:
    """Return the limits of a measure, and how bad it is at the level of its rule."""
    found = window.fairness.of(MEASURES[limit.measure], limit.feature, 1 - window.level.fairness)
    severity = "insufficient_data" if found.value is None else severity_of(limit, found) or "ok"
    return limit.warning, limit.critical, severity


def _segments(place: slice) -> range:
    return range(place.start, place.stop)


def _segment(
    window: SegmentWindow, segment: int, place: slice, found: _Found, contribution: float | None
) -> SegmentReport:
    """Report one segment; `place` is the range of its feature's segments."""
    feature, value = window.reference.layout.name(segment)
    rows, known = window.rows, window.reference.rows
    metrics = [(name, metric.of(segment)) for name, metric in found.metrics.items()]
    labelled, fallen = metrics[0][1].n if metrics else 0, found.fallen.get(segment)
    severity, reason = _conclusion(window, segment, found, labelled)
    reports = (
        [
            metric_report(
                name,
                metric,
                window.reference.baseline(name, segment, window.policy.min_segment_rows),
                _of_metric(name, fallen),
                unit_of(name, window.reference.unit),
            )
            for name, metric in metrics
        ]
        if labelled
        else []
    )
    return SegmentReport(
        feature,
        value,
        severity,
        reason,
        int(rows[segment]),
        _share(int(rows[segment]), int(rows[place].sum())),
        _share(int(known[segment]), int(known[place].sum())),
        found.drifts[segment],
        labelled,
        reports,
        contribution,
        [
            GroupRate(
                name,
                counts.rate(segment),
                _before(window, name, segment),
                int(counts.rows[segment]),
            )
            for name, counts in window.fairness.now.items()
        ],
    )


def _before(window: SegmentWindow, rate: Rate, segment: int) -> float | None:
    """Return a rate of a segment in the reference; None where it is not known."""
    counts = window.fairness.before.get(rate)
    return counts.rate(segment) if counts is not None else None


def _of_metric(name: str, fallen: SegmentReading | None) -> Severity:
    return "critical" if fallen is not None and name in fallen.names else "ok"


def _conclusion(
    window: SegmentWindow, segment: int, found: _Found, labelled: int
) -> tuple[Severity, str]:
    """Return a segment's severity and its reason, performance first."""
    fallen, drifted = found.fallen.get(segment), found.drifted.get(segment)
    said = "; ".join(one.reading.summary for one in (fallen, drifted) if one is not None)
    if said:
        return "critical" if fallen is not None else "warning", said
    lacking = window.lacking(segment)
    if lacking and not (
        window.change.metric
        and labelled >= window.policy.min_segment_rows
        and window.reference.baselines
    ):
        return "insufficient_data", lacking
    return "ok", ""


def _drifts(window: SegmentWindow) -> list[list[SegmentDrift]]:
    """Return the columns with the largest PSI of each segment, the largest first; none below the
    least rows.
    """
    shown = window.reference.shown & ~np.isnan(window.psi)
    psi = np.where(shown, window.psi, -np.inf)
    order = np.argsort(-psi, axis=1, kind="stable")[:, :SHOWN]
    wanted = np.zeros(shown.shape, dtype=bool)
    np.put_along_axis(wanted, order, values=True, axis=1)
    limits = window.limits(wanted & shown)
    names = [column.name for column in window.reference.profile.columns]
    return [
        []
        if window.lacking(segment)
        else [
            SegmentDrift(
                names[at],
                float(psi[segment, at]),
                None if np.isnan(limit := limits[segment, at]) else float(limit),
            )
            for at in order[segment].tolist()
            if shown[segment, at]
        ]
        for segment in range(len(shown))
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
