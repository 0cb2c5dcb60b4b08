"""Following the streams of alerts or incidents as server-sent events, resumable without loss.

A subscriber's position is resolved to entry ids when it connects (never `$`, which would skip what
arrives between two reads) and is sent at once, so that it can resume even if it was cut off before
its first event.

Only one read of this process waits in Redis, for all subscribers together: it tells them that a
stream has grown, and each reads from its own position then. So a subscriber costs one open file,
its client's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, Literal
from weakref import WeakSet

import redis
import redis.asyncio

from driftgauge.producer.answers.cloud_events import telling
from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.reading.positions import (
    Positions,
    malformed,
    read_vector,
    write_vector,
)
from driftgauge.producer.supervision import stopped
from driftgauge.shared.connections.redis_client import BLOCK_MS
from driftgauge.shared.connections.streams import newest_async
from driftgauge.shared.contract.entry_id import BEGINNING, is_entry_id
from driftgauge.shared.contract.keys import Keys, model_names

Kind = Literal["alert", "incident"]
HEARTBEAT_S = 15.0
GROUP = 100
AWAY_S = 1.0
COMMENT = b": alive\n\n"


class Subscriptions:
    """The subscribers of one API process.

    Parameters
    ----------
    client
        Redis client with one connection more than `most_reads`, which waits for all subscribers.
    kind
        What is followed.
    most
        Most subscribers at once.
    most_reads
        Most reads at once, of all subscribers together.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        kind: Kind = "alert",
        *,
        most: int,
        most_reads: int,
    ) -> None:
        self.client = client
        self.kind = kind
        self._keys = keys
        self._tell = telling(kind)
        self._stream_of = {"alert": keys.alerts, "incident": keys.incidents}[kind]
        self._most = most
        self._reading = asyncio.Semaphore(most_reads)
        self._closing = asyncio.Event()
        self._open: WeakSet[Subscription] = WeakSet()
        self._followers: set[Subscription] = set()
        self._waking: asyncio.Task[None] | None = None

    def end(self) -> None:
        """End all subscriptions, so that the server can stop."""
        self._closing.set()
        self._wake(self._followers)

    async def close(self) -> None:
        """End all subscriptions and the connections to Redis."""
        self.end()
        if self._waking is not None:
            await stopped(self._waking)
        await self.client.aclose()

    async def models(self) -> set[str]:
        """Return the models that exist in Redis; what cannot be a model's name was written by
        hand.
        """
        async with self._reading:
            members: Any = await self.client.smembers(self._keys.models)
        return set(model_names(members))

    async def open(self, model: str | None, last_event_id: str | None) -> "Subscription":
        """Resolve where a subscriber starts.

        Parameters
        ----------
        model
            The model to follow, None for all of them, later ones too.
        last_event_id
            The last id that the subscriber saw; None to start from now.

        Raises
        ------
        Problem
            400 if the id is malformed; 503 if there are too many subscribers.
        """
        if len(self._open) >= self._most:
            detail = f"Too many clients follow the {self.kind}s of this API."
            raise Problem(503, detail, (), RETRY_AFTER)
        subscription = Subscription(self, everything=model is None)
        self._open.add(subscription)  # before anything is waited for, so that no more come in
        subscription.start(await self._positions(model, last_event_id))
        return subscription

    async def _positions(self, model: str | None, last_event_id: str | None) -> Positions:
        if last_event_id is None:
            followed = await self.models() if model is None else {model}
            return {name: await self._last(name) for name in sorted(followed)}
        if model is None:
            return read_vector(last_event_id)
        if is_entry_id(last_event_id):
            return {model: last_event_id}
        raise malformed()

    async def follow(self, subscription: "Subscription") -> AsyncIterator[bytes]:
        """Yield the blocks of the stream until the server stops; Redis may go and come back."""
        self._followers.add(subscription)
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._wake_followers(), name="subscriptions")
        try:
            yield subscription.opening()
            beat = time.monotonic()
            while not self._closing.is_set():
                news = await subscription.has_news(beat + HEARTBEAT_S - time.monotonic())
                for block in await self._blocks(subscription) if news else [COMMENT]:
                    yield block
                    beat = time.monotonic()
        finally:
            self._followers.discard(subscription)
            self._open.discard(subscription)

    async def _blocks(self, subscription: "Subscription") -> list[bytes]:
        """Read what is new; if that is not all, or Redis is away, it is asked again."""
        try:
            if subscription.everything:
                subscription.join(await self.models())
            found = (
                await self._read(subscription.followed, block=None)
                if (subscription.followed)
                else []
            )
        except (
            redis.ConnectionError,
            redis.TimeoutError,
        ):  # the position stays: goes on when Redis is back
            await self._wait(AWAY_S)
            subscription.news.set()
            return []
        if any(len(entries) == GROUP for _, entries in found):
            subscription.news.set()
        names = {self._stream_of(model): model for model in subscription.followed}
        return [
            subscription.block(
                names[key.decode()], entry_id.decode(), self._tell(fields.get(b"e", b""))
            )
            for key, entries in found
            for entry_id, fields in entries
        ]

    async def _wake_followers(self) -> None:
        """Tell the followers of a stream that it has grown, while there are any.

        A stream is watched from its end on, and whoever follows it reads once after that end was
        found out: so nothing falls between.
        """
        ends: Positions = {}
        while self._followers and not self._closing.is_set():
            try:
                wanted = await self._wanted()
                new = wanted - ends.keys()
                ends = {model: ends.get(model) or await self._last(model) for model in wanted}
                self._wake(one for one in self._followers if one.follows(new))
                await self._watch(ends)
            except redis.RedisError:  # each reads by itself then, and sees what is wrong
                await self._wait(AWAY_S)
                ends = {}

    async def _watch(self, ends: Positions) -> None:
        """Wait for a moment until one of the streams has grown."""
        if not ends:
            await self._wait(AWAY_S)
            return
        names = {self._stream_of(model): model for model in ends}
        grown = set()
        for key, entries in await self._read(ends, block=BLOCK_MS):
            model = names[key.decode()]
            ends[model] = entries[-1][0].decode()
            grown.add(model)
        self._wake(one for one in self._followers if one.follows(grown))

    async def _wanted(self) -> set[str]:
        """Return the models that somebody follows."""
        everything = any(one.everything for one in self._followers)
        named = {model for one in self._followers for model in one.followed}
        return named | (await self.models() if everything else set())

    async def _read(self, positions: Positions, block: int | None) -> Any:
        """Read what stands after some positions; `block` (ms) waits for them."""
        streams: dict[Any, Any] = {
            self._stream_of(model): after for model, after in positions.items()
        }
        if block is not None:  # on the connection that is left for it
            return await self.client.xread(streams, count=GROUP, block=block)
        async with self._reading:
            return await self.client.xread(streams, count=GROUP)

    def _wake(self, followers: Iterable["Subscription"]) -> None:
        for subscription in followers:
            subscription.news.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:  # the server goes on, and so does the subscription
            return

    async def _last(self, model: str) -> str:
        async with self._reading:
            found = await newest_async(self.client, self._stream_of(model))
        return BEGINNING if found is None else str(found[0])


