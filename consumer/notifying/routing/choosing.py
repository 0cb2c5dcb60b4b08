"""Which message a route sends next. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.delivery import Delivery, Part, incident_in
from driftgauge.consumer.notifying.routing.quiet_hours import quiet_until
from driftgauge.consumer.notifying.routing.tracked_incident import News, TrackedIncident
from driftgauge.consumer.notifying.routing.tracked_incidents import TrackedIncidents
from driftgauge.shared.contract.severity import AlertSeverity, rank

MOST_TOGETHER: Final = 20
"""Most incidents that a message tells beside its first one."""
Waiting = tuple[TrackedIncident, News]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a route's target can do; see targets/base.py."""

    in_place: bool = False
    beat_s: float | None = None


@dataclass
class Choosing:
    """Chooses among the incidents of a route.

    Parameters
    ----------
    beats
        When what was told of an incident was last sent, by this process.
    """

    route: Route
    traits: Traits
    incidents: TrackedIncidents
    beats: dict[str, int] = field(default_factory=dict)
    _asked_at: int = field(default=0, init=False)
    _quiet: dict[AlertSeverity, int] = field(default_factory=dict, init=False)

    def next(self, now: int) -> Delivery | None:
        """Return the message to send now; None if none is due."""
        self._repeat(now)
        due = sorted(self._due(now), key=_urgency)
        return self._delivery(due, now) if due else self._beat(now)

    def grouped(self, news: News) -> News:
        """Let fresh news wait for others to go with."""
        if not news.loud or news.tries:
            return news
        return replace(news, due=max(news.due, self._group_end(news)))

    def due(self, news: News, now: int) -> int:
        """Return when news is to be sent at the earliest, by attempts, silences and quiet hours;
        if that is not in the future, it is to be sent now.
        """
        ready = news.ready_at(now)
        return ready if ready > now or not news.loud else self._quiet_until(news.severity, now)

    def is_held(self, news: News, now: int) -> bool:
        """Return whether a silence or quiet hours hold news back now."""
        quiet = news.loud and self._quiet_until(news.severity, now) > now
        return quiet or news.held_until > now

    def due_at(self, now: int) -> int | None:
        """Return when there is something to do next (ms); None if nothing waits for a time."""
        times = [
            self.due(tracked.news, now) for tracked in self.incidents if tracked.news is not None
        ]
        times += [
            tracked.repeat_at
            for tracked in self.incidents
            if tracked.repeat_at and tracked.news is None
        ]
        if self.traits.beat_s is not None:
            times += [
                self._next_beat(tracked)
                for tracked in self.incidents
                if tracked.told and tracked.is_open
            ]
        return min(times, default=None)

    def _due(self, now: int) -> Iterator[Waiting]:
        """Yield what is due. An end in quiet hours disturbs nobody if it is a change in place."""
        for tracked in self.incidents:
            news = tracked.news
            if news is None or news.ready_at(now) > now:
                continue
            if self.due(news, now) <= now:
                yield tracked, news
            elif self.traits.in_place and not tracked.is_open:
                yield tracked, replace(news, loud=False)

    def _quiet_until(self, severity: AlertSeverity, now: int) -> int:
        """Return when the quiet hours end for a severity, which is asked once for each moment."""
        if self._asked_at != now:
            self._asked_at, self._quiet = now, {}
        if severity not in self._quiet:
            self._quiet[severity] = quiet_until(self.route.quiet, severity, now)
        return self._quiet[severity]

    def _delivery(self, due: Sequence[Waiting], now: int) -> Delivery:
        """Return the message of what is most urgent, with what may go with it."""
        lead, news = due[0]
        found = [(lead, news)]
        if self.route.group_seconds and news.loud and not news.repeat:
            found += [one for one in due[1:] if one[1].loud and not one[1].repeat]
            found += self._waiting_for_others(now)
            found.sort(key=_urgency)
            lead, news = found[0]
        parts = [
            Part(tracked.id, tracked.model, one.number, one.event)
            for tracked, one in found[: 1 + MOST_TOGETHER]
        ]
        return Delivery(
            tuple(parts),
            receipt=lead.receipt if len(parts) == 1 else "",
            repeat=news.repeat,
            silent=not news.loud,
            is_first=not lead.is_known,
        )

    def _waiting_for_others(self, now: int) -> Iterator[Waiting]:
        """Yield news that only waits for others to go with, which is now."""
        for tracked in self.incidents:
            news = tracked.news
            if news is None or not news.loud or news.repeat or news.tries:
                continue
            if now < news.ready_at(now) <= self._group_end(news) and (
                self._quiet_until(news.severity, now) <= now
            ):
                yield tracked, news

    def _group_end(self, news: News) -> int:
        return news.since + round(1000 * self.route.group_seconds)

    def _repeat(self, now: int) -> None:
        """Make news of what is to be told again."""
        for tracked in self.incidents:
            if tracked.news is None and 0 < tracked.repeat_at <= now:
                incident = incident_in(tracked.event)
                severity = "warning" if incident is None else incident.severity
                news = News(
                    tracked.seen, tracked.event, severity, now, now, repeat=tracked.repeats + 1
                )
                self.incidents.put(replace(tracked, news=news, repeat_at=0))

    def _beat(self, now: int) -> Delivery | None:
        """Return a message that keeps alive what was told; None if none is due."""
        if self.traits.beat_s is None:
            return None
        for tracked in self.incidents:
            if tracked.told and tracked.is_open and self._next_beat(tracked) <= now:
                news = tracked.news  # which nothing newer may go before
                number, event = (news.number, news.event) if news else (tracked.seen, tracked.event)
                part = Part(tracked.id, tracked.model, number, event)
                return Delivery((part,), tracked.receipt, silent=True, is_beat=True)
        return None

    def _next_beat(self, tracked: TrackedIncident) -> int:
        return self.beats.get(tracked.id, 0) + round(1000 * (self.traits.beat_s or 0))


def _urgency(found: Waiting) -> tuple[bool, int, int, str]:
    """Order what is due: what people are told, the worst, what is due longest."""
    tracked, news = found
    return not news.loud, rank(news.severity), news.due, tracked.id
