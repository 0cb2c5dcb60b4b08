"""The rules of the columns: integrity, and drift by PSI."""

from collections.abc import Iterator

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts, share_of
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.data_quality import INTEGRITY
from driftgauge.shared.rules.drift import ADWIN, E_DETECTOR, PSI, PSI_WEEK

INTEGRITY_NOTE = (
    "one-sided, per test and window; half of the share is that of the online tests, a fifth of "
    "which is for stuck values"
)


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the columns with broken values and those that drift, if the policy has the rule."""
    version = judged.evaluation.version
    watching = {
        (version.place[feature], rule) for feature, rule in open_alerts if feature in version.place
    }
    for column, rule, reading, evidence in judged.evaluation.readings(watching):
        if policy.kind in rule_of(rule).policies:
            yield Finding(version.reference.columns[column].name, rule, reading, evidence)


def levels(judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the budget of the window's rules, and of the online detectors."""
    level, budget = judged.evaluation.level, policy.false_alarms_per_month
    yield RuleLevel(
        INTEGRITY.name,
        share_of(INTEGRITY, policy),
        level.integrity,
        None,
        events,
        note=INTEGRITY_NOTE,
    )
    if policy.kind not in PSI.policies:
        return
    of_all = 1 - policy.segment_share if judged.segments is not None else 1.0
    note = "floors of the true PSI; the limit of each column is higher by what chance explains"
    yield RuleLevel(
        PSI.name,
        share_of(PSI, policy) * of_all,
        level.psi,
        policy.psi_warning,
        events,
        policy.psi_critical,
        note,
    )
    yield from _weekly(judged, events)
    share = share_of(E_DETECTOR, policy)
    note = "c: on average so many events pass between false alarms of the whole model"
    yield RuleLevel(E_DETECTOR.name, share, None, events / (share * budget), events, note=note)
    share, columns = share_of(ADWIN, policy), max(len(judged.evaluation.version.watched), 1)
    note = "delta, per event and column"
    yield RuleLevel(ADWIN.name, share, share * budget / (events * columns), None, events, note=note)


def _weekly(judged: EvaluatedWindow, events: float) -> Iterator[RuleLevel]:
    """Yield the budget of the ordered columns: the false episodes in replayed weeks of the
    reference.
    """
    calibration = judged.evaluation.version.calibration
    if calibration is None or not judged.evaluation.version.ordered:
        return
    realised = (
        "" if calibration.realised is None else f"; replayed weeks gave {calibration.realised:.2g}"
    )
    note = (
        f"false episodes of the ordered columns in 30 days{realised}; each column has its own "
        "threshold"
    )
    yield RuleLevel(PSI_WEEK.name, calibration.target, None, None, events, note=note)
