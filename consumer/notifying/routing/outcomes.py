"""What becomes of an incident when its message was taken, or was not. Pure."""

from msgspec.structs import replace

from driftgauge.consumer.notifying.routing.backoff import GIVEN_UP_MS, pause_s
from driftgauge.consumer.notifying.routing.delivery import Delivery, Part
from driftgauge.consumer.notifying.routing.tracked_incident import (
    MOST_PUT_OFF_MS,
    SILENT_PAUSE_MS,
    News,
    TrackedIncident,
)


def after_taken(
    tracked: TrackedIncident,
    part: Part,
    delivery: Delivery,
    receipt: str,
    now: int,
    *,
    in_place: bool,
) -> TrackedIncident:
    """Return an incident of which the target took a transition.

    Parameters
    ----------
    part
        The transition.
    receipt
        What the target gave for it; empty if it told other incidents too.
    in_place
        Whether the target changes its messages in place, and so gets what came meanwhile.
    """
    number = max(tracked.told, part.number)
    told = replace(tracked, told=number, receipt=receipt, sent=now, news=None, is_maybe=False)
    if not delivery.silent:
        told = replace(told, repeats=delivery.repeat, repeat_at=0)
    news = tracked.news
    if news is not None and not tells(delivery, part, news):
        due = now if news.tries else news.due
        return replace(told, news=replace(news, tries=0, failed=0, due=due))
    if in_place and tracked.is_open and tracked.seen > part.number:
        due = now + SILENT_PAUSE_MS
        silent = News(tracked.seen, tracked.event, "warning", now, due, loud=False)
        return replace(told, news=silent)
    return told


def after_postponed(
    tracked: TrackedIncident,
    part: Part,
    delivery: Delivery,
    after_s: float | None,
    now: int,
    *,
    was_idle: bool,
) -> TrackedIncident | None:
    """Return an incident of which a transition is tried again later; None if it is given up after a
    day of errors.

    Parameters
    ----------
    after_s
        For how long the target asks to be left alone; None if it did not say.
    was_idle
        Whether the route tried nothing for a while: then the day begins anew.
    """
    news = tracked.news
    if news is None:  # its silent end
        return tracked
    if was_idle and now - news.due > MOST_PUT_OFF_MS:
        news = replace(news, tries=0, failed=0)
    failed = (news.failed if tells(delivery, part, news) else 0) or now
    if now - failed >= GIVEN_UP_MS:
        return None
    tries = news.tries + 1
    due = now + round(1000 * pause_s(delivery.key, tries, after_s))
    return replace(tracked, news=replace(news, tries=tries, failed=failed, due=due))


def tells(delivery: Delivery, part: Part, news: News) -> bool:
    """Return whether a part of a message is what waits."""
    return (news.number, news.repeat) == (part.number, delivery.repeat)
