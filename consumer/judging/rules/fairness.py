"""The rules of fairness: limits that the policy file states on how differently the segments of a
feature may be treated.

A measure is bad when its interval lies beyond the limit, at the limit's share of the false-alarm
budget: so a model that keeps within the limit is hardly ever told of, however often it is looked
at. It is quiet when its interval of 95 % does not.
"""

from collections.abc import Iterator
from typing import Final

from driftgauge.consumer.judging.evaluating.budget import fairness_share
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.labelled.performance import SHOWN_CONFIDENCE
from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts, share_of
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.segments.fairness import severity_of
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.performance import MEASURES, Disparity
from driftgauge.shared.rules.fairness import FAIRNESS
from driftgauge.shared.wording.numbers import decimal, percent, short_figure
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.titles import title

NAME: Final = 40
"""Most characters of a segment's value in a summary."""


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the measures that are beyond a limit, and those of open alerts."""
    for limit in policy.fairness:
        if judged.segments is None or _lacking(judged.segments, limit):
            continue
        reading, evidence = _judged(judged, judged.segments, limit)
        found = Finding("", FAIRNESS.of(limit.measure), reading, evidence, limit.subject)
        if found.matters(open_alerts):
            yield found


def of_labels(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield those of the findings that labels change."""
    for found in findings(judged, open_alerts, policy):
        if MEASURES[FAIRNESS.member(found.rule)].needs_labels:
            yield found


def levels(judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the limits as they were stated, with their parts of the segments' budget."""
    share = share_of(FAIRNESS, policy) * policy.segment_share * fairness_share(policy)
    for limit in policy.fairness:
        lacking = "this version has no segments"
        if judged.segments is not None:
            lacking = _lacking(judged.segments, limit)
        level = judged.evaluation.level.fairness
        yield RuleLevel(
            f"{FAIRNESS.of(limit.measure)} ({limit.feature})",
            None if lacking else share / len(policy.fairness),
            None if lacking else level,
            limit.warning,
            events,
            limit.critical,
            lacking or "of all pairs of segments together; its interval lies beyond the limit",
        )


def _lacking(segments: SegmentWindow, limit: FairnessLimit) -> str:
    """Return why a limit has nothing to judge in a version; empty if it has."""
    if limit.feature not in segments.reference.layout.features:
        return f"this version has no segment feature {limit.feature}"
    return segments.fairness.lacking


def _judged(
    judged: EvaluatedWindow, segments: SegmentWindow, limit: FairnessLimit
) -> tuple[Reading, Evidence]:
    measure = MEASURES[limit.measure]
    found = segments.fairness.of(measure, limit.feature, None)
    if found.value is None:
        return Reading(None, quiet=True, summary=found.note), Evidence(limit.measure, 0, None, None)
    severity = usual = None
    if measure.is_beyond(found.value, limit.first):  # else no interval is, which takes far longer
        severity, usual = (
            severity_of(limit, segments.fairness.of(measure, limit.feature, confidence))
            for confidence in (1 - judged.evaluation.level.fairness, SHOWN_CONFIDENCE)
        )
    shown = limit.critical if severity == "critical" else limit.first
    reading = Reading(
        severity,
        quiet=usual is None,
        summary=_summary(segments, limit, found, shown),
    )
    window = judged.labelled.window if measure.needs_labels and judged.labelled else None
    return reading, Evidence(
        limit.measure,
        found.value,
        shown,
        segments.fairness.baseline(measure, limit.feature),
        m=found.rows,
        start=window.start if window is not None else None,
        end=window.end if window is not None else None,
    )


def _summary(
    segments: SegmentWindow, limit: FairnessLimit, found: Disparity, shown: float | None
) -> str:
    """Say the measure beside the limit, and which segments have the least and the most."""
    first = dict(segments.reference.features())[limit.feature].start
    parts = []
    for place in (found.least, found.most):
        rate = segments.fairness.now[found.rate].rate(first + place)
        value = clip(segments.reference.layout.name(first + place)[1], NAME)
        parts.append(f"{percent(rate or 0.0)} of {value}")
    measured = f"{title(limit.measure)} {decimal(found.value or 0.0)}"
    return (
        f"{measured} (limit {short_figure(shown or 0.0)}): {title(found.rate)} {parts[0]}, "
        f"{parts[1]}; {found.rows:,} rows"
    )
