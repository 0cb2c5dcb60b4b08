"""The life of an alert. Pure: an alert as it stands and a reading in, the moved alert and its
transition out.

    (none) ──bad──► pending ──bad again──► firing ──3 quiet──► resolved
                       └─────not bad──► inactive

Theory of operation

- A *reading* is what one evaluation says of one rule: bad (with a severity), quiet (well below the
  threshold), or neither. Two bad ones in a row make an alert fire, as a debounce. An online
  detector's alarm needs no second one.
- While an alert fires its severity may rise, never fall: it falls only by resolving, so that it
  does not flap. A reading that is neither bad nor quiet keeps things as they are. Three quiet ones
  in a row resolve it; a reading that says *over* does so at once, and so does the end of its
  version. For ordered columns, neighbouring windows hold mostly the same rows: such a reading
  requires whole days of quiet besides (`quiet_days`).
- *Cooldown*: a resolved alert is remembered (`closed`). If its rule turns bad again before the
  cooldown is over, a new life begins and stays pending, however many bad readings come, and fires
  at the first bad one after the cooldown. So a lasting alert is never hidden, and one that comes
  and goes is notified at most once per cooldown. A higher severity than that of the previous life
  is not held back.
- *Notification* is apart from state. Every transition is recorded; `notify` says whether people are
  to be told. An alert that is inhibited or silenced when it fires is owed its notification: it is
  told (`released`) at the first reading at which nothing holds it back and it still fires. What was
  told is not told again while it stands: news of it is a rise of severity, and its end. A policy
  may ask for reminders (`renotify_ms`): after that time, then after twice as long each time, up to
  `renotify_max_ms`, unless it is acknowledged; neither at a quiet reading, after which it may
  resolve; a rise of severity begins that anew. Where a reading is of many days, a reminder comes
  after as many at the earliest, and while it is bad (`rest_days`): before, the rows are the same.
  That it resolved is told only if that it fired was, and not while it is silenced.
- *Marks* (acknowledged, silenced, inhibited) change no state. An acknowledgement ends with the
  life; a silence lasts until its time, even beyond the life. People are notified of a rise of
  severity even if the alert is acknowledged.
- Every time is logical, so a replay gives the same lives. Each transition of a life has a number.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Acknowledgement, AlertChange, AlertEvidence, Silence
from driftgauge.shared.contract.severity import AlertSeverity, worst
from driftgauge.shared.rules import rule_of

State = Literal["pending", "firing", "resolved", "inactive"]
DAY_MS = 86_400_000
MOST_DOUBLINGS = 32


class AlertState(msgspec.Struct, frozen=True):
    """An alert that is pending or firing, or closed and remembered.

    Parameters
    ----------
    started, updated
        Logical times (ms) of its first and latest bad reading.
    summary
        What is wrong, in words.
    bad, quiet
        Number of consecutive readings of that kind.
    quiet_since
        Logical time (ms) of the first of the consecutive quiet readings.
    online
        Whether its readings are the alarms of an online detector.
    last_alarm, delay
        For an online one: the model's events counted at its latest alarm, and that alarm's delay in
        events.
    number
        Number of transitions of this life so far.
    notified
        Logical time (ms) at which people were last notified of this life; None if never.
    reminders
        Number of reminders since the alert fired or its severity last rose.
    held_until, held_severity
        No firing before this logical time (ms), unless more severe than the previous life
        (`held_severity`).
    evidence
        Evidence of the latest transition.
    segment, columns
        The segment that it is about, `region=north`, and the columns that drift in it; empty if it
        is about all rows.
    """

    fingerprint: str
    version: str
    feature: str
    rule: str
    severity: AlertSeverity
    state: Literal["pending", "firing", "closed"]
    started: int
    updated: int
    summary: str
    bad: int = 0
    quiet: int = 0
    quiet_since: int = 0
    online: bool = False
    last_alarm: int = 0
    delay: int = 0
    number: int = 0
    notified: int | None = None
    reminders: int = 0
    held_until: int = 0
    held_severity: AlertSeverity = "warning"
    inhibited_by: str = ""
    acknowledged: Acknowledgement | None = None
    silenced: Silence | None = None
    evidence: AlertEvidence | None = None
    segment: str = ""
    columns: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state != "closed"

    def is_silenced(self, now: int) -> bool:
        return self.silenced is not None and now < self.silenced.until

    def is_remembered(self, now: int) -> bool:
        """Return whether a closed alert must be kept for its cooldown or its silence."""
        return now < self.held_until or self.is_silenced(now)


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition of an alert: the state that it is in now, what changed, and whether to notify
    people.
    """

    state: State
    change: AlertChange = "state"
    notify: bool = False


Moved = tuple[AlertState, Transition | None]
"""The moved alert, and its transition; None if nothing was recorded."""


def next_life(closed: AlertState, now: int) -> AlertState:
    """Begin a new life of an alert that is closed and remembered."""
    return AlertState(
        closed.fingerprint,
        closed.version,
        closed.feature,
        closed.rule,
        "warning",
        "pending",
        now,
        now,
        "",
        held_until=closed.held_until if now < closed.held_until else 0,
        held_severity=closed.held_severity,
        silenced=closed.silenced if closed.is_silenced(now) else None,
        segment=closed.segment,
    )


