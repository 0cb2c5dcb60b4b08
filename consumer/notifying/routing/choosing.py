"""Which message a route sends next. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.case import Case, News
from driftgauge.consumer.notifying.routing.cases import Cases
from driftgauge.consumer.notifying.routing.flight import Flight, Part, incident_in
from driftgauge.consumer.notifying.routing.quiet_hours import quiet_until
from driftgauge.shared.contract.severity import rank

MOST_TOGETHER: Final = 20
"""Most incidents that a message tells beside its first one."""
Waiting = tuple[Case, News]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a route's target can do; see targets/base.py."""

    in_place: bool = False
    beat_s: float | None = None


@dataclass
class Choosing:
    """Chooses among the cases of a route.

    Parameters
    ----------
    beats
        When what was told of an incident was last sent, by this process.
    """

    route: Route
    traits: Traits
    cases: Cases
    beats: dict[str, int] = field(default_factory=dict)

    def next(self, now: int) -> Flight | None:
        """Return the message to send now; None if none is due."""
        self._repeat(now)
        due = sorted(self._due(now), key=_urgency)
        return self._flight(due, now) if due else self._beat(now)

    def grouped(self, news: News) -> News:
        """Let fresh news wait for others to go with."""
        if not news.loud or news.tries or news.held:
            return news
        return replace(news, due=max(news.due, self._group_end(news)))

    def due_at(self) -> int | None:
        """Return when there is something to do next (ms); None if nothing waits for a time."""
        times = [case.news.due for case in self.cases if case.news is not None]
        times += [case.repeat_at for case in self.cases if case.repeat_at and case.news is None]
        if self.traits.beat_s is not None:
            times += [self._next_beat(case) for case in self.cases if case.told and case.is_open]
        return min(times, default=None)

    def _due(self, now: int) -> Iterator[Waiting]:
        """Yield what is due; what falls into quiet hours gets their end as its time."""
        for case in self.cases:
            news = case.news
            if news is None or news.due > now:
                continue
            until = self._quiet_until(news, now)
            if until <= now:
                yield case, news
            elif self.traits.in_place and not case.is_open:  # its end disturbs nobody
                yield case, replace(news, loud=False)
            else:
                self.cases.put(replace(case, news=replace(news, due=until)))

    def _quiet_until(self, news: News, now: int) -> int:
        return quiet_until(self.route.quiet, news.severity, now) if news.loud else now

    def _flight(self, due: Sequence[Waiting], now: int) -> Flight:
        """Return the message of what is most urgent, with what may go with it."""
        lead, news = due[0]
        found = [(lead, news)]
        if self.route.group_seconds and news.loud and not news.repeat:
            found += [one for one in due[1:] if one[1].loud and not one[1].repeat]
            found += self._waiting_for_others(now)
            found.sort(key=_urgency)
            lead, news = found[0]
        parts = [
            Part(case.id, case.model, one.number, one.event)
            for case, one in found[: 1 + MOST_TOGETHER]
        ]
        return Flight(
            tuple(parts),
            receipt=lead.receipt if len(parts) == 1 else "",
            repeat=news.repeat,
            silent=not news.loud,
            is_first=not lead.is_known,
        )

    def _waiting_for_others(self, now: int) -> Iterator[Waiting]:
        """Yield news that only waits for others to go with, which is now."""
        for case in self.cases:
            news = case.news
            if news is None or not news.loud or news.repeat or news.tries or news.held:
                continue
            if now < news.due <= self._group_end(news) and self._quiet_until(news, now) <= now:
                yield case, news

    def _group_end(self, news: News) -> int:
        return news.since + round(1000 * self.route.group_seconds)

    def _repeat(self, now: int) -> None:
        """Make news of what is to be told again."""
        for case in self.cases:
            if case.news is None and 0 < case.repeat_at <= now:
                incident = incident_in(case.event)
                severity = "warning" if incident is None else incident.severity
                news = News(case.seen, case.event, severity, now, now, repeat=case.repeats + 1)
                self.cases.put(replace(case, news=news, repeat_at=0))

    def _beat(self, now: int) -> Flight | None:
        """Return a message that keeps alive what was told; None if none is due."""
        if self.traits.beat_s is None:
            return None
        for case in self.cases:
            if case.told and case.is_open and self._next_beat(case) <= now:
                part = Part(case.id, case.model, case.seen, case.event)
                return Flight((part,), case.receipt, silent=True, is_beat=True)
        return None

    def _next_beat(self, case: Case) -> int:
        return self.beats.get(case.id, 0) + round(1000 * (self.traits.beat_s or 0))


def _urgency(found: Waiting) -> tuple[bool, int, int, str]:
    """Order what is due: what people are told, the worst, what is due longest."""
    case, news = found
    return not news.loud, rank(news.severity), news.due, case.id
