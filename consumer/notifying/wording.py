"""A route in words, for those who look at it; without its secrets. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from driftgauge.consumer.notifying.choices import Choice
from driftgauge.consumer.notifying.routes import WEEKDAYS, Match, Quiet, Route
from driftgauge.shared.contract.notifications.status import RouteAbout

_HOST: Final = re.compile(r"https?://([^/?#@]+)(?:[/?#]|$)")
ALL_KINDS: Final = {"model", "operation"}


def about(route: Route, now: int) -> RouteAbout:
    """Return what people may know of a route; `now` is when (Unix ms)."""
    return RouteAbout(
        name=route.name,
        kind=str(route.target.__struct_config__.tag),
        host=host_of(route.target),
        matches=matches_in_words(route.match),
        quiet="; ".join(map(_quiet, route.quiet)),
        group_seconds=route.group_seconds,
        repeat_minutes=route.repeat_minutes,
        told=now,
    )


def host_of(choice: Choice) -> str:
    """Return the host of a target whose address stands in the policy file; empty if none does, or
    it is a secret.
    """
    address = getattr(choice, "url", "") or getattr(choice, "address", "")
    found = _HOST.match(address)
    return found[1] if found else str(getattr(choice, "host", ""))


def matches_in_words(match: Match) -> str:
    """Return what a route takes, in words.

    Examples
    --------
    >>> matches_in_words(Match())
    'all incidents'
    >>> matches_in_words(Match(models=("steel*",), severity="critical", rules=("blind.*",)))
    'critical incidents of model steel*, rule blind.*'
    """
    which = "critical incidents" if match.severity == "critical" else "all incidents"
    if set(match.kinds) != ALL_KINDS:
        which += f" of kind {' or '.join(match.kinds) or 'none'}"
    conditions = ", ".join(_conditions(match))
    return f"{which} of {conditions}" if conditions else which


def _conditions(match: Match) -> Iterator[str]:
    named: list[tuple[str, Sequence[str] | None]] = [
        ("model", None if match.models == ("*",) else match.models),
        ("rule", match.rules),
        ("segment", match.segments),
        ("action", match.actions),
    ]
    for name, globs in named:
        if globs is not None:
            yield f"{name} {' or '.join(globs) or 'none'}"


def _quiet(hours: Quiet) -> str:
    days = "" if hours.days == WEEKDAYS else f" on {', '.join(hours.days)}"
    passing = ", critical ones pass" if hours.critical else ""
    return f"{hours.start} to {hours.end} {hours.zone}{days}{passing}"
