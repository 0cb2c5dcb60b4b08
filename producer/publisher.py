"""Group commit: events of concurrent requests reach their log in one pipelined round trip.

One task drains the lanes over a connection of its own, without retries, and answers each request by the reply to its own
XADD. Theory of operation:

- A number is given when an event enters a lane, never to an event that is dropped: so a hole in the log is a loss.
- An event leaves its lane for good when its own reply has come. What is unanswered when the connection is lost is sent
  again with the same numbers; the worker skips a number that it has seen.
- An event that Redis refuses (OOM, READONLY, ...) pauses its lane; the other lanes go on.
- After every connect the known versions are published before any event, since a worker cannot read an event whose
  version it does not know.
- A request waits at most `ack_timeout_ms`. Once one has waited in vain, nobody waits until Redis is prompt again:
  a round trip was answered, and what is queued fits into the next one.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

from producer.lane import Entry, Lane, longer
from producer.receipts import Outcome, Receipts
from shared.events import Prediction, encode, partition_of
from shared.keys import Keys
from shared.model_registry import Manifest
from shared.redis_client import connect_async, shown
from shared.settings import Settings

GROUP = 1000
"""Most events of a round trip."""
CHECK_S = 1.0
"""An idle connection is tried this often, so that its loss is known before the next event."""
DRAIN_S = 5.0
"""Longest wait for the queue at shutdown."""

logger = logging.getLogger("driftgauge.producer")

Batch = list[tuple[Lane, Entry]]


class Publisher:
    """Publishes events of all models from one process.

    Parameters
    ----------
    settings
        Redis, prefix, bound of the queue and longest wait for an acknowledgement.
    """

    def __init__(self, settings: Settings) -> None:
        self.connected = False
        self.published = 0
        self.queued = 0
        self.dropped: Counter[str] = Counter()
        self._settings = settings
        self._keys = Keys(settings.key_prefix)
        self._pool = connect_async(settings.redis_url).connection_pool
        self._partitions: dict[str, int] = {}
        self._versions: dict[str, dict[str, bytes]] = {}  # all that are known, by model
        self._unannounced: dict[str, dict[str, bytes]] = {}  # those that this connection has not published
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._turns: deque[Lane] = deque()
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._receipts = Receipts(settings.ack_timeout_ms / 1000)
        self._closing = False
        self._stopped = False  # cancelling is not enough: in Python 3.11 wait_for, and so redis-py, can swallow it
        self._complained = False
        self._delay_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start draining; needs no Redis yet."""
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def close(self) -> None:
        """Send what is queued, for a few seconds, then stop."""
        self._closing = True
        self._wake.set()
        if self.queued:
            self._drained.clear()
            with suppress(TimeoutError):  # what is left is counted below
                await asyncio.wait_for(self._drained.wait(), DRAIN_S)
        if self._task is not None:
            self._stopped = True
            self._wake.set()
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.queued:
            logger.error("%d queued events are lost: Redis did not take them before the shutdown.", self.queued)
        self._receipts.give_up()

    def announce(self, manifest: Manifest, packed: bytes) -> None:
        """Make a version known; it is published before its first event, and again after every reconnect."""
        self._partitions[manifest.model] = manifest.partitions
        self._versions.setdefault(manifest.model, {})[manifest.version] = packed
        self._unannounced.setdefault(manifest.model, {})[manifest.version] = packed
        self._wake.set()

    async def publish(self, model: str, event: Prediction) -> Outcome:
        """Publish an event, and wait for its acknowledgement while Redis is prompt."""
        return await self.publish_many(model, (event,))

    async def publish_many(self, model: str, events: Sequence[Prediction]) -> Outcome:
        """Publish events of a model: all are queued in one go, or all are dropped."""
        if not self.has_room(len(events)):
            self.drop(len(events))
            return "dropped"
        receipt = self._receipts.make(len(events)) if events else None
        partitions = self._partitions[model]
        for event in events:
            lane = self._lane(model, partition_of(event.id, partitions) if partitions > 1 else 0)
            lane.append(encode(event), receipt)
            if receipt is not None and lane.delay_s:
                receipt.give_up()
        self.queued += len(events)
        self._wake.set()
        return await receipt.future if receipt is not None else "queued"

    def has_room(self, events: int) -> bool:
        """Tell whether so many events can be queued."""
        return not self._closing and self.queued + events <= self._settings.queue_events

    def drop(self, events: int) -> None:
        """Count events that are not taken; they get no number."""
        self.dropped["shutting down" if self._closing else "queue full"] += events

    @property
    def refused(self) -> bool:
        """Whether Redis answers, but does not take what is written."""
        return bool(self._unannounced) or any(lane.delay_s for lane in self._turns)

    def _lane(self, model: str, partition: int) -> Lane:
        lane = self._lanes.get((model, partition))
        if lane is None:
            lane = self._lanes[model, partition] = Lane(model, self._keys.log(model, partition).encode())
            self._turns.append(lane)
        return lane

    async def _run(self) -> None:
        """Connect and send, until the end."""
        while not self._stopped:
            connection: AbstractConnection = self._pool.make_connection()
            try:
                await connection.connect()
                self._unannounced = {model: dict(versions) for model, versions in self._versions.items()}
                await self._converse(connection)
            except (redis.RedisError, OSError) as error:  # the unanswered events are in their lanes again
                self._lost(error)
            finally:
                await connection.disconnect(nowait=True)
            self._delay_s = longer(self._delay_s)
            await asyncio.sleep(self._delay_s)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Send what is there, group by group, until the connection is lost."""
        await _ask(connection, b"PING")
        while not self._stopped:
            await self._publish_versions(connection)
            self._found()
            batch = self._take()
            if batch:
                await self._send(connection, batch)
            else:
                await self._pause(connection)

    def _take(self) -> Batch:
        """Take the next group from the lanes in turn."""
        now = asyncio.get_running_loop().time()
        batch: Batch = []
        for lane in self._turns:
            if lane.waiting and lane.retry_at <= now and lane.model not in self._unannounced:
                batch += [(lane, entry) for entry in lane.take(GROUP - len(batch))]
        self._turns.rotate(-1)
        return batch

    async def _send(self, connection: AbstractConnection, batch: Batch) -> None:
        """Send a group in one round trip; what was refused or not answered goes back to its lane."""
        refused: dict[Lane, list[Entry]] = {}
        answered = 0
        try:
            # hiredis packs ten times as fast as redis-py's own packer, which is the slow part of sending
            packed = b"".join([pack_command(lane.command(entry)) for lane, entry in batch])  # type: ignore[arg-type]  # its stub names a tuple of one
            await connection.send_packed_command(packed, check_health=False)
            for lane, entry in batch:
                try:
                    await connection.read_response()
                except redis.ResponseError as error:  # back to its lane below, sent again after a pause
                    refused.setdefault(lane, []).append(entry)
                    self._complain(lane.model, error)
                else:
                    self.published += 1
                    self.queued -= 1
                    if entry.receipt is not None:
                        entry.receipt.acknowledge()
                answered += 1
        finally:
            self._settle(batch, answered, refused)

    def _settle(self, batch: Batch, answered: int, refused: dict[Lane, list[Entry]]) -> None:
        now = asyncio.get_running_loop().time()
        again = {lane: list(entries) for lane, entries in refused.items()}
        for lane, entry in batch[answered:]:
            again.setdefault(lane, []).append(entry)
        for lane, entries in again.items():
            lane.put_back(entries)
        for lane in {lane for lane, _ in batch[:answered]}:
            if lane in refused:
                lane.refuse(now)
            else:
                lane.accept()
        if refused:
            self._receipts.give_up()
        if self.queued == 0:
            self._drained.set()

    async def _pause(self, connection: AbstractConnection) -> None:
        """Wait for an event, for the end of a lane's pause, or until it is time to try the connection."""
        now = asyncio.get_running_loop().time()
        pauses = [lane.retry_at - now for lane in self._turns if lane.waiting and lane.delay_s]
        try:
            async with asyncio.timeout(max(0.0, min([CHECK_S, *pauses]))):
                await self._wake.wait()
        except TimeoutError:  # nothing to send: is Redis still there?
            await _ask(connection, b"PING")
        self._wake.clear()

    async def _publish_versions(self, connection: AbstractConnection) -> None:
        """Publish the versions that this connection has not published; a model whose are refused waits."""
        for model, versions in list(self._unannounced.items()):
            fields = [part for version, packed in versions.items() for part in (version.encode(), packed)]
            try:
                await _ask(connection, b"SADD", self._keys.models.encode(), model.encode())
                await _ask(connection, b"HSET", self._keys.versions(model).encode(), *fields)
            except redis.ResponseError as error:  # its events stay queued
                self._complain(model, error)
            else:
                if self._unannounced.get(model) == versions:  # none was added meanwhile
                    del self._unannounced[model]

    def _found(self) -> None:
        if not self.connected:
            logger.info("Connected to Redis at %s; %d events are queued.", shown(self._settings.redis_url), self.queued)
        self.connected = True
        self._delay_s = 0.0
        if not self.refused and self.queued <= GROUP:
            self._receipts.resume()
        self._complained = self._complained and self.refused

    def _lost(self, error: Exception) -> None:
        if self.connected or not self._delay_s:
            logger.warning(
                "Redis at %s is away (%s); events are queued until it is back.",
                shown(self._settings.redis_url),
                type(error).__name__,
            )
        self.connected = False
        self._receipts.give_up()

    def _complain(self, model: str, error: Exception) -> None:
        if not self._complained:
            logger.warning("Redis refuses what is written for %s (%s); it stays queued.", model, error)
        self._complained = True


async def _ask(connection: AbstractConnection, *command: bytes) -> Any:
    """Send one command and wait for its reply."""
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    reply: Awaitable[Any] = connection.read_response()
    return await reply
