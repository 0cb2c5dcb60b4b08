"""An alert as it is told: its evidence, its marks, its transitions and the CloudEvent around them.

All times are logical Unix times in ms.
"""

from typing import Literal

import msgspec

from driftgauge.shared.contract.severity import AlertSeverity

Action = Literal["fix_feed", "roll_back", "accept_reference", "retrain", "recalibrate", "wait"]


class Contribution(msgspec.Struct, frozen=True):
    """A cell that contributes to a drift: its label, its share of the rows in reference and window,
    its part of the PSI.
    """

    label: str
    reference: float
    window: float
    psi: float


class AlertEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an alert says what it says.

    `events` is the number of events of the model counted when it was taken; `n` and `m` are
    reference and window rows; `effect` is an online detector's estimate in words; `cells` are those
    that contribute most, the largest first.
    """

    statistic: str
    value: float
    threshold: float | None
    expected: float | None
    n: int
    m: int
    events: int
    window_start: int
    window_end: int
    effect: str = ""
    cells: list[Contribution] = []


class AlertGroup(msgspec.Struct, frozen=True):
    """The transitions of one model at one moment, written together; to show one notification, show
    the group's first.

    Parameters
    ----------
    id
        The same for all of them.
    place, size
        Which one of how many this is, from 0.
    summary
        All of them in one sentence.
    """

    id: str
    place: int
    size: int
    summary: str


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody has seen the alert: no reminders. `time` is logical (ms)."""

    who: str
    note: str
    time: int


class Silence(msgspec.Struct, frozen=True):
    """Nobody is to be notified until a logical time (ms)."""

    who: str
    note: str
    time: int
    until: int


AlertChange = Literal["state", "severity", "reminder", "released", "acknowledged", "silenced"]
"""What a transition is about: see consumer/judging/alerts/lifecycle.py."""


class Alert(msgspec.Struct, frozen=True):
    """The data of an alert transition.

    Parameters
    ----------
    fingerprint
        The same for all transitions of the same model, version, feature and rule.
    state
        The state that the alert enters.
    started, updated, ended
        Logical times; `ended` is None until it is resolved.
    snapshot
        Id of the snapshot report that goes with it, empty if there is none.
    report
        Path of that report in the API.
    number
        Of the transition in this life of the alert, from 1; 0 for the watchdog's.
    change
        What it is about.
    notify
        Whether people are to be told.
    action, advice
        What to do, by name and in words.
    group
        The transitions of the same moment.
    inhibited_by
        Fingerprint of the alert that explains this one; it is not notified meanwhile.
    segment
        Which rows it is about, as `region=north`; empty for all rows.
    """

    fingerprint: str
    model: str
    version: str
    feature: str
    rule: str
    severity: AlertSeverity
    state: Literal["pending", "firing", "resolved", "inactive"]
    summary: str
    evidence: AlertEvidence
    started: int
    updated: int
    ended: int | None
    snapshot: str
    report: str = ""
    number: int = 0
    change: AlertChange = "state"
    notify: bool = True
    action: Action | None = None
    advice: str = ""
    group: AlertGroup | None = None
    inhibited_by: str = ""
    acknowledged: Acknowledgement | None = None
    silenced: Silence | None = None
    segment: str = ""


class CloudEvent(msgspec.Struct, frozen=True):
    """An alert transition or a snapshot as CloudEvents 1.0 (JSON)."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: msgspec.Raw
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
