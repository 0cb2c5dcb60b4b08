"""The life of an alert: inactive, pending, firing, resolved. Pure: a state and a reading in, a state out.

    inactive ──bad──► pending ──bad again──► firing ──3 quiet──► resolved (and gone)
                         └─────not bad──► inactive (and gone)

An online detector's alarm fires at once. While an alert fires its severity may rise; it falls only by resolving, so that
it does not flap. A reading that is neither bad nor quiet keeps things as they are.
"""

from typing import Literal

import msgspec

from shared.snapshot import Severity

AlertSeverity = Literal["warning", "critical"]


class AlertState(msgspec.Struct, frozen=True):
    """An alert that is pending or firing.

    Parameters
    ----------
    started, updated
        Logical times (ms) of its first and latest bad reading.
    bad, quiet
        Such readings running.
    last_alarm, delay
        Of an online detector: events of the model counted at its latest alarm, and that alarm's delay.
    summary
        What is wrong, in words.
    """

    fingerprint: str
    version: str
    feature: str
    rule: str
    severity: AlertSeverity
    state: Literal["pending", "firing"]
    started: int
    updated: int
    summary: str
    bad: int = 0
    quiet: int = 0
    last_alarm: int = 0
    delay: int = 0


class Reading(msgspec.Struct, frozen=True):
    """What one evaluation says of one rule: how bad, or quiet, or neither. `at_once` fires without a second one."""

    severity: AlertSeverity | None
    quiet: bool
    summary: str = ""
    at_once: bool = False


Transition = Literal["pending", "firing", "resolved", "inactive"]


def step(
    alert: AlertState, reading: Reading, now: int, bad_to_fire: int, quiet_to_resolve: int
) -> tuple[AlertState, Transition | None]:
    """Move an alert by one reading.

    Parameters
    ----------
    alert
        As it stands; a new one has no bad reading yet.
    reading
        Of this evaluation.
    now
        Logical time (ms).

    Returns
    -------
    alert, transition
        The transition is None if nothing changed that anybody should be told. A resolved or inactive alert is gone.

    Examples
    --------
    >>> new = AlertState("f", "1.0.0", "x", "psi", "warning", "pending", 0, 0, "")
    >>> bad = Reading("warning", quiet=False)
    >>> pending, first = step(new, bad, 1, 2, 3)
    >>> firing, second = step(pending, bad, 2, 2, 3)
    >>> first, second
    ('pending', 'firing')
    """
    if reading.severity is None:
        return _not_bad(alert, reading, quiet_to_resolve)
    worse = "critical" if "critical" in (alert.severity, reading.severity) and alert.bad else reading.severity
    moved = msgspec.structs.replace(alert, severity=worse, updated=now, summary=reading.summary, bad=alert.bad + 1, quiet=0)
    if alert.state == "pending" and (reading.at_once or moved.bad >= bad_to_fire):
        return msgspec.structs.replace(moved, state="firing"), "firing"
    if not alert.bad:
        return moved, "pending"
    rose = alert.state == "firing" and worse != alert.severity
    return moved, "firing" if rose else None


def _not_bad(alert: AlertState, reading: Reading, quiet_to_resolve: int) -> tuple[AlertState, Transition | None]:
    if alert.state == "pending":
        return alert, "inactive"
    moved = msgspec.structs.replace(alert, quiet=alert.quiet + 1 if reading.quiet else 0)
    if moved.quiet < quiet_to_resolve:
        return moved, None
    return msgspec.structs.replace(moved, summary=reading.summary), "resolved"


def worst(severities: list[Severity]) -> Severity:
    """Give the worst of some severities; insufficient data counts less than any verdict, excluded least.

    Examples
    --------
    >>> worst(["ok", "warning", "excluded"])
    'warning'
    """
    order: list[Severity] = ["critical", "warning", "ok", "insufficient_data", "uncalibrated", "excluded"]
    return min(severities, key=order.index, default="insufficient_data")
