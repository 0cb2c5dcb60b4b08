"""How a route does: the changes of its status. Pure."""

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from driftgauge.consumer.notifying.routing.case import Case
from driftgauge.shared.contract.notifications.status import (
    MOST_MODELS,
    RouteFailure,
    RouteStatus,
)


def after_attempt(status: RouteStatus, models: Iterable[str], reason: str, now: int) -> RouteStatus:
    """Return the status after an attempt that failed.

    Examples
    --------
    >>> found = after_attempt(RouteStatus(), ["steel"], "status 503", 1000)
    >>> found = after_attempt(found, ["credit"], "status 500", 2000)
    >>> found.failure.since, found.failure.reason, found.failure.tries, found.failure.models
    (1000, 'status 500', 2, ('steel', 'credit'))
    """
    before = status.failure or RouteFailure(now, now, reason, 0)
    failure = replace(
        before,
        at=now,
        reason=reason,
        tries=before.tries + 1,
        models=_latest(before.models, models),
    )
    return replace(status, failure=failure)


def after_burial(status: RouteStatus, model: str, reason: str, now: int) -> RouteStatus:
    """Return the status after a message became a dead letter."""
    before = status.failure or RouteFailure(now, now, reason, 0)
    failure = replace(before, refused=before.refused + 1, models=_latest(before.models, [model]))
    return replace(status, refused=status.refused + 1, failure=failure)


def with_waiting(
    status: RouteStatus, cases: Collection[Case], now: int, *, beats: bool
) -> RouteStatus:
    """Return the status with what waits. A failure is over when nothing waits any more, unless
    something was refused, or the target is reminded of what stands (`beats`).
    """
    loud = [case.news for case in cases if case.news is not None and case.news.loud]
    stuck = [news.since for news in loud if news.tries or news.due <= now]
    failure = status.failure
    if failure is not None and not (failure.refused or beats or any(case.news for case in cases)):
        failure = None
    return replace(status, waiting=len(loud), overdue=min(stuck, default=None), failure=failure)


def _latest(known: tuple[str, ...], models: Iterable[str]) -> tuple[str, ...]:
    """Return the latest models, with some more."""
    found = dict.fromkeys((*known, *models))
    for model in models:
        found.pop(model)
        found[model] = None
    return tuple(found)[-MOST_MODELS:]
