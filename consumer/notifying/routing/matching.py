"""Whether a route takes an incident. Pure."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from driftgauge.consumer.notifying.routes import Match, Route
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.notifications.status import route_told_of
from driftgauge.shared.contract.severity import rank


def takes_model(match: Match, model: str) -> bool:
    """Return whether incidents of a model can meet the conditions.

    Examples
    --------
    >>> match = Match(models=("steel*", "credit"))
    >>> [takes_model(match, name) for name in ("steel-2", "credit", "credit-2")]
    [True, True, False]
    """
    return _any(match.models, [model])


def takes(route: Route, incident: Incident) -> bool:
    """Return whether a route takes an incident: it meets all conditions, and is not about the route
    itself, which could only be told in vain.
    """
    match, cause, alerts = route.match, incident.cause, incident.alerts
    return (
        takes_model(match, incident.model)
        and rank(incident.severity) <= rank(match.severity)
        and incident.kind in match.kinds
        and _any(match.rules, {cause.rule, *(one.rule for one in alerts)})
        and _any(match.segments, {cause.segment, *(one.segment for one in alerts)} - {""})
        and (match.actions is None or incident.action in match.actions)
        and route_told_of(incident) != route.name
    )


def _any(globs: Iterable[str] | None, names: Collection[str]) -> bool:
    """Return whether any name has one of the forms; None is any form, and needs no name."""
    return globs is None or any(fnmatchcase(name, glob) for glob in globs for name in names)
