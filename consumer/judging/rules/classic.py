"""The classic rules: plain PSI .1 / .25, and KS .2 with p < .05, without a bound on false
alarms.
"""

from collections.abc import Iterator

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts
from driftgauge.consumer.judging.rules.limits import held_against
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow, statistic_of
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules.drift import CLASSIC_KS, CLASSIC_PSI
from driftgauge.shared.statistics.psi import PSI

KS_LIMIT, KS_P = 0.2, 0.05


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the columns that are beyond the plain limits."""
    if policy.kind in CLASSIC_PSI.policies and not judged.evaluation.lacking:
        yield from (found for found in _all(judged, policy) if found.matters(open_alerts))


def _all(judged: EvaluatedWindow, policy: JudgingPolicy) -> Iterator[Finding]:
    limits = Threshold(PSI, warning=policy.psi_warning, critical=policy.psi_critical)
    for column in judged.evaluation.version.watched:
        name = judged.evaluation.version.reference.columns[column].name
        psi = float(judged.evaluation.psi[column])
        yield Finding(name, CLASSIC_PSI.name, *held_against(limits, psi, None, policy))
        ks = statistic_of(judged, column, "ks")
        if ks is not None and ks.value is not None and ks.p_value is not None:
            reading = _ks(ks.value, ks.p_value, policy)
            yield Finding(
                name, CLASSIC_KS.name, reading, Evidence("ks", ks.value, KS_LIMIT, ks.expected)
            )


def _ks(value: float, p_value: float, policy: JudgingPolicy) -> Reading:
    """Judge a KS statistic: it is bad if large and significant."""
    chance = p_value >= KS_P
    severity: AlertSeverity | None = None if chance or value < KS_LIMIT else "warning"
    quiet = chance or value < policy.resolve_below * KS_LIMIT
    return Reading(
        severity,
        quiet=quiet,
        summary=f"KS {value:.3f}, limit {KS_LIMIT:g}; p {p_value:.2g}, limit {KS_P:g}",
    )


def levels(_judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the plain limits."""
    if policy.kind not in CLASSIC_PSI.policies:
        return
    note = "plain, as people know it: no statement on false alarms"
    yield RuleLevel(
        CLASSIC_PSI.name, None, None, policy.psi_warning, events, policy.psi_critical, note
    )
    yield RuleLevel(CLASSIC_KS.name, None, KS_P, KS_LIMIT, events, None, note)
