"""An alert as it is published: its evidence, its marks, its transitions and the CloudEvent around
them.

All times are logical Unix times in ms.
"""

from typing import Literal

import msgspec

from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.moments import Moment

Action = Literal[
    "check_service",
    "fix_feed",
    "roll_back",
    "review",
    "accept_reference",
    "retrain",
    "recalibrate",
    "wait",
]


class Contribution(msgspec.Struct, frozen=True):
    """A bin that contributes to a drift.

    Parameters
    ----------
    label
        Its values in words.
    reference, window
        Its share of the rows, in reference and window.
    psi
        Its contribution to the PSI.
    """

    label: str
    reference: float
    window: float
    psi: float


class BrokenValues(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values of a column that are not as in the reference, by kind.

    Parameters
    ----------
    rows
        Rows that were looked at: those of the window, or of an online test those since the change.
    missing, outside, unseen
        How many have no value, a number outside the reference's range, or a category that the
        reference does not have.
    smallest, largest
        Range of a number in the reference; None for categories.
    lowest, highest
        The most extreme numbers below and above that range; None without one.
    names
        Some of the unseen categories, those that came first.
    unit
        Unit of the numbers, as the schema has it; empty if none is known.
    """

    rows: int
    missing: int = 0
    outside: int = 0
    unseen: int = 0
    smallest: float | None = None
    largest: float | None = None
    lowest: float | None = None
    highest: float | None = None
    names: tuple[str, ...] = ()
    unit: str = ""


class AlertEvidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """The numbers that an alert is based on.

    Parameters
    ----------
    statistic, value, threshold
        What was measured, its value, and the limit that it broke (None without one).
    expected
        What the value would be on average without drift; None if that is not known.
    n, m
        Rows of the reference and of the window.
    events
        Number of the model's events when the evidence was taken.
    window_start, window_end
        Times of the window (logical ms).
    effect
        An online detector's estimate in words.
    cells
        The bins that contribute most, the largest first.
    broken
        What is wrong with the values; None of a rule that is about something else.
    mean_rank
        Mean reference rank of the values since the change, 0 to 1; .5 without a change.
    unit
        Unit of value, threshold and expected value; empty without one.
    traces
        Some traces, by their ids: of predictions with the broken values, else of the slowest in the
        window; empty if none was traced.
    """

    statistic: str
    value: float
    threshold: float | None
    expected: float | None
    n: int
    m: int
    events: int
    window_start: Moment
    window_end: Moment
    effect: str = ""
    cells: list[Contribution] = []
    broken: BrokenValues | None = None
    mean_rank: float | None = None
    unit: str = ""
    traces: tuple[str, ...] = ()


class AlertGroup(msgspec.Struct, frozen=True):
    """The transitions of one model at one moment, written together. To send one notification for
    all of them, use the first.

    Parameters
    ----------
    id
        Id of the group, the same for all its transitions.
    place, size
        Position of this transition in the group, from 0, and the group's size.
    summary
        Summary of the group in one sentence.
    """

    id: str
    place: int
    size: int
    summary: str


class Acknowledgement(msgspec.Struct, frozen=True):
    """A person has seen it, so there are no reminders.

    Parameters
    ----------
    who, note
        Who it was, and what they wrote.
    time
        When, in logical ms.
    """

    who: str
    note: str
    time: Moment


class Silence(msgspec.Struct, frozen=True):
    """Nobody is to be notified until a time.

    Parameters
    ----------
    who, note
        Who wanted it, and what they wrote.
    time, until
        When they did, and until when it holds, in logical ms.
    """

    who: str
    note: str
    time: Moment
    until: Moment


AlertChange = Literal["state", "severity", "reminder", "released", "acknowledged", "silenced"]
"""What changed in a transition: see consumer/judging/alerts/lifecycle.py."""


class Alert(msgspec.Struct, frozen=True):
    """The data of an alert transition.

    Parameters
    ----------
    fingerprint
        Id of the alert: the same for all transitions of a model, version, feature, rule and
        segment.
    model, version, feature
        What it is about; `feature` is empty if it is about no single column.
    rule, severity, summary
        The rule that is broken, how bad that is, and both in a sentence.
    evidence
        The numbers that it is based on.
    state
        The state that the alert enters.
    started, updated, ended
        Logical times (ms); `ended` is None until the alert is resolved.
    snapshot
        Id of the version's latest snapshot report at this moment, which is of this moment if an
        incident opened; empty for an alert that does not fire.
    report
        Path of that report in the API.
    number
        Number of the transition within this life of the alert, from 1; 0 for the watchdog's alerts.
    change
        What changed: the state, the severity, a mark, or a reminder.
    notify
        Whether people are to be notified.
    action, advice
        Recommended action, by name and in words.
    group
        The transitions of the same moment.
    inhibited_by
        Fingerprint of the alert that explains this one; it is not notified meanwhile.
    segment
        Segment that it is about, as `region=north`; empty for all rows.
    acknowledged, silenced
        Marks of people; None without one.
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
    started: Moment
    updated: Moment
    ended: Moment | None
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
    """A transition of an alert or an incident, or a snapshot, as CloudEvents 1.0 (JSON).

    Parameters
    ----------
    id
        Id of the event, the same whenever the same log is judged.
    source
        `/driftgauge/` and the model.
    subject
        The version, and what it is about.
    time
        When it happened, in ISO 8601.
    dataschema
        Name of the JSON schema of `data` (`schema_id`).
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: msgspec.Raw
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    dataschema: str = ""


def schema_id(name: str) -> str:
    """Return the `$id` of a published JSON schema: a name, the same in every deployment. An API has
    the schema at `/schemas/` and its name.

    Examples
    --------
    >>> schema_id("alert")
    'urn:driftgauge:schema:alert:1'
    """
    return f"urn:driftgauge:schema:{name}:1"
