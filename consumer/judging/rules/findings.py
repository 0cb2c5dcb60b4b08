"""All families of rules: what they say of an evaluated window, and what each is judged by."""

from collections.abc import Iterator
from typing import Final

from driftgauge.consumer.judging.evaluating.budget import DAYS_PER_MONTH
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules import classic, columns, limits, performance, segments
from driftgauge.consumer.judging.rules.finding import Family, Finding, OpenAlerts
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.performance import LABEL
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.limits import THRESHOLD

FAMILIES: Final[tuple[Family, ...]] = (performance, columns, segments, classic, limits)
"""Performance first, since it ranks above all; then broken values, since they explain the rest."""


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield what is bad, and the reading of every open alert's rule."""
    for family in FAMILIES:
        yield from family.findings(judged, open_alerts, policy)


def rule_levels(judged: EvaluatedWindow, policy: JudgingPolicy) -> list[RuleLevel]:
    """Return what the false-alarm budget became by the traffic, rule by rule."""
    events = judged.events_per_day * DAYS_PER_MONTH
    return [level for family in FAMILIES for level in family.levels(judged, policy, events)]


def is_judged(name: str, feature: str, policy: JudgingPolicy) -> bool:
    """Return whether a policy has this rule, so that an alert of it can still be read."""
    rule = rule_of(name)
    if rule is THRESHOLD:
        return any(
            one.metric == rule.member(name) and one.feature in {None, feature}
            for one in policy.thresholds
        )
    return policy.kind in rule.policies


def is_of_reference(name: str, feature: str) -> bool:
    """Return whether a rule holds a column against the reference; performance and limits on the
    model's metrics do not, and labels are held against those of the registered one always.
    """
    rule = rule_of(name)
    of_column = rule.against == "reference" or (rule is THRESHOLD and bool(feature))
    return of_column and feature != LABEL
