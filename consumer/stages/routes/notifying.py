"""Notifying of one route: follows the incidents of all models that it takes, and has them sent.

One stage serves a route, however many models there are: its checkpoint and lease stand in a slot of
their own, and it reads all streams at once. Theory of operation:

- New entries are read until none is left; then the dispatcher (consumer/notifying/routing) says
  what to send. So after a time without a worker only what still stands is told.
- What is read, what is to be sent and what became of it are committed. A message is written down
  before it is sent. If the worker dies before the outcome is committed, the next owner sends it
  again, under the same key.
- A message is sent in a thread. Meanwhile the stage reads on, and its lease is kept like that of
  any idle stage.
- After a reload a message may still be on its way in the thread of before, or have an outcome that
  could not be committed. Nothing else is sent until that ends. If it is the one that was written
  down, its outcome counts.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec
import redis
from redis.client import Pipeline

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.dispatcher import Dispatcher
from driftgauge.consumer.notifying.routing.matching import takes_model
from driftgauge.consumer.notifying.wording import about
from driftgauge.consumer.stages.attempts import DEAD_BYTES
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.routes.open_route import OpenRoute
from driftgauge.consumer.stages.routes.sender import Draw, Outcome, Sender, no_picture
from driftgauge.consumer.stages.routes.streams import ManyStreams
from driftgauge.consumer.stages.stage import CommitClock, Stage
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import ABOUT, DEAD_KEPT
from driftgauge.shared.settings import Settings

QUICK_S: Final = 0.05
"""Time (s) for which a turn waits for the target, which mostly answers within it."""
LOOK_S: Final = 0.1
"""Time (s) after which a message is looked after that takes longer."""
CATCH_UP_S: Final = 60.0
"""Longest time (s) for which nothing is sent because there is more and more to read."""
LAST_S: Final = 3.0
"""Time (s) for which a worker that stops waits for a message on its way."""


class Notifying(Stage):
    """Has the incidents of a route sent.

    Parameters
    ----------
    name
        Name of the route.
    client_of
        Returns the Redis client of a key's server.
    route_of
        Returns the route as it is now; None if there is none of the name any more.
    models
        The models that are known by now.
    draw
        What draws the pictures.
    """

    retry_s = (1.0, 30.0)

    def __init__(
        self,
        name: str,
        client_of: Callable[[str], redis.Redis],
        settings: Settings,
        route_of: Callable[[], Route | None],
        models: Collection[str],
        *,
        is_cluster: bool,
        draw: Draw = no_picture,
    ) -> None:
        keys = self._keys = Keys(settings.key_prefix)
        self.name = f"notifying {name}"
        self.client = client_of(keys.route(name))
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            self.client,
            keys.route(name),
            keys.route_owner(name),
            keys.route_epoch(name),
            self.lease_ms,
        )
        self._route_name, self._route_of, self._models = name, route_of, models
        self._client_of = client_of
        self._open = OpenRoute(self.name, settings.public_url or "", draw)
        self._streams = ManyStreams(client_of, is_cluster=is_cluster)
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)
        self._dead = keys.route_dead(name)
        self._followed: dict[str, str] = {}
        self._dispatcher: Dispatcher | None = None
        self._known_models = 0
        self._read_to_end = 0.0
        self._due_at = math.inf

    # -- what the stage is asked -------------------------------------------------------------------

    @property
    def positions(self) -> Mapping[str, str]:
        """The streams of incidents, each with the id of the last entry that was read."""
        return {stream: self._offset(model).decode() for stream, model in self._followed.items()}

    @property
    def due_at(self) -> float:
        """When a message is due, or one on its way is looked after."""
        return self._due_at

    def load(self) -> None:
        """Load the dispatcher; a stream that went back to an older state is read from there."""
        self.check_types("stream", self._dead)
        fields = self.checkpoint.load()
        route = self._route_of()
        self._open.open(route)
        if route is None:
            self._dispatcher, self._followed, self._due_at = None, {}, math.inf
            return
        with self.checkpoint.reading():
            self._dispatcher = Dispatcher(route, self._open.traits, fields)
            known = dict(self._dispatcher.offsets)
        lasts = self._streams.lasts([self._keys.incidents(model) for model in known])
        for model, offset in known.items():
            last = lasts[self._keys.incidents(model)].encode()
            self._dispatcher.begin(model, min(offset, last, key=EntryId.parse))
        self._followed, self._known_models = {}, 0
        self._read_to_end = time.monotonic()
        self._client_of(self._keys.routes).sadd(self._keys.routes, self._route_name)
        self._clock.reset()
        self._commit(server_ms(self.client), about_it=True)

    def turn(self) -> bool:
        """Read what is new; if nothing is, send what is due."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return False
        now = server_ms(self.client)
        self._follow_new(dispatcher)
        found, more = self._streams.read(self.positions)
        for stream, entries in found:
            model = self._followed[stream]
            for entry_id, fields in entries:
                content = dict(zip(fields[::2], fields[1::2], strict=True))
                dispatcher.read(model, entry_id, content.get(b"e", b""), now)
        if found:
            self._commit(now)
        if not more:
            self._read_to_end = time.monotonic()
        catching_up = time.monotonic() - self._read_to_end < CATCH_UP_S
        sent = False if more and catching_up else self._send(dispatcher, now)
        self.hold()
        return more or sent

    def finish(self) -> None:
        """Wait a moment for a message on its way, so that the next owner need not repeat it."""
        if self._dispatcher is None or self._sender is None:
            return
        until = time.monotonic() + LAST_S
        while not self._look_after(self._dispatcher, LOOK_S) and time.monotonic() < until:
            self.hold()

    def close(self) -> None:
        self._open.close()
        super().close()

    @property
    def _sender(self) -> Sender | None:
        return self._open.sender

    # -- sending -----------------------------------------------------------------------------------

    def _send(self, dispatcher: Dispatcher, now: int) -> bool:
        """Look after the message on its way, or send the next one; return whether there may be
        another one to send at once.
        """
        assert self._sender is not None  # noqa: S101  there is a dispatcher
        if self._sender.delivery is None:
            delivery = dispatcher.next(now)
            self._commit(now)
            if delivery is None:
                self._wait_until(dispatcher.due_at(now), now)
                return False
            self._open.renew()
            self._sender.start(delivery, now)
        if self._look_after(dispatcher, QUICK_S):
            return True
        self._due_at = time.monotonic() + LOOK_S
        return False

    def _look_after(self, dispatcher: Dispatcher, wait_s: float) -> bool:
        """Take the outcome of the message on its way, if there is one by now, and commit it; return
        whether none is on its way any more.
        """
        assert self._sender is not None  # noqa: S101  there is a dispatcher
        delivery = self._sender.delivery
        if delivery is None:
            return True
        outcome = self._sender.outcome(wait_s)
        if outcome is None:
            return False
        if dispatcher.delivery == delivery:
            now = server_ms(self.client)
            _note(dispatcher, outcome, now)
            self._commit(now)  # if it fails, the outcome is there after the reload
        self._sender.done()
        return True

    def _wait_until(self, due: int | None, now: int) -> None:
        left_s = math.inf if due is None else max(0, due - now) / 1000
        self._due_at = time.monotonic() + left_s

    # -- reading and committing --------------------------------------------------------------------

    def _follow_new(self, dispatcher: Dispatcher) -> None:
        """Follow the models that the route takes; one that is new to it from its first entry on."""
        route = self._open.route
        if route is None or len(self._models) == self._known_models:
            return
        models = list(self._models)
        self._known_models = len(models)
        for model in models:
            stream = self._keys.incidents(model)
            if stream not in self._followed and takes_model(route.match, model):
                self._followed[stream] = model
                if model not in dispatcher.offsets:
                    dispatcher.begin(model, BEGINNING.encode())

    def _offset(self, model: str) -> bytes:
        return BEGINNING.encode() if self._dispatcher is None else self._dispatcher.offsets[model]

    def _commit(self, now: int, *, about_it: bool = False) -> None:
        assert self._dispatcher is not None  # noqa: S101  the callers have one
        fields = self._dispatcher.changes(now)
        if about_it and self._open.route is not None:
            fields[ABOUT] = msgspec.json.encode(about(self._open.route, now))
        letters = self._dispatcher.take_letters()

        def queue(pipe: Pipeline) -> None:
            for letter in letters:
                content: dict[Any, Any] = {
                    "key": letter.key,
                    "model": letter.model,
                    "reason": letter.reason,
                    b"e": letter.event[:DEAD_BYTES],
                }
                pipe.xadd(self._dead, content, maxlen=DEAD_KEPT, approximate=True)

        if fields or letters:
            self.checkpoint.commit(fields, queue)
            self._clock.reset()


def _note(dispatcher: Dispatcher, outcome: Outcome, now: int) -> None:
    """Note what became of the message in flight."""
    if outcome.receipt is not None:
        dispatcher.taken(outcome.receipt, now)
    elif outcome.is_final:
        dispatcher.refused(outcome.reason, now)
    else:
        dispatcher.postponed(outcome.reason, outcome.after_s, now, maybe_taken=outcome.maybe_taken)
