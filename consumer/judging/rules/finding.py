"""The findings of a family of rules in an evaluated window."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules import Rule

OpenAlerts = set[tuple[str, str]]
"""Feature (or segment) and rule of open alerts, which get a reading even if nothing is bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Reading of a rule for a column, for a segment (with the columns that drift in it), or,
    without either name, for the model.
    """

    feature: str
    rule: str
    reading: Reading
    evidence: Evidence
    segment: str = ""
    columns: tuple[str, ...] = ()

    def matters(self, open_alerts: OpenAlerts) -> bool:
        """Return whether it is bad, or the reading of an open alert."""
        subject = self.segment or self.feature
        return self.reading.severity is not None or (subject, self.rule) in open_alerts


class Family(Protocol):
    """A module with rules that are computed together."""

    def findings(
        self, judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy, /
    ) -> Iterator[Finding]:
        """Yield the bad readings, and the readings of open alerts."""

    def levels(
        self, judged: EvaluatedWindow, policy: JudgingPolicy, events: float, /
    ) -> Iterator[RuleLevel]:
        """Yield threshold and share of the budget of each rule; `events` is the traffic of
        30 days.
        """


def share_of(rule: Rule, policy: JudgingPolicy) -> float:
    """Return a rule's share of the false-alarm budget; 0 if it has none."""
    return float(getattr(policy, rule.share)) if rule.share else 0.0


def segments_of(open_alerts: OpenAlerts, rule: Rule) -> set[str]:
    """Return the segments that have an open alert of a rule."""
    return {segment for segment, name in open_alerts if name == rule.name}
