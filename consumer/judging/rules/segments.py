"""The rule of drift within a segment."""

from collections.abc import Iterator

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts, segments_of, share_of
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules.drift import SEGMENT_PSI


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, _policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the segments in which columns drift, each with the names of those columns."""
    if judged.segments is None:
        return
    names = judged.segments.reference.names
    for one in judged.segments.drift_readings(segments_of(open_alerts, SEGMENT_PSI)):
        yield Finding(
            "", SEGMENT_PSI.name, one.reading, one.evidence, names[one.segment], one.names
        )


def levels(judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the part of PSI's budget that the segments take."""
    if judged.segments is None or policy.kind not in SEGMENT_PSI.policies:
        return
    note = (
        "of one column within one segment; the limit of each is higher than the floor by what "
        "chance explains"
    )
    yield RuleLevel(
        SEGMENT_PSI.name,
        share_of(SEGMENT_PSI, policy) * policy.segment_share,
        judged.evaluation.level.segment_psi,
        policy.psi_warning,
        events,
        None,
        note,
    )
