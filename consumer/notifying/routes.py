"""The routes of the policy file: `[[routes]]`, which incidents each takes, when, and where they go.
Pure.

[[routes]]
name = "on-call"
group_seconds = 0                 # above 0: what opens within this time is one message
repeat_minutes = 0                # above 0: an open incident is told again after this time
match = { models = ["steel*"], severity = "critical", rules = ["blind.*"] }
target = { type = "webhook", url_env = "ON_CALL_URL", secret_env = "ON_CALL_SECRET" }

[[routes.quiet]]
from = "22:00"
to = "07:00"
zone = "Europe/Berlin"
critical = true                   # a critical incident passes
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from driftgauge.consumer.notifying.choices import Choice
from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.incident import IncidentKind
from driftgauge.shared.contract.keys import RouteName
from driftgauge.shared.contract.severity import AlertSeverity

MOST_ROUTES: Final = 100
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Clock = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of the day, such as `07:30`."""
Glob = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""A name, in which `*` stands for any text and `?` for any letter."""
Globs = Annotated[tuple[Glob, ...], msgspec.Meta(min_length=1, max_length=100)]
_NO_URL: Final = (
    "has a `url` that is no http or https address; one with a user, a password or another secret "
    "belongs into `url_env` or `url_file`"
)
_URL: Final = re.compile(r"https?://[^/?#\s\x00-\x1f@]+([/?][^\s#]*)?", re.ASCII)


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which incidents a route takes: those that meet all conditions.

    Parameters
    ----------
    models
        Names of models.
    severity
        The least severity.
    kinds
        `model`, `operation` or both.
    rules, segments
        Rules and segments of the incident's cause or of any of its alerts; None for all.
    actions
        Recommended actions; None for all.
    """

    models: Globs = ("*",)
    severity: AlertSeverity = "warning"
    kinds: tuple[IncidentKind, ...] = ("model", "operation")
    rules: Globs | None = None
    segments: Globs | None = None
    actions: tuple[Action, ...] | None = None


class Quiet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours in which nothing is told: it is held back, and told at their end if it still stands.

    Parameters
    ----------
    start, end
        Times of the day, `from` and `to` in the file; an `end` before or at the `start` is one of
        the next day.
    zone
        IANA name of the time zone.
    days
        Days on which they start.
    critical
        Whether critical incidents pass.
    """

    start: Clock = msgspec.field(name="from")
    end: Clock = msgspec.field(name="to")
    zone: str = "UTC"
    days: tuple[Weekday, ...] = WEEKDAYS
    critical: bool = False


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route.

    Parameters
    ----------
    name
        Its name, which is part of its keys in Redis.
    target
        Where it leads.
    match
        Which incidents it takes.
    quiet
        When it tells nothing.
    group_seconds
        Time (s) that news waits for further news, to be one message; 0 waits for none.
    repeat_minutes
        Time after which an open incident that nobody acknowledged is told again; 0 never.
    """

    name: RouteName
    target: Choice
    match: Match = Match()
    quiet: tuple[Quiet, ...] = ()
    group_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    repeat_minutes: Annotated[float, msgspec.Meta(ge=0, le=43_200)] = 0


Place = tuple[str | int, ...]
"""Where a value stands in the file, such as `("routes", 0, "target", "url_env")`."""


def faults(routes: Sequence[Route]) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with routes that have the right form: at which place of the file, and
    why, as the rest of a sentence.
    """
    if len(routes) > MOST_ROUTES:
        yield ("routes", MOST_ROUTES), f"is one of more than {MOST_ROUTES} routes"
    names: set[str] = set()
    for number, route in enumerate(routes):
        place: Place = ("routes", number)
        if route.name in names:
            yield (*place, "name"), "has the name of another route"
        names.add(route.name)
        for field, reason in (*_target_faults(route), *_quiet_faults(route.quiet)):
            yield (*place, *field), reason


def _target_faults(route: Route) -> Iterator[tuple[Place, str]]:
    target = route.target
    for name in target.needs:
        if not target.given(name):
            yield ("target",), f"needs one of {_forms(target, name)}"
    for name in (*target.needs, *target.may_have):
        given = target.given(name)
        if len(given) > 1:
            yield ("target", given[1]), f"has both {given[0]} and {given[1]}; leave one out"
    for name, reason in target.faults():
        yield ("target", name), reason
    url = getattr(target, "url", "")
    if url and not _URL.fullmatch(url):
        yield ("target", "url"), _NO_URL
    if route.group_seconds and not target.groups:
        kind = target.__struct_config__.tag
        yield ("group_seconds",), f"has `group_seconds`, but {kind} gets each incident by itself"


def _forms(target: Choice, name: str) -> str:
    fields = target.__struct_fields__
    found = [f"{name}{form}" for form in ("", "_env", "_file") if f"{name}{form}" in fields]
    return ", ".join(f"`{one}`" for one in found)


def _quiet_faults(quiet: Sequence[Quiet]) -> Iterator[tuple[Place, str]]:
    for place, one in enumerate(quiet):
        if not one.days:
            yield ("quiet", place, "days"), "has quiet hours on no day; leave them out"
        try:
            ZoneInfo(one.zone)
        except (ValueError, OSError, LookupError):  # no such zone, or a name that leads elsewhere
            yield ("quiet", place, "zone"), f"has no IANA time zone {one.zone!r}"
