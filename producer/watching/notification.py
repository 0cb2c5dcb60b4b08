"""The rule about routes of notifications that do not get through: an alert for each of them, which
the other routes tell.
"""

from collections.abc import Iterator
from typing import Final

from driftgauge.producer.reading.notifications import NotificationRoute
from driftgauge.producer.watching.observation import (
    STILL_FAILS_MS,
    Assessment,
    Memory,
    Observation,
)
from driftgauge.shared.contract.fault import TRIES
from driftgauge.shared.wording.plain import clip

STUCK_MS: Final = 600_000
"""Time (ms) after which a route that does not get through is told of: a target may restart."""
REASON: Final = 200
"""Most characters of a reason that a target gave."""


def assessments(memory: Memory, observed: Observation) -> Iterator[tuple[str, Assessment]]:
    """Yield the routes that are of interest to a model, and how they stand: those that failed to
    tell of it, and those of which its alert fires.

    A route of which it is not known which models it failed to tell of is told of once, by the first
    model.
    """
    known = {route.name: route for route in observed.routes}
    for name, route in known.items():
        models = route.failure.models if route.failure is not None else ()
        concerned = observed.state.model in models or (not models and observed.is_first)
        found = assess(route, observed.now)
        if found.bad and not concerned:
            found = Assessment(bad=None)  # it stays open where it is
        if concerned or name in memory.routes:
            yield name, found
    for name in memory.routes.keys() - known.keys():
        yield name, Assessment(bad=False, summary=f"The route {name} is gone.")


def assess(route: NotificationRoute, now: int) -> Assessment:
    """Judge a route: bad if its target refused a message, or it has not got through for a while."""
    failure, fault = route.failure, route.fault
    limit = STUCK_MS / 1000
    if failure is not None:
        stuck = max(0, now - failure.since)
        why = clip(failure.reason, REASON)
        if failure.refused:
            many = "message" if failure.refused == 1 else "messages"
            summary = (
                f"The route {route.name} does not tell people: its target refused "
                f"{failure.refused:,} {many} ({why}). They are among its dead letters."
            )
            return Assessment(bad=True, value=failure.refused, limit=0, summary=summary)
        if stuck > STUCK_MS:
            summary = (
                f"The route {route.name} has not got through for {stuck // 60_000:,} minutes "
                f"({why}). It tries on for a day; {route.waiting:,} incidents wait."
            )
            return Assessment(bad=True, value=stuck / 1000, limit=limit, summary=summary)
        return Assessment(bad=None, value=stuck / 1000, limit=limit)
    if fault is not None and fault.tries >= TRIES and now - fault.at < STILL_FAILS_MS:
        summary = (
            f"The route {route.name} is not served: {clip(fault.reason, REASON)}. "
            f"{route.waiting:,} incidents wait."
        )
        return Assessment(bad=True, value=fault.tries, limit=TRIES, summary=summary)
    waits = 0 if route.overdue is None else max(0, now - route.overdue)
    if waits > STUCK_MS:
        summary = (
            f"The route {route.name} is not served: its oldest news has waited for "
            f"{waits // 60_000:,} minutes. Does a worker run that has its policy file?"
        )
        return Assessment(bad=True, value=waits / 1000, limit=limit, summary=summary)
    return Assessment(bad=False, limit=limit, summary=f"The route {route.name} gets through again.")