class Subscription:
    """One subscriber's position.

    Parameters
    ----------
    everything
        Whether it follows all models.

    Attributes
    ----------
    news
        Set when there may be something to read, as there may be at first.
    """

    def __init__(self, subscriptions: Subscriptions, *, everything: bool) -> None:
        self.everything = everything
        self.followed: Positions = {}
        self._stated: Positions = {}
        self._subscriptions = subscriptions
        self.news = asyncio.Event()
        self.news.set()

    def start(self, positions: Positions) -> None:
        """Set the last entry id of each model, as the subscriber sent it or as of now."""
        self.followed = {} if self.everything else dict(positions)
        self._stated = positions

    def follows(self, models: Collection[str]) -> bool:
        """Tell whether it follows one of some models."""
        return bool(models) and (self.everything or any(model in models for model in self.followed))

    async def has_news(self, patience_s: float) -> bool:
        """Wait for news, and take note of them; return whether there were any."""
        try:
            async with asyncio.timeout(max(0.0, patience_s)):
                await self.news.wait()
        except TimeoutError:  # time for a sign of life
            return False
        self.news.clear()
        return True

    def join(self, models: set[str]) -> None:
        """Add the models that exist now: a new one from the subscriber's position in it, else from
        its beginning.
        """
        for model in models - self.followed.keys():
            self.followed[model] = self._stated.get(model, BEGINNING)

    def blocks(self) -> AsyncIterator[bytes]:
        return self._subscriptions.follow(self)

    def opening(self) -> bytes:
        """Return the first block: the position alone."""
        return b": following\nid: " + self._id().encode() + b"\n\n"

    def block(self, model: str, entry_id: str, event: bytes) -> bytes:
        """Return the block of an event, with the position after it."""
        self.followed[model] = entry_id
        lines = b"".join(b"data: " + line + b"\n" for line in event.splitlines())
        kind = self._subscriptions.kind.encode()
        return b"event: " + kind + b"\nid: " + self._id().encode() + b"\n" + lines + b"\n"

    def _id(self) -> str:
        if self.everything:
            return write_vector({**self._stated, **self.followed})
        return next(iter(self.followed.values()))