def step(alert: AlertState, reading: Reading, now: int, policy: JudgingPolicy) -> Moved:
    """Move an open alert by one reading.

    Parameters
    ----------
    alert
        The alert; a new one has no bad reading yet.
    reading
        Reading of this evaluation.
    now
        Logical time (ms).

    Examples
    --------
    >>> new = AlertState("f", "1.0.0", "x", "psi", "warning", "pending", 0, 0, "")
    >>> bad = Reading("warning", quiet=False)
    >>> pending, first = step(new, bad, 1, JudgingPolicy())
    >>> firing, second = step(pending, bad, 2, JudgingPolicy())
    >>> first.state, second.state, second.notify
    ('pending', 'firing', True)
    """
    moved, transition = (
        _bad(alert, reading, now, policy)
        if reading.severity
        else _not_bad(alert, reading, now, policy)
    )
    return _numbered(moved, transition)


def end(alert: AlertState, now: int, policy: JudgingPolicy, summary: str) -> Moved:
    """End an alert's life, whatever its readings: a firing one is resolved, a pending one
    inactive.
    """
    return _numbered(*_ended(msgspec.structs.replace(alert, summary=summary), now, policy))


def acknowledge(alert: AlertState, mark: Acknowledgement) -> Moved:
    """Mark an open alert as seen."""
    return _marked(msgspec.structs.replace(alert, acknowledged=mark), "acknowledged")


def silence(alert: AlertState, mark: Silence) -> Moved:
    """Mark an open alert as silenced."""
    return _marked(msgspec.structs.replace(alert, silenced=mark), "silenced")


def _bad(alert: AlertState, reading: Reading, now: int, policy: JudgingPolicy) -> Moved:
    severity = (
        worst((alert.severity, reading.severity))
        if alert.bad and reading.severity
        else reading.severity
    )
    moved = msgspec.structs.replace(
        alert,
        severity=severity or alert.severity,
        started=alert.started if reading.since is None else min(alert.started, reading.since),
        updated=now,
        summary=reading.summary if severity == reading.severity else alert.summary,
        bad=alert.bad + 1,
        quiet=0,
    )
    if alert.state == "firing":
        risen = moved.severity != alert.severity
        return (
            _told(moved, "severity", now) if risen else _still_firing(moved, reading, now, policy)
        )
    enough = reading.at_once or moved.bad >= policy.bad_to_fire
    if enough and not _held_back(moved, now):
        return _told(msgspec.structs.replace(moved, state="firing"), "state", now)
    return moved, None if alert.bad else Transition("pending")


def _not_bad(alert: AlertState, reading: Reading, now: int, policy: JudgingPolicy) -> Moved:
    if alert.state == "pending":
        return _ended(alert, now, policy)
    since = alert.quiet_since if alert.quiet else now
    moved = msgspec.structs.replace(
        alert, quiet=alert.quiet + 1 if reading.quiet else 0, quiet_since=since
    )
    long_enough = now // DAY_MS - since // DAY_MS >= reading.quiet_days
    if reading.over or (moved.quiet >= policy.quiet_to_resolve and long_enough):
        return _ended(msgspec.structs.replace(moved, summary=reading.summary), now, policy)
    rests = reading.quiet or reading.rest_days
    return (moved, None) if rests else _still_firing(moved, reading, now, policy)


def _held_back(alert: AlertState, now: int) -> bool:
    return (
        now < alert.held_until
        and worst((alert.severity, alert.held_severity)) == alert.held_severity
    )


def _still_firing(alert: AlertState, reading: Reading, now: int, policy: JudgingPolicy) -> Moved:
    """Send a notification that was held back, or a reminder, if one is due."""
    if alert.acknowledged or _is_untold(alert, now):
        return alert, None
    if alert.notified is None:
        return _told(alert, "released", now)
    if not policy.renotify_ms:
        return alert, None
    due = now - alert.notified >= max(
        renotify_after(alert.reminders, policy), reading.rest_days * DAY_MS
    )
    return _told(alert, "reminder", now) if due else (alert, None)


def renotify_after(reminders: int, policy: JudgingPolicy) -> int:
    """Return the logical time (ms) until the next reminder, after so many, where a policy asks for
    them.

    Examples
    --------
    >>> policy = JudgingPolicy(renotify_ms=14_400_000)
    >>> [renotify_after(reminders, policy) // 3_600_000 for reminders in (0, 1, 2, 5, 6, 1000)]
    [4, 8, 16, 128, 168, 168]
    """
    longest = max(policy.renotify_max_ms, policy.renotify_ms)
    return min(policy.renotify_ms << min(reminders, MOST_DOUBLINGS), longest)


def _is_untold(alert: AlertState, now: int) -> bool:
    """Return whether people are not notified: another alert explains it, it is silenced, or its
    rule does not notify.
    """
    by_rule = not rule_of(alert.rule).notify
    return by_rule or bool(alert.inhibited_by) or alert.is_silenced(now)


def _told(alert: AlertState, change: AlertChange, now: int) -> Moved:
    notify = not _is_untold(alert, now)
    if notify:
        alert = msgspec.structs.replace(
            alert, notified=now, reminders=alert.reminders + 1 if change == "reminder" else 0
        )
    return alert, Transition("firing", change, notify)


def _ended(alert: AlertState, now: int, policy: JudgingPolicy) -> Moved:
    closed = msgspec.structs.replace(alert, state="closed")
    if alert.state == "pending":
        return closed, Transition("inactive")
    notify = alert.notified is not None and not alert.is_silenced(now)
    held = msgspec.structs.replace(
        closed, held_until=now + policy.cooldown_ms, held_severity=alert.severity
    )
    return held, Transition("resolved", notify=notify)


def _marked(alert: AlertState, change: AlertChange) -> Moved:
    return _numbered(alert, Transition("firing" if alert.state == "firing" else "pending", change))


def _numbered(alert: AlertState, transition: Transition | None) -> Moved:
    return (
        msgspec.structs.replace(alert, number=alert.number + 1) if transition else alert
    ), transition
