"""Live updates of the open pages: one read of Redis a second for all pages of this process (fewer
with many models), and only while one is open.

Events: `state` (traffic and backlog of a model), `current` (a window was judged),
`snapshot` (a report was written), `serving` (another version of a model serves here), `alert` (a
transition, as in GET /alerts/stream), and `beat` every few seconds while Redis answers, with what
is not monitored and why: a page without beats is stale. Of the first four only the latest is sent,
so a page that reads slowly skips some. Alerts are never skipped: the event's id is the position in
the alerts of all models (positions.py), from which a page resumes.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

import msgspec
import redis
import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.positions import (
    Positions,
    read_vector,
    write_vector,
)
from driftgauge.producer.scoring.serving import Serving
from driftgauge.producer.supervision import Supervisor
from driftgauge.producer.watching.meter import Meter
from driftgauge.producer.watching.traffic import Traffic, state_of
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.streams import newest_async
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId, exclusive
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.errors import BadData
from driftgauge.shared.unpacking import UNREADABLE

NAME: Final = "open pages' look at Redis"
TICK_S: Final = 1.0
BUSY: Final = {"Retry-After": "5"}
BEAT_S: Final = 5.0
PAUSE_PER_COST: Final = 4
"""Pause after a read, in multiples of what it took of the processor, if that is longer: with many
models pages are updated less often.
"""
MOST_REASONS: Final = 100
"""Most reasons why something is not monitored that a beat has."""
MOST_ALERTS: Final = 1000
"""Most alerts that wait for a listener, or that it gets at once when it resumes; beyond that its
stream ends, and it resumes.
"""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event for pages: the latest of its name, model and version; `entry` is its place in the
    alerts if it is one.
    """

    name: str
    model: str
    data: bytes
    version: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Unmonitored:
    """Why a model is not monitored now, or, without one, none is."""

    model: str
    reason: str


@dataclass(eq=False)
class Listener:
    """An open page.

    Parameters
    ----------
    model
        Model that it follows; None for all.
    positions
        Entry id of the last alert of each model that it has seen.
    """

    model: str | None
    positions: Positions
    latest: dict[tuple[str, str, str], FeedEvent] = field(default_factory=dict)
    alerts: deque[FeedEvent] = field(default_factory=deque)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def tell(self, event: FeedEvent) -> None:
        """Queue an event for it."""
        if self.model not in (None, event.model) and event.model:
            return
        if not event.entry:
            self.latest[event.name, event.model, event.version] = event
        elif len(self.alerts) < MOST_ALERTS:
            self.alerts.append(event)
        else:
            self.over = True
        self.awake.set()

    def resume(self, missed: Sequence[FeedEvent]) -> None:
        """Put missed events before those queued meanwhile; if there are too many, it must resume
        again for the rest.
        """
        self.alerts.extendleft(reversed(missed))
        self.over = self.over or len(missed) >= MOST_ALERTS
        self.awake.set()

    def take(self) -> list[bytes]:
        """Return the queued events as blocks of the stream; alerts that it has seen are
        left out.
        """
        self.awake.clear()
        alerts, self.alerts = self.alerts, deque()
        latest, self.latest = self.latest, {}
        blocks = [block for event in alerts if (block := self._alert(event))]
        return blocks + [_block(event) for event in latest.values()]

    def _alert(self, event: FeedEvent) -> bytes:
        if EntryId.parse(event.entry) <= EntryId.parse(self.positions.get(event.model, BEGINNING)):
            return b""
        self.positions[event.model] = event.entry
        return _block(event, write_vector(self.positions))


