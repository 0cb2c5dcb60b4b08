"""Group commit: events of concurrent requests reach their log in one pipelined round trip.

One task drains the lanes over a connection of its own, without retries, and each event is answered
by the reply to its own XADD. Theory of operation:

- An event leaves its lane for good when its own reply has come. What is unanswered when the
  connection is lost is sent again with the same numbers; the worker skips a number that it has
  seen.
- An event that Redis refuses (OOM, NOREPLICAS, ...) pauses its lane; the other lanes go on.
- After every connect the known versions are published before any event, since a worker cannot read
  an event whose version it does not know. They are looked for every few seconds, and published
  again if they are gone.
- Once a second the server is asked what it is. One that is to get no writes is left, and found anew
  by its name or its Sentinels: a replica (it was the primary before, or the Sentinels say so), a
  server that is nearly full, whose rest of memory is for the worker's commits that make room, and,
  if events must be `replicated`, one whose replicas are away.
- A server that has another identity than before (it restarted, or a replica took over), or lost the
  versions, may have lost the events that were acknowledged last: they are sent again, after the
  versions.
- With `replicated`, a WAIT follows each group: its events count as acknowledged when a replica has
  them.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

from driftgauge.producer.publishing.connection import ask
from driftgauge.producer.publishing.kept import Kept
from driftgauge.producer.publishing.lane import (
    Batch,
    Entry,
    Lane,
    Lanes,
    longer,
    put_back,
)
from driftgauge.producer.publishing.receipts import Receipts
from driftgauge.producer.publishing.ring import Ring
from driftgauge.producer.publishing.server import Server, read_info
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spooler import Spooler
from driftgauge.producer.publishing.versions import Versions
from driftgauge.shared.connections.redis_client import connect_async, shown
from driftgauge.shared.connections.refusals import eviction, refusal
from driftgauge.shared.connections.sentinels import FoundAsync
from driftgauge.shared.settings import Settings

GROUP = 1000
"""Most events of a round trip."""
CHECK_S = 1.0
"""An idle connection is tried this often, so that its loss is known before the next event; and the
server is asked this often what it is.
"""
VERSIONS_CHECK_S = 3.0
"""Interval at which the published versions are looked for."""
FULL_SHARE = 0.9
"""Share of `maxmemory` above which no events are sent."""

NO_REPLICA: Final = "NOREPLICAS no replica confirms what is written"
LEFT: Final[Mapping[str, str]] = {
    "OOM": "nearly full",
    "READONLY": "a replica, which takes no writes",
    "NOREPLICAS": "without a replica",
}
"""What a server is that was left, by its code."""

logger = logging.getLogger("driftgauge.producer")


class Sender:
    """The task between the lanes and Redis.

    Attributes
    ----------
    left
        Code (shared/connections/refusals.py) of why the server was left although it answers; empty
        if it was not.
    refused_with
        Code with which it last refused what was written; empty for another error.
    evicts
        Policy by which Redis may evict keys; empty if it evicts none.
    published
        Events that Redis has acknowledged.
    resent
        Number of events that were sent again, because they were unanswered, or acknowledged by a
        server that may have lost them.
    """

    def __init__(
        self,
        settings: Settings,
        lanes: Lanes,
        versions: Versions,
        spool: Spool,
        spooler: Spooler,
        receipts: Receipts,
    ) -> None:
        self.connected = False
        self.left = ""
        self.refused_with = ""
        self.evicts = ""
        self.published = 0
        self.resent = 0
        self.ring = Ring(settings.ring_max_bytes)
        self._url = settings.redis_url
        self._pool = connect_async(settings.redis_url).connection_pool
        self._lanes = lanes
        self._versions = versions
        self._spool = spool
        self._spooler = spooler
        self._receipts = receipts
        self._kept = Kept(settings.ring_seconds)
        # half of what a request waits, so that what is not confirmed is on disk before it gives up
        half_ms = max(1, settings.ack_timeout_ms // 2)
        self._wait_ms = half_ms if settings.publish_mode == "replicated" else 0
        self._server: bytes | None = None  # the identity of the server that acknowledged last
        # cancelling is not enough: in Python 3.11 wait_for, and so redis-py, can swallow it
        self._stopped = False
        self._succeed: Callable[[], None] = lambda: None
        self._complained = False
        self._delay_s = 0.0
        self._look_at = self._verify_at = -math.inf

    async def run(self, succeed: Callable[[], None]) -> None:
        """Connect and send, until `stop`; `succeed` is told of each round, of a try in vain too."""
        self._succeed = succeed
        while not self._stopped:
            connection: AbstractConnection = self._pool.make_connection()
            try:
                await connection.connect()
                await self._converse(connection)
            except (
                redis.RedisError,
                OSError,
            ) as error:  # the unanswered events are in their lanes again
                self._lost(error)
            finally:
                await connection.disconnect(nowait=True)
            self._delay_s = longer(self._delay_s)
            await asyncio.sleep(self._delay_s)

    def stop(self) -> None:
        """End `run`, which must be cancelled too."""
        self._stopped = True
        self._lanes.wake.set()

    async def _converse(self, connection: AbstractConnection) -> None:
        """Send what is there, group by group, until the connection is lost."""
        await ask(connection, b"PING")
        await self._versions.publish_again()
        self._look_at = -math.inf
        while not self._stopped:
            await self._look(connection)
            await self._verify(connection)
            if await self._versions.publish(connection, self._complain):
                self._spooler.free()
            self._found()
            batch = self._take()
            if batch:
                await self._send(connection, batch)
            else:
                await self._pause(connection)

    async def _look(self, connection: AbstractConnection) -> None:
        """Ask the server once a second what it is.

        Raises
        ------
        redis.ResponseError
            If it takes no writes, or is to get none.
        """
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        try:
            server = read_info(await ask(connection, b"INFO"))
        except redis.ResponseError:  # not allowed here
            server = Server(b"")  # a refused write says the same, later
        self.evicts = eviction(server.limit, server.policy)
        if server.replica or (isinstance(connection, FoundAsync) and await connection.is_left()):
            raise redis.exceptions.ReadOnlyError("it is a replica now")
        if self._wait_ms and server.identity and not server.prompt:
            raise redis.ResponseError(NO_REPLICA)
        # without a right to INFO every connection may be to another server
        known = bool(server.identity) or self._look_at > -math.inf
        if self._server is not None and (server.identity != self._server or not known):
            await self._versions.publish_again()
            self._doubt("Redis is not the server of before")
            self._kept.forget()
        self._server = server.identity
        self._kept.note(now, server)
        self._look_at = now + CHECK_S
        if server.limit and server.used > FULL_SHARE * server.limit and not self.evicts:
            raise redis.exceptions.OutOfMemoryError(
                f"{server.used:,} of maxmemory {server.limit:,} bytes are used"
            )

    async def _verify(self, connection: AbstractConnection) -> None:
        """Look every few seconds whether the versions are still there: a server that lost them
        (FLUSHALL, an eviction) may have lost the last events too.
        """
        now = asyncio.get_running_loop().time()
        if now < self._verify_at:
            return
        self._verify_at = now + VERSIONS_CHECK_S
        lost = await self._versions.verify(connection)
        if lost:
            self._doubt(f"Redis has lost the versions of {', '.join(lost)}")

    def _doubt(self, why: str) -> None:
        """Queue again what was acknowledged last; the lanes hold it until the versions are
        published.
        """
        again = self.ring.take()
        for _, entry in again:
            entry.again = True
        put_back(again)
        self._lanes.queued += len(again)
        self._lanes.again += len(again)
        on_disk = self._spool.doubt()
        self.resent += len(again) + on_disk
        logger.warning("%s; %d last events are sent again.", why, len(again) + on_disk)

    def _take(self) -> Batch:
        """Take the next group from the lanes in turn."""
        now = asyncio.get_running_loop().time()
        fresh = self._spooler.direct
        batch: Batch = []
        for lane in self._lanes:
            if (
                (lane.fresh or lane.spooled)
                and lane.retry_at <= now
                and not self._versions.awaited(lane.model)
            ):
                batch += [(lane, entry) for entry in lane.take(GROUP - len(batch), fresh=fresh)]
        self._lanes.rotate()
        return batch

    async def _send(self, connection: AbstractConnection, batch: Batch) -> None:
        """Send a group in one round trip; what was refused or not answered goes back to its
        lane.
        """
        accepted: Batch = []
        refused: Batch = []
        try:
            # hiredis packs ten times as fast as redis-py's own packer, which is the slow part of
            # sending
            packed = b"".join([pack_command(lane.command(entry)) for lane, entry in batch])  # type: ignore[arg-type]  # its stub names a tuple of one
            if self._wait_ms:
                packed += pack_command((b"WAIT", 1, self._wait_ms))  # type: ignore[arg-type]  # as above
            await connection.send_packed_command(packed, check_health=False)
            await self._read_replies(connection, batch, accepted, refused)
        finally:
            self.resent += len(batch) - len(accepted) - len(refused)
            if len(accepted) < len(batch):
                taken = {id(entry) for _, entry in accepted}
                put_back([pair for pair in batch if id(pair[1]) not in taken])
            self._settle(accepted, {lane for lane, _ in refused})

    async def _read_replies(
        self, connection: AbstractConnection, batch: Batch, accepted: Batch, refused: Batch
    ) -> None:
        """Sort a group by its replies. A request is answered at once, or, with `replicated`, after
        the group was confirmed.

        Raises
        ------
        redis.ResponseError
            If the server is no primary any more, or no replica has confirmed the group: then it is
            unanswered, and the server is left.
        """
        taken = [] if self._wait_ms else accepted
        for pair in batch:
            try:
                await connection.read_response()
            except redis.exceptions.ReadOnlyError:  # it is no primary any more
                raise
            except redis.ResponseError as error:  # back to its lane, sent again after a pause
                refused.append(pair)
                self._complain(pair[0].model, error)
            else:
                taken.append(pair)
                if not self._wait_ms:
                    _acknowledge(pair)
        if self._wait_ms:
            confirming: Any = connection.read_response()
            if not await confirming and taken:
                raise redis.ResponseError(NO_REPLICA)
            for pair in taken:
                _acknowledge(pair)
            accepted += taken

    def _settle(self, accepted: Batch, refused: set[Lane]) -> None:
        """Note what Redis has now, and which lanes it takes."""
        now = asyncio.get_running_loop().time()
        in_memory: Batch = []
        for lane, entry in accepted:
            entry.receipt = None
            self.published += not entry.again
            if entry.file is None:
                in_memory.append((lane, entry))
            else:
                entry.file.acknowledge(entry.offset, now)
        if in_memory:
            self.ring.add(in_memory, now)
            self._lanes.take_out(in_memory)
        freed = False
        for lane in {lane for lane, _ in accepted} - refused:
            freed = freed or lane.delay_s > 0
            lane.accept()
        for lane in refused:
            lane.refuse(now)
        if freed:
            self._spooler.free()
        elif refused or len(in_memory) < len(accepted):
            self._spooler.wake.set()

    async def _pause(self, connection: AbstractConnection) -> None:
        """Wait for an event, for the end of a lane's pause, or until it is time to try the
        connection.
        """
        now = asyncio.get_running_loop().time()
        pauses = [
            lane.retry_at - now
            for lane in self._lanes
            if lane.delay_s and (lane.fresh or lane.spooled)
        ]
        try:
            async with asyncio.timeout(max(0.0, min([CHECK_S, *pauses]))):
                await self._lanes.wake.wait()
        except TimeoutError:  # nothing to send: is Redis still there?
            await ask(connection, b"PING")
        self._lanes.wake.clear()

    def _found(self) -> None:
        """Note that Redis has just answered."""
        self._succeed()
        if not self.connected:
            logger.info(
                "Connected to Redis at %s; %d events wait for it.",
                shown(self._url),
                self._waiting(),
            )
        now = asyncio.get_running_loop().time()
        self._spooler.safe_until = until = self._kept.until(now)
        self.ring.release(until)
        self.connected = True
        self.left = ""
        self._delay_s = 0.0
        if self._lanes.away:
            self._lanes.away = False
            self._spooler.free()
        if self._lanes.queued <= GROUP:
            self._receipts.resume()
        self._complained = self._complained and self._lanes.refused

    def _lost(self, error: Exception) -> None:
        self._succeed()
        if self.connected or not self._delay_s:
            code = refusal(error)
            logger.warning(
                "Redis at %s is %s (%s); events are spooled until it is not.",
                shown(self._url),
                LEFT.get(code, "away"),
                error if code else type(error).__name__,
            )
        self.connected = False
        self.left = refusal(error)
        self._lanes.away = True
        self._spooler.wake.set()
        if self._spool.fault is not None:
            self._receipts.give_up()

    def _waiting(self) -> int:
        return self._lanes.queued + self._spool.events

    def _complain(self, model: str, error: Exception) -> None:
        self.refused_with = refusal(error)
        if not self._complained:
            logger.warning(
                "Redis refuses what is written for %s (%s); it is spooled.", model, error
            )
        self._complained = True


def _acknowledge(pair: tuple[Lane, Entry]) -> None:
    """Tell the request of an event that Redis has it."""
    receipt = pair[1].receipt
    if receipt is not None:
        receipt.acknowledge("published")
