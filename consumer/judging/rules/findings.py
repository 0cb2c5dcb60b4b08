"""All families of rules: their findings in an evaluated window, and their thresholds."""

from collections.abc import Iterator
from typing import Final

from driftgauge.consumer.judging.evaluating.budget import DAYS_PER_MONTH
from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules import (
    classic,
    columns,
    fairness,
    limits,
    performance,
    segments,
)
from driftgauge.consumer.judging.rules.finding import Family, Finding, OpenAlerts
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.performance import LABEL, VALUE, Worth
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.drift import CLASSIC_KS
from driftgauge.shared.rules.fairness import FAIRNESS
from driftgauge.shared.rules.limits import THRESHOLD
from driftgauge.shared.rules.performance import PERFORMANCE

FAMILIES: Final[tuple[Family, ...]] = (
    performance,
    columns,
    segments,
    fairness,
    classic,
    limits,
)
"""Families in the order of evaluation: performance ranks above all, then broken values, since they
explain the rest.
"""
OF_COLUMNS: Final[tuple[Family, ...]] = (columns, classic, limits)
"""Those of them that read single columns."""

VALUE_RULE: Final = PERFORMANCE.of(VALUE)


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the bad readings, and the readings of open alerts, of all families."""
    for family in FAMILIES:
        yield from family.findings(judged, open_alerts, policy)


def findings_of_columns(judged: EvaluatedWindow, policy: JudgingPolicy) -> Iterator[Finding]:
    """Yield the bad readings of single columns, for their reports. Those of segments and metrics
    take longer, and no column shows them.
    """
    for family in OF_COLUMNS:
        yield from family.findings(judged, set(), policy)


def rule_levels(judged: EvaluatedWindow, policy: JudgingPolicy) -> list[RuleLevel]:
    """Return threshold and share of the budget of each rule at the current traffic."""
    events = judged.events_per_day * DAYS_PER_MONTH
    return [level for family in FAMILIES for level in family.levels(judged, policy, events)]


def is_judged(name: str, subject: str, policy: JudgingPolicy) -> bool:
    """Return whether a policy has this rule for a feature, or segment, so that its alerts get
    readings.
    """
    rule = rule_of(name)
    if rule is THRESHOLD:
        return any(
            one.metric == rule.member(name) and one.feature in {None, subject}
            for one in policy.thresholds
        )
    if rule is FAIRNESS:
        return bool(_on_fairness(name, subject, policy))
    if name == VALUE_RULE:
        return policy.value is not None
    return policy.kind in rule.policies


def limits_of(
    name: str, subject: str, policy: JudgingPolicy
) -> tuple[Threshold | FairnessLimit | Worth | float | str | None, ...]:
    """Return the limits that a policy states for a rule of a feature, or segment: those on its
    metric, on PSI, or on fairness with the favourable outcome, or what predictions are worth. What
    hangs on the false-alarm budget alone has none.
    """
    rule = rule_of(name)
    if name == VALUE_RULE:
        return (policy.value,)
    if rule is FAIRNESS:
        return (policy.outcome, *_on_fairness(name, subject, policy))
    if rule is THRESHOLD:
        stated = [one for one in policy.thresholds if one.metric == rule.member(name)]
        own = tuple(one for one in stated if one.feature == subject)
        return own or tuple(one for one in stated if one.feature is None)
    by_psi = rule.kind == "drift" and not rule.online and rule is not CLASSIC_KS
    return (policy.psi_warning, policy.psi_critical) if by_psi else ()


def _on_fairness(name: str, subject: str, policy: JudgingPolicy) -> list[FairnessLimit]:
    measure = FAIRNESS.member(name)
    return [one for one in policy.fairness if (one.measure, one.subject) == (measure, subject)]


def is_of_reference(name: str, feature: str) -> bool:
    """Return whether a rule compares a column with the reference in use. Performance and limits on
    the model's metrics do not, and labels are always compared with those of the registered
    reference.
    """
    rule = rule_of(name)
    of_column = rule.against == "reference" or (rule is THRESHOLD and bool(feature))
    return of_column and feature != LABEL
