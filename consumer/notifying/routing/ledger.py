"""What a route has told, and what it is to tell: its whole state, which the stage commits. Pure.

Theory of operation

- At most one message of a route is *in flight*. It is written down before it is sent, with all that
  it says, and after it was sent. So whoever finds it written down and not ended sends it again,
  under the same key.
- What was not taken waits for its own time; other incidents do not wait for it. While attempt after
  attempt fails, the whole route pauses too, so that a target that is away is not asked for each of
  hundreds of incidents.
- What the target refuses, and what it did not take for a day, becomes a dead letter. So does the
  oldest that waits if more incidents are known than cases.MOST.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from driftgauge.consumer.notifying.message import key_of
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.case import SILENT_PAUSE_MS, Case, News, moved
from driftgauge.consumer.notifying.routing.cases import MOST, Cases
from driftgauge.consumer.notifying.routing.choosing import Choosing, Traits
from driftgauge.consumer.notifying.routing.flight import DeadLetter, Flight, Part, incident_in
from driftgauge.consumer.notifying.routing.matching import takes, takes_model
from driftgauge.consumer.notifying.routing.patience import GIVEN_UP_MS, pause_s, route_pause_s
from driftgauge.consumer.notifying.routing.standing import (
    after_attempt,
    after_burial,
    with_waiting,
)
from driftgauge.shared.contract.notifications.status import STATUS, RouteStatus

MOST_ID: Final = 128
"""Longest id of an incident, in characters."""
MOST_RECEIPT: Final = 2000
"""Longest receipt, in characters; a longer one is not kept."""
OFFSET: Final = b"offset:"
FLIGHT: Final = b"flight"


class Ledger:
    """The state of a route.

    Parameters
    ----------
    route
        The route as it is now.
    traits
        What its target can do.
    fields
        The committed state; empty for a new route.

    Attributes
    ----------
    offsets
        Id of the last entry that was read of each model's stream.
    flight
        The message that is being sent; None if none is.
    status
        What is told of the route.
    letters
        Dead letters that were not taken out yet.

    Raises
    ------
    ValueError, msgspec.MsgspecError
        If the fields are none of a ledger.
    """

    def __init__(self, route: Route, traits: Traits, fields: Mapping[bytes, bytes]) -> None:
        self.letters: list[DeadLetter] = []
        self._route, self._in_place = route, traits.in_place
        self._beats = traits.beat_s is not None
        self._cases = Cases()
        self._cases.load(fields)
        for case in self._cases:
            if not takes_model(route.match, case.model):  # by a policy that has changed
                self._cases.drop(case.id)
        self.offsets = {
            name.removeprefix(OFFSET).decode(): value
            for name, value in fields.items()
            if name.startswith(OFFSET)
        }
        flight, status = fields.get(FLIGHT), fields.get(STATUS)
        self.flight = msgspec.msgpack.decode(flight, type=Flight) if flight else None
        self.status = msgspec.json.decode(status, type=RouteStatus) if status else RouteStatus()
        self._doubt(self.flight)
        self._choosing = Choosing(route, traits, self._cases)
        self._pause_until = 0
        self._running = 0
        self._read = set[str]()
        self._written = {name: fields.get(name, b"") for name in (STATUS, FLIGHT)}

    def _doubt(self, flight: Flight | None) -> None:
        """Note that what a message tells may have been told by it."""
        for part in () if flight is None else flight.parts:
            case = self._cases.get(part.id)
            if case is not None:
                self._cases.put(replace(case, is_maybe=True))

    # -- reading -----------------------------------------------------------------------------------

    def begin(self, model: str, offset: bytes) -> None:
        """Read a model's stream from behind an entry on. If that is not where reading ended, the
        stream went back: its transitions are new, whatever their numbers.
        """
        if self.offsets.get(model, offset) != offset:
            for case in self._cases:
                if case.model == model:
                    self._cases.put(replace(case, seen=0))
        self.offsets[model] = offset
        self._read.add(model)

    def read(self, model: str, entry_id: bytes, event: bytes, now: int) -> None:
        """Take in the next entry of a model's stream; what is no incident is passed over."""
        self.offsets[model] = entry_id
        self._read.add(model)
        incident = incident_in(event)
        if incident is None or incident.model != model or not 0 < len(incident.id) <= MOST_ID:
            return
        case = self._cases.get(incident.id) or Case(incident.id, model)
        if incident.number <= case.seen:
            return
        changed = moved(
            case,
            incident,
            event,
            now,
            taken=takes(self._route, incident),
            in_flight=incident.id in self._flying(),
            in_place=self._in_place,
        )
        if changed is None:
            self._cases.drop(incident.id)
            return
        if changed.news is not None and changed.news is not case.news:
            changed = replace(changed, news=self._choosing.grouped(changed.news))
        self._cases.put(changed)
        self._forget(now)

    def _forget(self, now: int) -> None:
        """Forget an incident if there are too many."""
        case = self._cases.surplus(self._flying())
        if case is None:
            return
        if case.news is not None and case.news.loud:
            part = Part(case.id, case.model, case.news.number, case.news.event)
            self._bury(part, case.news.repeat, f"more than {MOST} incidents wait", now)
        self._cases.drop(case.id)

    def _flying(self) -> frozenset[str]:
        return frozenset() if self.flight is None else self.flight.incidents

    # -- sending -----------------------------------------------------------------------------------

    def next(self, now: int) -> Flight | None:
        """Return the message to send now, and write it down; None if none is due. One that was
        written down before is sent again as it is.
        """
        if self.flight is None and now >= self._pause_until:
            self.flight = self._choosing.next(now)
        return self.flight

    def taken(self, receipt: str, now: int) -> None:
        """The target took the message in flight."""
        flight = self._landed()
        self._running = self._pause_until = 0
        alone = receipt if len(flight.parts) == 1 and len(receipt) <= MOST_RECEIPT else ""
        for part in flight.parts:
            case = self._cases.get(part.id)
            if case is None:
                continue
            self._choosing.beats[part.id] = now
            if not flight.is_beat:
                self._cases.put(self._told(case, part, flight, alone, now))
        self._tidy()
        sent = self.status.sent + (not flight.is_beat)
        self.status = replace(self.status, sent=sent, last_sent=now, failure=None)

    def _tidy(self) -> None:
        """Forget the beats of incidents that need none any more."""
        for name in list(self._choosing.beats):
            case = self._cases.get(name)
            if case is None or not case.is_open:
                del self._choosing.beats[name]

    def _told(self, case: Case, part: Part, flight: Flight, receipt: str, now: int) -> Case:
        """Return a case of which a transition was sent."""
        again = self._route.repeat_minutes and case.is_open and not case.is_marked
        repeat_at = now + round(60_000 * self._route.repeat_minutes) if again else 0
        number = max(case.told, part.number)
        told = replace(case, told=number, receipt=receipt, sent=now, news=None, is_maybe=False)
        if not flight.silent:
            told = replace(told, repeats=flight.repeat, repeat_at=repeat_at)
        news = case.news
        if news is not None and not _is_sent(news, part, flight):
            due = now if news.tries else news.due
            return replace(told, news=replace(news, tries=0, failed=0, due=due))
        if self._in_place and case.is_open and case.seen > part.number:
            due = now + SILENT_PAUSE_MS
            silent = News(case.seen, case.event, "warning", now, due, loud=False)
            return replace(told, news=silent)
        return told

    def postponed(
        self, reason: str, after_s: float | None, now: int, *, maybe_taken: bool = False
    ) -> None:
        """The target did not take the message in flight, as far as is known, and may take it
        later.
        """
        flight = self._landed()
        if maybe_taken and not flight.is_beat:
            self._doubt(flight)
        self._running += 1
        wait_s = route_pause_s(self._running) if after_s is None else pause_s("", 1, after_s)
        self._pause_until = now + round(1000 * wait_s)
        self._fail(flight, reason, now)
        if flight.is_beat:
            return
        self.status = replace(self.status, retried=self.status.retried + 1)
        for part in flight.parts:
            case = self._cases.get(part.id)
            if case is not None:
                self._cases.settle(self._again(case, part, flight, reason, after_s, now))

    def _again(
        self, case: Case, part: Part, flight: Flight, reason: str, after_s: float | None, now: int
    ) -> Case:
        """Return a case of which a transition is sent later, or given up."""
        news = case.news
        if news is None:  # its silent end
            return case
        is_same = _is_sent(news, part, flight)
        failed = (news.failed if is_same else 0) or now
        if now - failed >= GIVEN_UP_MS:
            self._bury(part, flight.repeat, f"given up after a day: {reason}", now)
            return replace(case, news=None)
        tries = news.tries + 1
        due = now + round(1000 * pause_s(flight.key, tries, after_s))
        return replace(case, news=replace(news, tries=tries, failed=failed, due=due))

    def refused(self, reason: str, now: int) -> None:
        """The target will never take the message in flight: it becomes a dead letter."""
        flight = self._landed()
        self._fail(flight, reason, now)
        for part in flight.parts:
            case = self._cases.get(part.id)
            if flight.is_beat:
                self._choosing.beats[part.id] = now  # the next one is its next attempt
                continue
            self._bury(part, flight.repeat, reason, now)
            if case is not None:
                is_same = case.news is not None and _is_sent(case.news, part, flight)
                self._cases.settle(replace(case, news=None) if is_same else case)

    def _landed(self) -> Flight:
        flight, self.flight = self.flight, None
        if flight is None:
            raise RuntimeError("no message was in flight")
        return flight

    def _fail(self, flight: Flight, reason: str, now: int) -> None:
        models = [part.model for part in flight.parts]
        self.status = after_attempt(self.status, models, reason, now)

    def _bury(self, part: Part, repeat: int, reason: str, now: int) -> None:
        key = key_of(part.id, part.number, repeat)
        self.letters.append(DeadLetter(key, part.model, reason, part.event))
        self.status = after_burial(self.status, part.model, reason, now)

    # -- time and commit ---------------------------------------------------------------------------

    def due_at(self) -> int | None:
        """Return when there is something to do next (ms); None if nothing waits for a time."""
        due = self._choosing.due_at()
        return None if due is None else max(due, self._pause_until)

    def changes(self, now: int) -> dict[bytes, bytes]:
        """Return the fields that may have changed since the last call; an empty one is to be
        deleted.
        """
        self.status = with_waiting(self.status, list(self._cases), now, beats=self._beats)
        found = self._cases.changes()
        found |= {OFFSET + model.encode(): self.offsets[model] for model in self._read}
        flying = self.flight is not None and not self.flight.is_beat
        written = msgspec.msgpack.encode(self.flight) if flying else b""
        status = msgspec.json.encode(self.status)
        found |= {
            name: value
            for name, value in ((STATUS, status), (FLIGHT, written))
            if self._written.get(name) != value
        }
        self._written = {STATUS: status, FLIGHT: written}
        self._read.clear()
        return found

    def take_letters(self) -> list[DeadLetter]:
        """Return the dead letters since the last call."""
        found, self.letters = self.letters, []
        return found


def _is_sent(news: News, part: Part, flight: Flight) -> bool:
    """Return whether news is what a message tells."""
    return (news.number, news.repeat) == (part.number, flight.repeat)
