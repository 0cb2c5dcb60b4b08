"""The rules of the labels: metrics of the labelled window, of the model and of its segments, and
the drift of the labels themselves.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from driftgauge.consumer.judging.evaluating.budget import fairness_share
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts, segments_of, share_of
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.segments.window import SegmentReading
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.performance import LABEL
from driftgauge.shared.rules.performance import PERFORMANCE, SEGMENT_PERFORMANCE

WINDOW_RULE = "performance"
"""All metrics of the labelled window, where the budget is shown."""
PAST_RULE = "performance on past days"
"""All metrics of past days, there too."""


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, _policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the bad metrics, and those of open alerts, of the model, its segments and the labels
    themselves. The summary of a fall of the model names the segments that explain it.
    """
    of_segments = list(_segments(judged, open_alerts))
    for name, reading, evidence in (
        judged.labelled.readings() if judged.labelled is not None else ()
    ):
        said = _explained(judged, name, reading, of_segments)
        found = Finding("", PERFORMANCE.of(name), said, evidence)
        if found.matters(open_alerts):
            yield found
    for one in of_segments:
        name = _name(judged, one)
        yield Finding("", SEGMENT_PERFORMANCE.name, one.reading, one.evidence, name)
    for rule, reading, evidence in judged.target.readings() if judged.target is not None else ():
        found = Finding(LABEL, rule, reading, evidence)
        if found.matters(open_alerts):
            yield found


def _segments(judged: EvaluatedWindow, open_alerts: OpenAlerts) -> Iterator[SegmentReading]:
    if judged.segments is not None:
        yield from judged.segments.performance_readings(
            segments_of(open_alerts, SEGMENT_PERFORMANCE)
        )


def _name(judged: EvaluatedWindow, found: SegmentReading) -> str:
    assert judged.segments is not None  # noqa: S101  it is one of theirs
    return judged.segments.reference.names[found.segment]


def _explained(
    judged: EvaluatedWindow, metric: str, reading: Reading, of_segments: Iterable[SegmentReading]
) -> Reading:
    """Add to a fall of the model's metric which segments it comes from."""
    if judged.segments is None or judged.labelled is None or not reading.severity:
        return reading
    change, fall = judged.segments.change, judged.labelled.falls.get(metric)
    bad = [_name(judged, one) for one in of_segments if one.reading.severity]
    if fall is not None and reading.since is not None:  # it tells of past days
        change = replace(change, past=fall.total.segments)
        bad = [
            name
            for name in judged.segments.reference.names
            if name in judged.labelled.falls
            and set(judged.labelled.falls[name].days) & set(fall.days)
        ]
    return msgspec.structs.replace(
        reading, summary=reading.summary + change.explanation(metric, bad)
    )


def levels(judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the budget of the window's metrics, of the detectors that see every error, and of the
    segments.
    """
    if judged.labelled is None:
        return
    level, share, drop = (
        judged.evaluation.level,
        share_of(PERFORMANCE, policy),
        policy.performance_drop,
    )
    of_segments = policy.segment_share if judged.segments is not None else 0.0
    note = "a metric this much worse than its baseline, and beyond chance"
    of_window = share * (1 - policy.late_share)
    yield RuleLevel(
        WINDOW_RULE, of_window * (1 - of_segments), level.performance, None, events, drop, note
    )
    of_days = share * policy.late_share
    note = "the same of a past day, by the labels that it has by now, at all numbers of them"
    yield RuleLevel(
        PAST_RULE, of_days * (1 - of_segments), level.performance_day, None, events, drop, note
    )
    yield from _of_errors(policy, events)
    if judged.segments is not None:
        note = (
            "of one metric within one segment, worse than its baseline by this much, and beyond "
            f"chance; past days have {policy.late_share:.0%} of the share"
        )
        yield RuleLevel(
            SEGMENT_PERFORMANCE.name,
            share * of_segments * (1 - fairness_share(policy)),
            level.segment_performance,
            None,
            events,
            drop,
            note,
        )


def _of_errors(policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    budget = policy.false_alarms_per_month
    share = policy.e_detector_errors_share
    note = (
        "on the errors of labelled predictions: on average so many labels pass between false alarms"
    )
    yield RuleLevel(
        PERFORMANCE.of("e_detector"), share, None, events / (share * budget), events, note=note
    )
    share = policy.adwin_errors_share
    note = "delta, per label, on the errors of labelled predictions"
    yield RuleLevel(
        PERFORMANCE.of("adwin"), share, share * budget / events, None, events, note=note
    )
    note = (
        "chance of a false alarm in 30 days, on the errors of labelled predictions; its threshold "
        "follows from theirs"
    )
    yield RuleLevel(PERFORMANCE.of("ddm"), policy.ddm_errors_share, None, None, events, note=note)
