"""An incident as judging keeps it."""

from typing import Final

import msgspec

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.shared.contract.alert import Acknowledgement, Action, Silence
from driftgauge.shared.contract.incident import CauseKind, Change, IncidentAlert, IncidentKind
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.rules import is_operational, rule_of

RANKS: Final[dict[CauseKind, int]] = {
    "operation": 0,
    "broken_values": 1,
    "feature": 2,
    "joint": 3,  # checkpoints hold ranks: those of before stay as they were
    "segment": 3,
    "label": 4,
    "prediction": 5,
    "performance": 6,
    "fairness": 7,
}
"""Causes before consequences."""


OUTCOMES: Final[dict[str, CauseKind]] = {PREDICTION: "prediction", LABEL: "label"}
"""Columns that are no features, and what they are as a cause."""
CHANGED: Final[frozenset[CauseKind]] = frozenset({"broken_values", "feature"})
"""Causes that are a feature."""


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert of an incident.

    Parameters
    ----------
    alert
        The alert as it is published.
    columns
        Columns that it is about.
    effect
        What happened to what it is about, in words.
    strength
        How far its column is from the reference (nats), by which the most changed one is found.
    is_sure
        Whether the panes tell when it changed and how; if not, a detector's estimate is taken.
    """

    alert: IncidentAlert
    kind: CauseKind
    columns: tuple[str, ...] = ()
    effect: str = ""
    strength: float = 0.0
    is_sure: bool = False

    @property
    def is_firing(self) -> bool:
        """Whether the alert fires."""
        return self.alert.ended is None


class IncidentState(msgspec.Struct, frozen=True):
    """An incident that is open, or closed and remembered for its cooldown.

    Parameters
    ----------
    opened, updated, ended
        Logical times (ms); `ended` is None while it is open.
    change
        When it began, by the alert that is its cause.
    members
        Its alerts by fingerprint, in the order in which they joined.
    cause
        Fingerprint of the alert that is its cause; empty before the first one joined.
    known
        Least rank of the causes that were known so far.
    watched
        Number of features that are judged.
    number
        Number of transitions so far.
    told
        Whether people were told of it since it opened, and not of its end yet.
    notified
        Logical time (ms) at which people were last told; None if they are to be told of something.
    muted
        Whether nobody was to be told at its latest transition.
    reminders
        Reminders since it opened or its severity last rose.
    effect
        What it did to the performance, in words.
    """

    id: str
    kind: IncidentKind
    version: str
    severity: AlertSeverity
    opened: int
    updated: int
    change: Change
    members: dict[str, Member] = {}
    cause: str = ""
    known: int = 1 + max(RANKS.values())
    watched: int = 0
    number: int = 0
    told: bool = False
    notified: int | None = None
    muted: bool = False
    reminders: int = 0
    ended: int | None = None
    headline: str = ""
    action: Action = "wait"
    advice: str = ""
    effect: str = ""
    acknowledged: Acknowledgement | None = None
    silenced: Silence | None = None

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.ended is None

    @property
    def is_told(self) -> bool:
        """Whether people are to be told of its end; old checkpoints say it otherwise."""
        return self.told or (self.is_open and self.notified is not None)

    @property
    def columns(self) -> set[str]:
        """Columns that its alerts are about."""
        return {name for member in self.members.values() for name in member.columns}

    @property
    def features(self) -> list[Member]:
        """One alert of each feature that changed, the best known one; the cause's feature first,
        then the most changed.
        """
        found: dict[str, Member] = {}
        first = self.members[self.cause].alert.feature
        for member in self.members.values():
            if member.kind in CHANGED:
                known = found.get(member.alert.feature)
                found[member.alert.feature] = max((member, known or member), key=_tells)
        return sorted(
            found.values(),
            key=lambda one: (one.alert.feature != first, -one.strength, one.alert.feature),
        )

    def is_silenced(self, now: int) -> bool:
        """Return whether nobody is told at a logical time (ms)."""
        return self.silenced is not None and now < self.silenced.until


def cause_kind(alert: AlertState) -> CauseKind:
    """Return what an alert would be as a cause."""
    rule = rule_of(alert.rule)
    if is_operational(alert.rule, alert.feature):
        return "operation"
    if rule.kind == "fairness":
        return "fairness"
    if rule.of_segment:
        return "segment"
    if rule.kind == "performance" or not alert.feature:
        return "performance"
    if alert.feature in OUTCOMES:  # however broken: no feed of the model's brings them
        return OUTCOMES[alert.feature]
    return "broken_values" if rule.kind == "data_quality" else "feature"


def _tells(member: Member) -> tuple[bool, bool, float, str]:
    """Order the alerts of one feature by how much they tell of it."""
    broken = member.kind == "broken_values"
    return broken, member.is_sure, member.strength, member.alert.fingerprint
