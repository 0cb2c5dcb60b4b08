"""An incident as it is published: one fault of a model, told once, with its alerts as evidence.

All times are logical Unix times in ms.
"""

from typing import Final, Literal

import msgspec

from driftgauge.shared.contract.alert import Acknowledgement, Action, Silence
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.moments import Moment

IncidentKind = Literal["model", "operation"]
"""Whether the model and its data are at fault, or the machine: its speed, its traffic, its monitor."""  # noqa: E501  a sentence
CauseKind = Literal[
    "broken_values",
    "feature",
    "joint",
    "segment",
    "prediction",
    "label",
    "performance",
    "fairness",
    "operation",
]
"""What an alert of a model is as the cause of an incident."""
IncidentState = Literal["open", "resolved"]
IncidentChange = Literal[
    "opened",
    "reopened",
    "severity",
    "cause",
    "evidence",
    "released",
    "reminder",
    "acknowledged",
    "silenced",
    "resolved",
]
"""What changed: it began or began again; it is worse; another cause was found; another alert joined
or one resolved; a silence is over; people are reminded; a person marked it; it is over. `silenced`
is also that all of its alerts are, one by one. The end of what ended in a silence comes once more
when that is over, to be told.
"""
MOST_EVIDENCE: Final = 100
"""Most alerts that an incident names."""
MOST_FEATURES: Final = 20
"""Most columns that an incident names."""
HEADLINE_LENGTH: Final = 140
"""Most characters of a headline."""


class Change(msgspec.Struct, frozen=True):
    """When something changed: the likeliest moment, and the earliest and the latest that the
    evidence leaves possible (logical ms).

    Parameters
    ----------
    since
        The likeliest moment.
    earliest, latest
        The limits.

    Examples
    --------
    >>> Change(50, 40, 60).meets(Change(62, 60, 70)), Change(50, 40, 60).meets(Change(90, 80, 95))
    (True, False)
    """

    since: Moment
    earliest: Moment
    latest: Moment

    def meets(self, other: "Change") -> bool:
        """Return whether both can have happened at the same moment."""
        return self.earliest <= other.latest and other.earliest <= self.latest


class IncidentAlert(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert of an incident.

    Parameters
    ----------
    fingerprint
        Id of the alert.
    version, feature, segment, rule
        What it is about: version, column and segment (empty if it is about no single one), and the
        rule that is broken.
    severity, summary
        How bad it is, and what it says in a sentence.
    started
        Start of the alert's life.
    joined
        When it fired and joined.
    ended
        When it resolved; None while it fires.
    change
        When the column changed; None if that is not known.
    traces
        Some traces of its evidence, by their ids; empty if none was traced.
    """

    fingerprint: str
    version: str
    feature: str
    rule: str
    severity: AlertSeverity
    summary: str
    started: Moment
    joined: Moment
    segment: str = ""
    ended: Moment | None = None
    change: Change | None = None
    traces: tuple[str, ...] = ()


class IncidentCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an incident is put down to.

    Parameters
    ----------
    kind
        Broken values, a column that drifts, numeric features that no longer go together, a segment,
        the predictions, the labels, the performance, unequal treatment, a limit of operation, or
        the monitor that is blind.
    fingerprint, rule
        The alert that tells of it, and its rule.
    feature, segment
        The column and the segment; empty if it is about no single one.
    effect
        What happened to it, in words and in its own unit.
    version
        The version that it is about.
    """

    kind: Literal[CauseKind, "monitor"]
    fingerprint: str
    feature: str = ""
    rule: str = ""
    segment: str = ""
    effect: str = ""
    version: str = ""


class Incident(msgspec.Struct, frozen=True):
    """The data of a transition of an incident.

    Parameters
    ----------
    id
        Id of the incident, the same for all of its transitions and whenever the same log is judged.
    model, version
        Name of the model, and version of the alert that opened it.
    kind
        Whether the model and its data are at fault, or the operation: speed, traffic, monitor.
    state, severity
        Whether it is over, and how bad it is.
    number
        Number of the transition, from 1.
    change, notify
        What changed, and whether people are to be told.
    headline
        What happened, where, since when and how bad, at most 140 characters.
    action, advice
        What to do, by name and as one sentence.
    cause
        What it is put down to.
    since, earliest, latest
        When it began, by the evidence so far, and within which limits.
    opened, updated, ended
        Times of the first alert, of this transition, and of its end (None while it is open).
    features, of_features
        Columns that changed, the most changed first, at most 20; and how many they are in all.
    effect
        What it did to the model's performance, in words; empty if nothing is known.
    alerts, of_alerts
        Its alerts in the order in which they joined, at most 100; and how many they are in all.
    snapshot, report
        Id of the snapshot report that goes with it, and its path in the API; empty without one.
    acknowledged, silenced
        Marks of people; None without one.
    muted
        Whether nobody is told of it now: it is silenced, or all of its alerts that fire are.
    """

    id: str
    model: str
    version: str
    kind: IncidentKind
    state: IncidentState
    severity: AlertSeverity
    number: int
    change: IncidentChange
    notify: bool
    headline: str
    action: Action
    advice: str
    cause: IncidentCause
    since: Moment
    earliest: Moment
    latest: Moment
    opened: Moment
    updated: Moment
    ended: Moment | None
    features: list[str]
    of_features: int
    effect: str
    alerts: list[IncidentAlert]
    of_alerts: int
    snapshot: str = ""
    report: str = ""
    acknowledged: Acknowledgement | None = None
    silenced: Silence | None = None
    muted: bool = False
