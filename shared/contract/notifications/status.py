"""What the worker tells of the routes of notifications: written beside a route's checkpoint
(`Keys.route`), read by the API, its watchdog and `driftgauge notify list`. Pure.

`Keys.routes` is the set of the names. The hash `Keys.route(name)` has the fields ABOUT, written by
the worker that takes the route up, and STATUS, written with each commit. What the stage itself
fails on, such as a secret that is gone, stands in the field FIELD of fault.py beside them.
`Keys.route_dead(name)` is the stream of dead letters: `key`, `model`, `reason`, and `e`, the
incident's CloudEvents JSON.
"""

from typing import Final

import msgspec

from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.moments import Moment

ABOUT: Final = b"about"
STATUS: Final = b"status"
DEAD_KEPT: Final = 1000
"""Most dead letters that are kept of a route."""
MOST_MODELS: Final = 20
"""Most models that a failure names."""
NOTIFICATION_RULE: Final = "blind.notification"
"""The watchdog's rule about a route that fails."""
ROUTE_SEGMENT: Final = "route="
"""Beginning of the segment of an alert of that rule; the name of the route follows. A route is not
told that it fails itself.
"""


class RouteAbout(msgspec.Struct, frozen=True):
    """What a route is, in words; nothing of it is a secret.

    Parameters
    ----------
    name
        Its name.
    kind
        Kind of its target, such as `webhook`.
    host
        Host of its target; empty if it has none, or if its address is a secret.
    matches, quiet
        What it takes, and when it tells nothing, in words; `quiet` is empty for never.
    group_seconds, repeat_minutes
        As in the policy file.
    told
        When a worker wrote this (Unix ms).
    """

    name: str
    kind: str
    host: str
    matches: str
    quiet: str = ""
    group_seconds: float = 0
    repeat_minutes: float = 0
    told: Moment = 0


class RouteFailure(msgspec.Struct, frozen=True):
    """What a route fails on, since its target last took a message.

    Parameters
    ----------
    since, at
        When the first and the latest attempt failed.
    reason
        What was wrong at the latest.
    tries
        Attempts that failed.
    refused
        How many messages became dead letters.
    models
        Models of the incidents that are not told, or that the target refused; the latest ones, at
        most 20.
    """

    since: Moment
    at: Moment
    reason: str
    tries: int = 1
    refused: int = 0
    models: tuple[str, ...] = ()


class RouteStatus(msgspec.Struct, frozen=True):
    """How a route does. All times are by Redis's clock (Unix ms).

    Parameters
    ----------
    sent, refused, retried
        Messages that the target took; that became dead letters; attempts that failed and were
        repeated. Since the route is known.
    waiting
        Incidents with news that is not told yet, also for quiet hours.
    overdue
        Since when the oldest of those waits that wait for the target alone, not for quiet hours or
        the end of a silence; None without one.
    last_sent
        When the target last took a message; None for never.
    failure
        What it fails on; None if its target took the last message, or nothing waits for it now.
    """

    sent: int = 0
    refused: int = 0
    retried: int = 0
    waiting: int = 0
    overdue: Moment | None = None
    last_sent: Moment | None = None
    failure: RouteFailure | None = None


def route_told_of(incident: Incident) -> str:
    """Return the name of the route that an incident is about; empty if it is about none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> cause = SimpleNamespace(rule="blind.notification", segment="route=on-call")
    >>> route_told_of(SimpleNamespace(cause=cause))
    'on-call'
    """
    cause = incident.cause
    return cause.segment.removeprefix(ROUTE_SEGMENT) if cause.rule == NOTIFICATION_RULE else ""
