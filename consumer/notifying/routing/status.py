"""How a route does: the changes of its status. Pure."""

from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace

from driftgauge.consumer.notifying.routing.tracked_incident import News
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


def after_dead_letter(status: RouteStatus, model: str, reason: str, now: int) -> RouteStatus:
    """Return the status after a message became a dead letter."""
    before = status.failure or RouteFailure(now, now, reason, 0)
    failure = replace(before, refused=before.refused + 1, models=_latest(before.models, [model]))
    return replace(status, refused=status.refused + 1, failure=failure)


def with_waiting(
    status: RouteStatus,
    waiting: Collection[News],
    is_held: Callable[[News], bool],
    now: int,
    *,
    beats: bool,
) -> RouteStatus:
    """Return the status with what waits. A failure is over when nothing waits for the target any
    more, unless something was refused, or the target is reminded of what stands (`beats`).

    Parameters
    ----------
    is_held
        Whether a silence or quiet hours hold news back, and not the target.
    """
    free = [news for news in waiting if not is_held(news)]
    stuck = [news.since for news in free if news.loud and (news.tries or news.ready_at(now) <= now)]
    failure = status.failure
    if failure is not None and not (failure.refused or beats or free):
        failure = None
    loud = sum(news.loud for news in waiting)
    return replace(status, waiting=loud, overdue=min(stuck, default=None), failure=failure)


def _latest(known: tuple[str, ...], models: Iterable[str]) -> tuple[str, ...]:
    """Return the latest models, with some more."""
    found = dict.fromkeys((*known, *models))
    for model in models:
        found.pop(model)
        found[model] = None
    return tuple(found)[-MOST_MODELS:]
