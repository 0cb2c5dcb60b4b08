"""Which incident an alert belongs to. Pure: the alert, when its change was, and the incidents.

Theory of operation

An alert that fires joins the open incident that explains it, by the first of these rules that finds
one; otherwise it opens its own.

1. *Explained*: it is about a segment or an ordered column, and the alert that inhibits it is in the
   incident. (A column that drifts is inhibited by any fall of the performance, whatever the reason
   of either.)
2. *The same column*: it is about a feature or a segment, and the incident has an alert of one of
   its columns.
3. *At the same time*: it is about a column or a segment, and its change can have happened when the
   incident's did. Both are intervals (changes.py), so two columns that broke days apart are two
   incidents, and sixty that broke together are one. Of several the one nearest in time.
4. *A consequence*: it is about the predictions, the labels or the performance, which follow from
   what the columns do, and the incident did not certainly begin after it. Of several the latest,
   those with a column first.

Operation (latency, traffic) never mixes with the model: such alerts of one model share an incident.
So do those of unequal treatment, which somebody else may have to look at.
An alert joins a closed incident, which opens again, by the first two rules alone, and within the
policy's cooldown.
"""

from collections.abc import Iterable, Sequence

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.incidents.state import IncidentState, cause_kind
from driftgauge.shared.contract.incident import CauseKind, Change
from driftgauge.shared.rules import rule_of

CONSEQUENCES = frozenset({"prediction", "label", "performance"})
APART = frozenset({"operation", "fairness"})


def incident_of(
    alert: AlertState, change: Change, incidents: Sequence[IncidentState]
) -> IncidentState | None:
    """Return the incident that an alert joins; None if it opens its own.

    Parameters
    ----------
    change
        When what the alert tells of began.
    incidents
        The model's incidents, open ones and those that may open again.
    """
    kind = cause_kind(alert)
    if kind in APART:
        alike = [one for one in incidents if _kind(one) == kind]
        return _latest(one for one in alike if one.is_open) or _latest(alike)
    of_model = [one for one in incidents if _kind(one) not in APART]
    opened = [one for one in of_model if one.is_open]
    consequence = kind in CONSEQUENCES
    return (
        _explaining(alert, opened)
        or (None if consequence else _of_column(alert, opened))
        or _simultaneous(alert, change, opened)
        or _followed(alert, change, opened)
        or _explaining(alert, of_model)
        or _of_column(alert, of_model)
    )


def _kind(incident: IncidentState) -> CauseKind:
    return incident.members[incident.cause].kind


def columns_of(alert: AlertState) -> set[str]:
    """Return the columns that an alert is about."""
    return {alert.feature, *alert.columns} - {""}


def _explaining(alert: AlertState, incidents: Iterable[IncidentState]) -> IncidentState | None:
    rule = rule_of(alert.rule)
    cause = alert.inhibited_by if rule.of_segment or rule.weekly else ""
    return _latest(one for one in incidents if cause and cause in one.members)


def _of_column(alert: AlertState, incidents: Iterable[IncidentState]) -> IncidentState | None:
    columns = columns_of(alert)
    return _latest(one for one in incidents if columns & one.columns)


def _simultaneous(
    alert: AlertState, change: Change, incidents: Iterable[IncidentState]
) -> IncidentState | None:
    if cause_kind(alert) in CONSEQUENCES:
        return None
    found = [one for one in incidents if one.change.meets(change)]
    return min(found, key=lambda one: (abs(one.change.since - change.since), one.id), default=None)


def _followed(
    alert: AlertState, change: Change, incidents: Iterable[IncidentState]
) -> IncidentState | None:
    if cause_kind(alert) not in CONSEQUENCES:
        return None
    found = [one for one in incidents if one.change.earliest <= change.latest]
    return _latest(one for one in found if one.features) or _latest(found)


def _latest(incidents: Iterable[IncidentState]) -> IncidentState | None:
    return max(incidents, key=lambda one: (one.opened, one.id), default=None)
