"""Group commit: events of concurrent requests reach their log in one pipelined round trip.

One task drains the lanes over a connection of its own, without retries, and each event is answered
by the reply to its own XADD. Theory of operation:

- An event leaves its lane for good when its own reply has come. What is unanswered when the
  connection is lost is sent again with the same numbers; the worker skips a number that it has
  seen.
- An event that Redis refuses (OOM, READONLY, ...) pauses its lane; the other lanes go on.
- After every connect the known versions are published before any event, since a worker cannot read
  an event whose version it does not know.
- A server that is nearly full gets no events: the rest of its memory is for the worker, whose
  commits make room.
- If the server has another `run_id` than before (it restarted, or a replica took over), it may have
  lost the events that were acknowledged last: they are sent again, after the versions.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

from driftgauge.producer.publishing.connection import ask
from driftgauge.producer.publishing.lane import Batch, Lane, Lanes, longer, put_back
from driftgauge.producer.publishing.receipts import Receipts
from driftgauge.producer.publishing.ring import Ring
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spooler import Spooler
from driftgauge.producer.publishing.versions import Versions
from driftgauge.shared.connections.redis_client import connect_async, shown
from driftgauge.shared.connections.refusals import eviction, refusal
from driftgauge.shared.settings import Settings

GROUP = 1000
"""Most events of a round trip."""
CHECK_S = 1.0
"""An idle connection is tried this often, so that its loss is known before the next event."""

MEMORY_CHECK_S = 1.0
FULL_SHARE = 0.9
"""Share of `maxmemory` above which no events are sent."""

logger = logging.getLogger("driftgauge.producer")


class Sender:
    """The task between the lanes and Redis.

    Attributes
    ----------
    full
        Whether Redis is nearly full, so that nothing is sent.
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
        self.full = False
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
        self._server: bytes | None = None  # the run_id of the server that acknowledged last
        # cancelling is not enough: in Python 3.11 wait_for, and so redis-py, can swallow it
        self._stopped = False
        self._succeed: Callable[[], None] = lambda: None
        self._complained = False
        self._delay_s = 0.0
        self._memory_at = -math.inf

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
        self._versions.publish_again()
        await self._recognise(connection)
        while not self._stopped:
            await self._check_memory(connection)
            if await self._versions.publish(connection, self._complain):
                self._spooler.free()
            self._found()
            batch = self._take()
            if batch:
                await self._send(connection, batch)
            else:
                await self._pause(connection)

    async def _check_memory(self, connection: AbstractConnection) -> None:
        """Check the memory of a server with a limit once a second, and send nothing if it is nearly
        full: the worker needs the rest for the commits that free memory.

        Raises
        ------
        redis.exceptions.OutOfMemoryError
            If it is nearly full.
        """
        now = asyncio.get_running_loop().time()
        if now - self._memory_at < MEMORY_CHECK_S:
            return
        self._memory_at = now
        try:
            answer = await ask(connection, b"INFO", b"memory")
        except redis.ResponseError:  # not allowed here: a refused write says the same, later
            return
        used, limit = (int(_info(answer, name) or 0) for name in (b"used_memory", b"maxmemory"))
        self.evicts = eviction(limit, _info(answer, b"maxmemory_policy").decode())
        self.full = bool(limit and used > FULL_SHARE * limit and not self.evicts)
        if self.full:
            self._memory_at = -math.inf
            raise redis.exceptions.OutOfMemoryError(
                f"{used:,} of maxmemory {limit:,} bytes are used"
            )

    async def _recognise(self, connection: AbstractConnection) -> None:
        """Queue again what another server acknowledged last; the lanes hold it until the versions
        are published.
        """
        try:
            # the identity of a server changes at each start
            server = _info(await ask(connection, b"INFO", b"server"), b"run_id")
        except (
            redis.ResponseError
        ):  # not allowed here: then every connection may be to another server
            server = b""
        if self._server is not None and (server != self._server or not server):
            again = self.ring.take()
            for _, entry in again:
                entry.again = True
            put_back(again)
            self._lanes.queued += len(again)
            on_disk = self._spool.doubt()
            self.resent += len(again) + on_disk
            logger.warning(
                "Redis is not the server of before; %d last events are sent again.",
                len(again) + on_disk,
            )
        self._server = server

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
            await connection.send_packed_command(packed, check_health=False)
            for pair in batch:
                try:
                    await connection.read_response()
                except (
                    redis.ResponseError
                ) as error:  # back to its lane below, sent again after a pause
                    refused.append(pair)
                    self._complain(pair[0].model, error)
                else:
                    accepted.append(pair)
                    receipt = pair[1].receipt
                    if receipt is not None:
                        receipt.acknowledge("published")
        finally:
            unanswered = batch[len(accepted) + len(refused) :]
            self.resent += len(unanswered)
            put_back(sorted(refused + unanswered, key=_number))
            self._settle(accepted, {lane for lane, _ in refused})

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
            self._lanes.leave(len(in_memory))
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
        self._spooler.alive_at = now
        self.ring.pass_time(now)
        self.connected = True
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
            full = refusal(error) == "OOM"
            logger.warning(
                "Redis at %s is %s (%s); events are spooled until it %s.",
                shown(self._url),
                "nearly full" if full else "away",
                error if full else type(error).__name__,
                "has room" if full else "is back",
            )
        self.connected = False
        self._lanes.away = True
        self._spooler.wake.set()
        if self._spool.fault is not None:
            self._receipts.give_up()

    def _waiting(self) -> int:
        return self._lanes.queued + self._spool.events

    def _complain(self, model: str, error: Exception) -> None:
        if not self._complained:
            logger.warning(
                "Redis refuses what is written for %s (%s); it is spooled.", model, error
            )
        self._complained = True


def _number(pair: tuple[Lane, Any]) -> int:
    sequence: int = pair[1].sequence
    return sequence


def _info(answer: Any, name: bytes) -> bytes:
    """Return a field of the answer to INFO; empty if it is absent."""
    wanted = name + b":"
    found = [line for line in bytes(answer).splitlines() if line.startswith(wanted)]
    return found[0].removeprefix(wanted).strip() if found else b""
