"""What a route has told, and what it is to tell: its whole state, which the stage commits. Pure.

Theory of operation

- At most one message of a route is *in flight*. It is written down before it is sent, with all that
  it says, and after it was sent. So whoever finds it written down and not ended sends it again,
  under the same key.
- What was not taken waits for its own time; other incidents do not wait for it. While attempt after
  attempt fails, the whole route pauses too, so that a target that is away is not asked for each of
  hundreds of incidents.
- A route whose conditions changed reads all streams again: what it did not take before may be its
  business now. What it has told, or is to tell, it knows.
- What the target refuses, and what it did not take for a day, becomes a dead letter. So does the
  oldest that waits if more incidents are known than tracked_incidents.MOST.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from driftgauge.consumer.notifying.message import key_of
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.backoff import pause_s, route_pause_s
from driftgauge.consumer.notifying.routing.choosing import Choosing, Traits
from driftgauge.consumer.notifying.routing.delivery import DeadLetter, Delivery, Part, incident_in
from driftgauge.consumer.notifying.routing.matching import takes, takes_model
from driftgauge.consumer.notifying.routing.outcomes import after_postponed, after_taken, tells
from driftgauge.consumer.notifying.routing.status import (
    after_attempt,
    after_dead_letter,
    with_waiting,
)
from driftgauge.consumer.notifying.routing.tracked_incident import (
    MOST_PUT_OFF_MS,
    TrackedIncident,
    moved,
)
from driftgauge.consumer.notifying.routing.tracked_incidents import MOST, TrackedIncidents
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.notifications.status import STATUS, RouteStatus

MOST_ID: Final = 128
"""Longest id of an incident, in characters."""
MOST_RECEIPT: Final = 2000
"""Longest receipt, in characters; a longer one is not kept."""
OFFSET: Final = b"offset:"
DELIVERY: Final = b"flight"
MATCH: Final = b"match"
"""Fields of the state: the offset of each model's stream, the message in flight, and the conditions
by which the streams were read.
"""


class Dispatcher:
    """The state of a route, and what follows from it.

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
    delivery
        The message that is being sent; None if none is.
    status
        What is told of the route.
    letters
        Dead letters that were not taken out yet.

    Raises
    ------
    ValueError, msgspec.MsgspecError
        If the fields are no such state.
    """

    def __init__(self, route: Route, traits: Traits, fields: Mapping[bytes, bytes]) -> None:
        self.letters: list[DeadLetter] = []
        self._route, self._in_place = route, traits.in_place
        self._beats = traits.beat_s is not None
        self._incidents = TrackedIncidents()
        self._incidents.load(fields)
        self.offsets = {
            name.removeprefix(OFFSET).decode(): value
            for name, value in fields.items()
            if name.startswith(OFFSET)
        }
        self._read = set[str]()
        delivery, status = fields.get(DELIVERY), fields.get(STATUS)
        self.delivery = msgspec.msgpack.decode(delivery, type=Delivery) if delivery else None
        self.status = msgspec.json.decode(status, type=RouteStatus) if status else RouteStatus()
        self._doubt(self.delivery)
        self._choosing = Choosing(route, traits, self._incidents)
        self._pause_until = 0
        self._running = 0
        self._written = {name: fields.get(name, b"") for name in (STATUS, DELIVERY, MATCH)}
        self._match = msgspec.json.encode(route.match)
        if self._written[MATCH] not in {b"", self._match}:
            self._begin_again()

    def _begin_again(self) -> None:
        """Forget what other conditions left of the incidents that were not told, and of the models
        that are not followed any more, and read all streams from their beginning.
        """
        for tracked in self._incidents:
            waits = (
                tracked.is_known or tracked.news is not None or tracked.id in self._in_delivery()
            )
            if not waits or not takes_model(self._route.match, tracked.model):
                self._incidents.drop(tracked.id)
        self.offsets = dict.fromkeys(self.offsets, BEGINNING.encode())
        self._read |= set(self.offsets)

    def _doubt(self, delivery: Delivery | None) -> None:
        """Note that what a message tells may have been told by it."""
        for part in () if delivery is None else delivery.parts:
            tracked = self._incidents.get(part.id)
            if tracked is not None:
                self._incidents.put(replace(tracked, is_maybe=True))

    # -- reading -----------------------------------------------------------------------------------

    def begin(self, model: str, offset: bytes) -> None:
        """Read a model's stream from behind an entry on. If that is not where reading ended, the
        stream went back: its transitions are new, whatever their numbers.
        """
        if self.offsets.get(model, offset) != offset:
            for tracked in self._incidents:
                if tracked.model == model:
                    self._incidents.put(replace(tracked, seen=0))
        self.offsets[model] = offset
        self._read.add(model)

    def read(self, model: str, entry_id: bytes, event: bytes, now: int) -> None:
        """Take in the next entry of a model's stream; what is no incident is passed over."""
        self.offsets[model] = entry_id
        self._read.add(model)
        incident = incident_in(event)
        if incident is None or incident.model != model or not 0 < len(incident.id) <= MOST_ID:
            return
        tracked = self._incidents.get(incident.id) or TrackedIncident(incident.id, model)
        if incident.number <= tracked.seen:
            return
        changed = moved(
            tracked,
            incident,
            event,
            now,
            written=min(now, EntryId.parse(entry_id).ms),
            taken=takes(self._route, incident),
            in_flight=incident.id in self._in_delivery(),
            in_place=self._in_place,
        )
        if changed is None:
            self._incidents.drop(incident.id)
            return
        if changed.news is not None and changed.news is not tracked.news:
            changed = replace(changed, news=self._choosing.grouped(changed.news))
        self._incidents.put(self._repeated(changed, now))
        self._forget(now)

    def _repeated(self, tracked: TrackedIncident, now: int) -> TrackedIncident:
        """Let an incident that was told and stands be told again, unless it already is to be, or
        there is news of it, or somebody marked it.
        """
        stands = tracked.told and tracked.is_open and not tracked.is_marked
        has_news = tracked.news is not None and tracked.news.loud
        if not stands or has_news or tracked.repeat_at or not self._route.repeat_minutes:
            return tracked
        return replace(tracked, repeat_at=now + round(60_000 * self._route.repeat_minutes))

    def _forget(self, now: int) -> None:
        """Forget an incident if there are too many."""
        tracked = self._incidents.surplus(self._in_delivery())
        if tracked is None:
            return
        if tracked.news is not None and tracked.news.loud:
            part = Part(tracked.id, tracked.model, tracked.news.number, tracked.news.event)
            self._add_dead_letter(
                part, tracked.news.repeat, f"more than {MOST} incidents wait", now
            )
        self._incidents.drop(tracked.id)

    def _in_delivery(self) -> frozenset[str]:
        return frozenset() if self.delivery is None else self.delivery.incidents

    # -- sending -----------------------------------------------------------------------------------

    def next(self, now: int) -> Delivery | None:
        """Return the message to send now, and write it down; None if none is due. One that was
        written down before is sent again as it is, if it may still be told.
        """
        delivery = self.delivery
        if delivery is not None and not delivery.is_beat and self._is_outdated(delivery, now):
            self._doubt(delivery)
            self.delivery = None
        if self.delivery is None and now >= self._pause_until:
            self.delivery = self._choosing.next(now)
        return self.delivery

    def _is_outdated(self, delivery: Delivery, now: int) -> bool:
        """Return whether a message that was written down tells of what is silenced by now, or need
        not be told any more. What waits of the others is chosen again.
        """
        incidents = [self._incidents.get(part.id) for part in delivery.parts]
        waiting = [None if tracked is None else tracked.news for tracked in incidents]
        return any(
            news is None or news.held_until > now or not (news.loud or delivery.silent)
            for news in waiting
        )

    def taken(self, receipt: str, now: int) -> None:
        """The target took the message in flight."""
        delivery = self._end_delivery()
        self._running = self._pause_until = 0
        alone = receipt if len(delivery.parts) == 1 and len(receipt) <= MOST_RECEIPT else ""
        for part in delivery.parts:
            tracked = self._incidents.get(part.id)
            if tracked is None:
                continue
            self._choosing.beats[part.id] = now
            if not delivery.is_beat:
                told = after_taken(tracked, part, delivery, alone, now, in_place=self._in_place)
                self._incidents.put(self._repeated(told, now))
        self._tidy()
        sent = self.status.sent + (not delivery.is_beat)
        self.status = replace(self.status, sent=sent, last_sent=now, failure=None)

    def _tidy(self) -> None:
        """Forget the beats of incidents that need none any more."""
        for name in list(self._choosing.beats):
            tracked = self._incidents.get(name)
            if tracked is None or not tracked.is_open:
                del self._choosing.beats[name]

    def postponed(
        self, reason: str, after_s: float | None, now: int, *, maybe_taken: bool = False
    ) -> None:
        """The target did not take the message in flight, as far as is known, and may take it
        later.
        """
        delivery = self._end_delivery()
        if maybe_taken and not delivery.is_beat:
            self._doubt(delivery)
        failure = self.status.failure
        was_idle = failure is None or now - failure.at > MOST_PUT_OFF_MS
        self._running += 1
        wait_s = route_pause_s(self._running) if after_s is None else pause_s("", 1, after_s)
        self._pause_until = now + round(1000 * wait_s)
        self._fail(delivery, reason, now)
        if delivery.is_beat:
            return
        self.status = replace(self.status, retried=self.status.retried + 1)
        for part in delivery.parts:
            tracked = self._incidents.get(part.id)
            if tracked is not None:
                later = after_postponed(tracked, part, delivery, after_s, now, was_idle=was_idle)
                if later is None:
                    given_up = f"given up after a day: {reason}"
                    self._add_dead_letter(part, delivery.repeat, given_up, now)
                    later = replace(tracked, news=None)
                self._incidents.settle(later)

    def refused(self, reason: str, now: int) -> None:
        """The target will never take the message in flight: it becomes a dead letter."""
        delivery = self._end_delivery()
        self._fail(delivery, reason, now)
        for part in delivery.parts:
            tracked = self._incidents.get(part.id)
            if delivery.is_beat:
                self._choosing.beats[part.id] = now  # the next one is its next attempt
                continue
            self._add_dead_letter(part, delivery.repeat, reason, now)
            if tracked is not None:
                is_same = tracked.news is not None and tells(delivery, part, tracked.news)
                self._incidents.settle(replace(tracked, news=None) if is_same else tracked)

    def _end_delivery(self) -> Delivery:
        delivery, self.delivery = self.delivery, None
        if delivery is None:
            raise RuntimeError("no message was in flight")
        return delivery

    def _fail(self, delivery: Delivery, reason: str, now: int) -> None:
        models = [part.model for part in delivery.parts]
        self.status = after_attempt(self.status, models, reason, now)

    def _add_dead_letter(self, part: Part, repeat: int, reason: str, now: int) -> None:
        key = key_of(part.id, part.number, repeat)
        self.letters.append(DeadLetter(key, part.model, reason, part.event))
        self.status = after_dead_letter(self.status, part.model, reason, now)

    # -- time and commit ---------------------------------------------------------------------------

    def due_at(self, now: int) -> int | None:
        """Return when there is something to do next (ms); None if nothing waits for a time."""
        due = self._choosing.due_at(now)
        return None if due is None else max(due, self._pause_until)

    def changes(self, now: int) -> dict[bytes, bytes]:
        """Return the fields that may have changed since the last call; an empty one is to be
        deleted.
        """
        self.status = with_waiting(
            self.status,
            [tracked.news for tracked in self._incidents if tracked.news is not None],
            lambda news: self._choosing.is_held(news, now),
            now,
            beats=self._beats,
        )
        found = self._incidents.changes()
        found |= {OFFSET + model.encode(): self.offsets[model] for model in self._read}
        delivery = self.delivery
        is_kept = delivery is not None and not delivery.is_beat
        written = msgspec.msgpack.encode(delivery) if is_kept else b""
        now_written = {
            STATUS: msgspec.json.encode(self.status),
            DELIVERY: written,
            MATCH: self._match,
        }
        found |= {name: one for name, one in now_written.items() if self._written[name] != one}
        self._written = now_written
        self._read.clear()
        return found

    def take_letters(self) -> list[DeadLetter]:
        """Return the dead letters since the last call."""
        found, self.letters = self.letters, []
        return found