class Feed:
    """The open pages of this process, and the task that reads Redis for them.

    Parameters
    ----------
    client
        Redis client of the reading routes, without blocking reads.
    unmonitored
        Returns what is not monitored now.
    most
        Most open pages.
    supervisor
        Keeps the look at Redis running while a page is open, whatever it meets.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        pipeline: Pipeline,
        meter: Meter,
        serving: Serving,
        unmonitored: Callable[[], Sequence[Unmonitored]] = tuple,
        *,
        most: int,
        supervisor: Supervisor,
    ) -> None:
        self.traffic = Traffic()
        self._unmonitored = unmonitored
        self._client = client
        self._keys = keys
        self._pipeline = pipeline
        self._meter = meter
        self._serving = serving
        self._most = most
        self._supervisor = supervisor
        self._open: WeakSet[Listener] = WeakSet()
        self._listeners: set[Listener] = set()
        self._polling: asyncio.Task[None] | None = None
        self._seen: dict[tuple[str, str, str], object] = {}
        self._alerts: Positions = {}
        self._ended = False

    def end(self) -> None:
        """End all streams, so that the server can stop."""
        self._ended = True
        for listener in self._listeners:
            listener.over = True
            listener.awake.set()

    async def open(self, model: str | None, last_event_id: str | None) -> Listener:
        """Resolve where a page starts: from the id that it saw last, or from now on.

        Raises
        ------
        Problem
            400 if the id is malformed; 503 if too many pages are open.
        """
        if len(self._open) >= self._most:
            raise Problem(
                503, "As many pages are open as this API process keeps live; close some.", (), BUSY
            )
        listener = Listener(model, {})
        self._open.add(listener)  # before anything is waited for, so that no more come in
        if last_event_id:
            listener.positions = read_vector(last_event_id)
        else:
            names = await self._pipeline.models()
            listener.positions = {name: await self._last_alert(name) for name in names}
        return listener

    async def follow(self, listener: Listener) -> AsyncIterator[bytes]:
        """Yield the blocks of the stream until the page or the server is gone."""
        self._listeners.add(listener)
        self._seen.clear()  # the next look tells everything: the new page knows nothing
        if self._polling is None or self._polling.done():
            self._polling = self._supervisor.keep(NAME, self._poll_while_open, pause_s=None)
        try:
            yield b"retry: 1000\n" + _block(self._beat(), write_vector(listener.positions))
            listener.resume(await self._missed(listener))
            while not self._ended:
                await listener.awake.wait()
                over = listener.over
                for block in listener.take():
                    yield block
                if over:
                    return
        finally:
            self._listeners.discard(listener)
            self._open.discard(listener)

    async def _poll_while_open(self) -> None:
        """Read Redis once a second while a page is open; Redis may go away and come back."""
        beat = 0.0
        while self._listeners and not self._ended:
            started, begun_s = time.monotonic(), time.thread_time()
            with suppress(
                *UNAVAILABLE, redis.RedisError, BadData
            ):  # pages go stale, and say so; /readyz says why
                await self._poll()
                if started - beat >= BEAT_S:
                    self._tell(self._beat())
                    beat = started
            self._supervisor.watched(NAME).succeed()
            rest_s = PAUSE_PER_COST * (time.thread_time() - begun_s)
            await asyncio.sleep(max(rest_s, TICK_S - (time.monotonic() - started)))

    def _beat(self) -> FeedEvent:
        return FeedEvent("beat", "", _encode({"unmonitored": self._unmonitored()[:MOST_REASONS]}))

    async def _poll(self) -> None:
        """Send what changed since the last read."""
        self._tell_serving()
        models = await self._pipeline.models()
        states = await self._pipeline.read(models)
        for state in states:
            self._tell_new(
                "state", state.model, state_of(state, self.traffic.rate(state), self._meter)
            )
        await self._poll_streams(states)

    def _tell_serving(self) -> None:
        for model, served in self._serving.production.items():
            fault = self._serving.faults.get(model)
            told = {
                "model": model,
                "serving": served.version,
                "fault": None if fault is None else fault.reason,
            }
            self._tell_new("serving", model, told)

    async def _poll_streams(self, states: Sequence[ModelState]) -> None:
        pipe = self._client.pipeline(transaction=False)
        for state in states:
            after = self._alerts.setdefault(state.model, self._first_position(state.model))
            pipe.hvals(self._keys.brief(state.model))
            pipe.xrevrange(self._keys.snapshots(state.model), count=1)
            pipe.xrange(self._keys.alerts(state.model), min=exclusive(after), count=MOST_ALERTS)
        replies = iter(await pipe.execute())
        for state in states:
            self._tell_current(state.model, next(replies))
            self._tell_snapshot(state.model, next(replies))
            self._tell_alerts(state.model, next(replies))

    def _tell_current(self, model: str, packed: Sequence[bytes]) -> None:
        for one in packed:
            with suppress(*UNREADABLE):  # of another version; its page says so
                current = msgspec.json.decode(one, type=Brief)
                firing = sum(current.firing.values())
                told = {"model": model, "version": current.version, "created": current.created}
                self._tell_new(
                    "current", model, {**told, "severity": current.severity, "firing": firing}
                )

    def _tell_snapshot(self, model: str, entries: Any) -> None:
        if entries:
            self._tell_new("snapshot", model, {"model": model, "entry": entries[0][0].decode()})

    def _tell_alerts(self, model: str, entries: Any) -> None:
        for event in _alerts(model, entries):
            self._tell(event)
        if entries:
            self._alerts[model] = entries[-1][0].decode()

    def _first_position(self, model: str) -> str:
        """Return the entry id after which a model's alerts are first read: the earliest position of
        any page.
        """
        return min(
            (one.positions.get(model, BEGINNING) for one in self._listeners),
            key=EntryId.parse,
            default=BEGINNING,
        )

    def _tell_new(self, name: str, model: str, value: dict[str, Any]) -> None:
        key = (name, model, str(value.get("version", "")))
        if self._seen.get(key) != value:
            self._seen[key] = value
            self._tell(FeedEvent(name, model, _encode(value), key[2]))

    def _tell(self, event: FeedEvent) -> None:
        for listener in self._listeners:
            listener.tell(event)

    async def _missed(self, listener: Listener) -> list[FeedEvent]:
        """Read the alerts since a listener's position."""
        models = [listener.model] if listener.model else await self._pipeline.models()
        missed: list[FeedEvent] = []
        for model in models:
            after = listener.positions.get(model, BEGINNING)
            room = MOST_ALERTS - len(missed)
            found: Any = (
                await self._client.xrange(
                    self._keys.alerts(model), min=exclusive(after), count=room
                )
                if room
                else []
            )
            missed += _alerts(model, found)
        return missed

    async def _last_alert(self, model: str) -> str:
        found = await newest_async(self._client, self._keys.alerts(model))
        return BEGINNING if found is None else str(found[0])


def _alerts(model: str, entries: Any) -> list[FeedEvent]:
    """Return the alerts of some entries; one that is not JSON, written by hand, is skipped."""
    found = []
    for entry_id, fields in entries:
        with suppress(*UNREADABLE):
            msgspec.json.decode(fields.get(b"e", b""))
            found.append(FeedEvent("alert", model, fields[b"e"], entry=entry_id.decode()))
    return found


def _block(event: FeedEvent, event_id: str = "") -> bytes:
    named = f"event: {event.name}\n" + (f"id: {event_id}\n" if event_id else "")
    lines = b"".join(b"data: " + line + b"\n" for line in event.data.splitlines())
    return named.encode() + lines + b"\n"
