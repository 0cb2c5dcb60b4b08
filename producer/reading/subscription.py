"""Following the alert streams as server-sent events, resumable without loss.

A subscriber's position is resolved to entry ids when it connects (never `$`, which would skip what
arrives between two reads) and is sent at once, so that it can resume even if it was cut off before
its first event.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import redis
import redis.asyncio

from driftgauge.producer.reading.positions import (
    Positions,
    malformed,
    read_vector,
    write_vector,
)
from driftgauge.shared.connections.redis_client import BLOCK_MS
from driftgauge.shared.connections.streams import newest_async
from driftgauge.shared.contract.entry_id import BEGINNING, is_entry_id
from driftgauge.shared.contract.keys import Keys, model_names

HEARTBEAT_S = 15.0
GROUP = 100
AWAY_S = 1.0
COMMENT = b": alive\n\n"


class Subscriptions:
    """The subscribers of one API process.

    Parameters
    ----------
    client
        Redis client for subscribers only: each holds a connection in a blocking read.
    """

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self.client = client
        self._keys = keys
        self._closing = asyncio.Event()

    def end(self) -> None:
        """End all subscriptions, so that the server can stop."""
        self._closing.set()

    async def models(self) -> set[str]:
        """Return the models that exist in Redis; what cannot be a model's name was written by
        hand.
        """
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
            400 if the id is malformed.
        """
        if last_event_id is None:
            followed = await self.models() if model is None else {model}
            positions = {name: await self._last(name) for name in sorted(followed)}
        elif model is None:
            positions = read_vector(last_event_id)
        elif is_entry_id(last_event_id):
            positions = {model: last_event_id}
        else:
            raise malformed()
        return Subscription(self, positions, everything=model is None)

    async def follow(self, subscription: "Subscription") -> AsyncIterator[bytes]:
        """Yield the blocks of the stream until the server stops; Redis may go and come back."""
        yield subscription.opening()
        beat = time.monotonic()
        while not self._closing.is_set():
            blocks = await self._blocks(subscription)
            if not blocks and time.monotonic() - beat >= HEARTBEAT_S:
                blocks = [COMMENT]
            for block in blocks:
                yield block
                beat = time.monotonic()

    async def _blocks(self, subscription: "Subscription") -> list[bytes]:
        """Read what is new, waiting for it for a moment."""
        try:
            if subscription.everything:
                subscription.join(await self.models())
            keys = {
                self._keys.alerts(model): after for model, after in subscription.followed.items()
            }
            if not keys:
                await self._wait(AWAY_S)
                return []
            streams: dict[Any, Any] = {**keys}
            found: Any = await self.client.xread(streams, count=GROUP, block=BLOCK_MS)
        except (
            redis.ConnectionError,
            redis.TimeoutError,
        ):  # the position stays: goes on when Redis is back
            await self._wait(AWAY_S)
            return []
        names = {self._keys.alerts(model): model for model in subscription.followed}
        return [
            subscription.block(names[key.decode()], entry_id.decode(), fields.get(b"e", b""))
            for key, entries in found
            for entry_id, fields in entries
        ]

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:  # the server goes on, and so does the subscription
            return

    async def _last(self, model: str) -> str:
        found = await newest_async(self.client, self._keys.alerts(model))
        return BEGINNING if found is None else str(found[0])


class Subscription:
    """One subscriber's position.

    Parameters
    ----------
    positions
        Last entry id of each model, as the subscriber sent it or as of now.
    everything
        Whether it follows all models.
    """

    def __init__(
        self, subscriptions: Subscriptions, positions: Positions, *, everything: bool
    ) -> None:
        self.everything = everything
        self.followed: Positions = {} if everything else dict(positions)
        self._stated = positions
        self._subscriptions = subscriptions

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
        """Return the block of an alert, with the position after it."""
        self.followed[model] = entry_id
        lines = b"".join(b"data: " + line + b"\n" for line in event.splitlines())
        return b"event: alert\nid: " + self._id().encode() + b"\n" + lines + b"\n"

    def _id(self) -> str:
        if self.everything:
            return write_vector({**self._stated, **self.followed})
        return next(iter(self.followed.values()))
