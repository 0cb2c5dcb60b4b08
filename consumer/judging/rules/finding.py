"""What a family of rules says of an evaluated window."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules import Rule

OpenAlerts = set[tuple[str, str]]
"""Feature (or segment) and rule of open alerts: those are read even when nothing is bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a column, of a segment (and which columns drift in it), or, without
    either name, of the model.
    """

    feature: str
    rule: str
    reading: Reading
    evidence: Evidence
    segment: str = ""
    columns: tuple[str, ...] = ()

    def matters(self, open_alerts: OpenAlerts) -> bool:
        """Return whether it is bad, or what an open alert waits to hear."""
        subject = self.segment or self.feature
        return self.reading.severity is not None or (subject, self.rule) in open_alerts


class Family(Protocol):
    """A file of rules that are computed alike."""

    def findings(
        self, judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy, /
    ) -> Iterator[Finding]:
        """Yield what matters: what is bad, and the readings of open alerts."""

    def levels(
        self, judged: EvaluatedWindow, policy: JudgingPolicy, events: float, /
    ) -> Iterator[RuleLevel]:
        """Yield what each rule is judged by; `events` is the traffic of 30 days."""


def share_of(rule: Rule, policy: JudgingPolicy) -> float:
    """Return a rule's share of the false-alarm budget; 0 if it has none."""
    return float(getattr(policy, rule.share)) if rule.share else 0.0


def segments_of(open_alerts: OpenAlerts, rule: Rule) -> set[str]:
    """Return the segments that have an open alert of a rule."""
    return {segment for segment, name in open_alerts if name == rule.name}
