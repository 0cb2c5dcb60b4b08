"""The life of an incident. Pure: the incident and what happened to its alerts in, the moved
incident and its transition out.

    (none) ──an alert fires──► open ──all alerts resolved──► resolved
                                ▲                               │
                                └── one of its columns again ───┘   within the cooldown

Theory of operation

- People are told when it opens, when its severity rises, when a cause is found that stands before
  the one known so far (broken values before drift of a column, that before a segment, the
  predictions and the performance; many features, where it seemed to be a few), and when it is
  over. All else is recorded (`evidence`) and not told: one more alert of the same fault is no news.
- Its severity is the worst of its alerts' and never falls while it is open.
- While all alerts that fire are silenced, or the incident is, it is *muted*: nobody is told. That
  this begins is recorded (`silenced`), and so is its end while the incident lasts (`released`);
  then is told what was held back, or that something else is to be done by now.
- That it is over is told if anything was told; if it ended in a silence, when that is over.
- An acknowledgement ends reminders, and nothing else.
- It is remembered for the policy's cooldown, and opens again if one of its columns alarms within
  it.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from driftgauge.consumer.judging.alerts.lifecycle import renotify_after
from driftgauge.consumer.judging.incidents.state import RANKS, IncidentState, Member
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Acknowledgement, Silence
from driftgauge.shared.contract.incident import IncidentChange
from driftgauge.shared.contract.severity import worst

FEW: Final = 3
"""Most features that changed each by itself; more of them have a reason in common."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An incident after a transition, what changed, and whether to tell people."""

    incident: IncidentState
    change: IncidentChange
    notify: bool = False


def joined(incident: IncidentState, found: list[Member], now: int) -> IncidentState:
    """Return an incident with alerts that joined it, or that fire anew."""
    members = {**incident.members, **{one.alert.fingerprint: one for one in found}}
    return msgspec.structs.replace(
        incident,
        members=members,
        updated=now,
        severity=worst((incident.severity, *(one.alert.severity for one in found))),
        cause=_cause(incident, members),
    )


def resolved(incident: IncidentState, fingerprints: set[str], now: int) -> IncidentState:
    """Return an incident some of whose alerts resolved."""
    members = {
        name: _ended(member, now) if name in fingerprints and member.is_firing else member
        for name, member in incident.members.items()
    }
    return msgspec.structs.replace(incident, members=members, updated=now)


def _ended(member: Member, now: int) -> Member:
    return msgspec.structs.replace(member, alert=msgspec.structs.replace(member.alert, ended=now))


def _cause(incident: IncidentState, members: dict[str, Member]) -> str:
    """Return the cause: the first in rank, and of those the one that was told, else the strongest.

    A column that one alert names is the same cause whichever of its alerts tells of it.
    """
    known, best = incident.cause, min(RANKS[one.kind] for one in members.values())
    alike = [one for one in members.values() if RANKS[one.kind] == best]
    if known in members and RANKS[members[known].kind] == best >= incident.known:
        return known
    return max(alike, key=lambda one: (one.strength, one.alert.fingerprint)).alert.fingerprint


def moved(
    before: IncidentState | None,
    incident: IncidentState,
    now: int,
    *,
    heard: bool,
    policy: JudgingPolicy,
) -> Moved | None:
    """Return the transition from what an incident was to what it is; None if nothing happened.

    Parameters
    ----------
    before
        The incident before this moment; None if it opens now.
    heard
        Whether one of its alerts that fire, or of those that ended last, is not silenced.
    """
    firing = any(one.is_firing for one in incident.members.values())
    change = _change(before, incident, firing=firing)
    muted = not heard or incident.is_silenced(now)
    was_muted = before is not None and before.muted
    incident = msgspec.structs.replace(incident, muted=muted)
    if change == "resolved" or not (firing or incident.is_open):
        return _over(incident, now, ends=change == "resolved")
    if incident.ended is not None:
        incident = msgspec.structs.replace(
            incident, ended=None, notified=None, reminders=0, acknowledged=None
        )
    news = change in {"opened", "reopened", "severity", "cause"}
    owed = incident.notified is None
    if not news and not muted and owed:
        change = "released"
    elif change is None and not muted and _reminds(incident, now, policy):
        change = "reminder"
    elif change is None and muted is not was_muted:
        change = "silenced" if muted else "released"
    if change is None:
        return None
    notify = not muted and (news or change == "reminder" or (change == "released" and owed))
    incident = msgspec.structs.replace(incident, known=min(incident.known, rank_of(incident)))
    other_advice = before is not None and incident.action != before.action
    if muted and (news or other_advice):
        incident = msgspec.structs.replace(incident, told=incident.is_told, notified=None)
    elif notify:
        reminders = incident.reminders + 1 if change == "reminder" else 0
        incident = msgspec.structs.replace(incident, told=True, notified=now, reminders=reminders)
    return _numbered(Moved(incident, change, notify))


def _over(incident: IncidentState, now: int, *, ends: bool) -> Moved | None:
    """Return the transition of an incident that ends now, or that ended in a silence which is over;
    None if there is none.
    """
    if not ends and (incident.muted or not incident.is_told):
        return None
    notify = incident.is_told and not incident.muted
    incident = msgspec.structs.replace(
        incident,
        told=incident.is_told and not notify,
        notified=now if notify else incident.notified,
        ended=now if ends else incident.ended,
    )
    return _numbered(Moved(incident, "resolved", notify))


def _change(
    before: IncidentState | None, incident: IncidentState, *, firing: bool
) -> IncidentChange | None:
    """Return what changed, the most important first."""
    if before is None:
        return "opened"
    if not firing:
        return "resolved" if before.is_open else None
    if not before.is_open:
        return "reopened"
    if incident.severity != before.severity:
        return "severity"
    if rank_of(incident) < before.known or _widened(before, incident):
        return "cause"
    return "evidence" if incident.members != before.members else None


def rank_of(incident: IncidentState) -> int:
    """Return the rank of an incident's cause."""
    return RANKS[incident.members[incident.cause].kind]


def _widened(before: IncidentState, incident: IncidentState) -> bool:
    """Return whether what was told of a few features is a change of many."""
    return len(before.features) <= FEW < len(incident.features)


def _reminds(incident: IncidentState, now: int, policy: JudgingPolicy) -> bool:
    return (
        bool(policy.renotify_ms)
        and incident.acknowledged is None
        and incident.notified is not None
        and now - incident.notified >= renotify_after(incident.reminders, policy)
    )


def acknowledge(incident: IncidentState, mark: Acknowledgement) -> Moved:
    """Mark an open incident as seen."""
    return _numbered(Moved(msgspec.structs.replace(incident, acknowledged=mark), "acknowledged"))


def silence(incident: IncidentState, mark: Silence) -> Moved:
    """Tell nobody of an open incident for a time."""
    marked = msgspec.structs.replace(incident, silenced=mark, muted=True)
    return _numbered(Moved(marked, "silenced"))


def _numbered(found: Moved) -> Moved:
    incident = msgspec.structs.replace(found.incident, number=found.incident.number + 1)
    return Moved(incident, found.change, found.notify)
