"""Severities, and the one order in which they are compared, sorted and counted.

An alert is a warning or critical. A column of a file may be unreadable: it is absent, or holds
something else than it should. A column, a segment or a model may also be well, or not judged: for
want of rows, for want of a threshold, or because somebody excluded it. What is not judged comes
behind what is well, since it asks for nothing.
"""

from collections.abc import Iterable
from typing import Final, Literal, Protocol, TypeVar, get_args

Severity = Literal[
    "critical", "warning", "unreadable", "ok", "insufficient_data", "uncalibrated", "excluded"
]
"""How a column, a segment or a model stands, the worst first."""
AlertSeverity = Literal["critical", "warning"]
"""Severity of an alert, the worse first."""

WORST_FIRST: Final[tuple[Severity, ...]] = get_args(Severity)
ALERT_SEVERITIES: Final[tuple[AlertSeverity, ...]] = get_args(AlertSeverity)
ALARMING: Final[frozenset[str]] = frozenset(ALERT_SEVERITIES)
"""Severities that need attention."""
S = TypeVar("S", bound=Severity)


class Urgent(Protocol):
    """The fields by which any form of an alert is sorted."""

    @property
    def state(self) -> str:
        """`firing`, `pending`, …."""

    @property
    def severity(self) -> AlertSeverity:
        """Severity of the alert."""

    @property
    def started(self) -> int:
        """Logical time (ms) at which it began."""


def rank(severity: str) -> int:
    """Return the position of a severity in the order: 0 is the worst, unknown text comes last.

    Examples
    --------
    >>> rank("critical"), rank("ok"), rank("unknown")
    (0, 3, 7)
    """
    known: tuple[str, ...] = WORST_FIRST
    return known.index(severity) if severity in known else len(known)


def worst(severities: Iterable[S]) -> S:
    """Return the worst of some severities.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> worst(["ok", "warning", "excluded"])
    'warning'
    """
    return min(severities, key=rank)


def most_urgent_first(alert: Urgent) -> tuple[bool, int, int]:
    """Order alerts: firing before pending, then by severity, then the oldest.

    Use it as a sort key.
    """
    return alert.state != "firing", rank(alert.severity), alert.started
