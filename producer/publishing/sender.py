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
- On a cluster there is a sender for each master (masters.py), which sends the lanes whose slots
  that master has. A master says MOVED or ASK of a slot that it has not: the lane goes elsewhere.
- With `replicated`, a WAIT follows each group: its events count as acknowledged when a replica has
  them.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple, Protocol

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection

from driftgauge.producer.publishing.connection import Asking, Direct, ask
from driftgauge.producer.publishing.kept import Kept
from driftgauge.producer.publishing.lane import (
    Batch,
    Entry,
    Home,
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
from driftgauge.shared.connections.refusals import ADVICE, MISNAMED, eviction, refusal
from driftgauge.shared.connections.sentinels import FoundAsync
from driftgauge.shared.settings import Settings

GROUP = 1000
"""Most events of a round trip."""
REPLIES_AT_ONCE: Final = 100
"""Replies that are read within one time limit."""
CHECK_S = 1.0
"""An idle connection is tried this often, so that its loss is known before the next event; and the
server is asked this often what it is.
"""
VERSIONS_CHECK_S = 3.0
"""Interval at which the published versions are looked for."""
FULL_SHARE = 0.9
"""Share of `maxmemory` above which no events are sent."""

NO_REPLICA: Final = "NOREPLICAS no replica confirms what is written"
ASKING: Final = pack_command((b"ASKING",))
"""What comes before each command of a lane whose slot is on its way here."""
NODE: Final = "MOVED it is a node of a cluster"
LEFT: Final[Mapping[str, str]] = {
    "OOM": "nearly full",
    "READONLY": "a replica, which takes no writes",
    "NOREPLICAS": "without a replica",
}
"""What a server is that was left, by its code."""

logger = logging.getLogger("driftgauge.producer")


class Way(NamedTuple):
    """What an event meets on its way to Redis."""

    settings: Settings
    lanes: Lanes
    versions: Versions
    spool: Spool
    spooler: Spooler
    receipts: Receipts


class Announced(Protocol):
    """Versions that are published before their events (versions.py)."""

    def awaited(self, model: str) -> bool:
        """Tell whether events of a model must wait for its versions."""

    async def publish_again(self) -> None:
        """Publish them again: the server of a new connection may not have them."""

    async def publish(self, asking: Asking, refused: Callable[[str, Exception], None]) -> bool:
        """Publish those that are due; return whether a model is no longer held."""

    async def verify(self, asking: Asking) -> list[str]:
        """Return the models of which something is gone."""


class Elsewhere(Protocol):
    """Who knows where the slots of a cluster are."""

    def redirect(self, lane: Lane, home: Home, error: redis.exceptions.AskError) -> None:
        """Let a lane lead to where a master has sent us."""

    def look_again(self) -> None:
        """Ask for the slots again."""


class Sender:
    """The task between the lanes of a server and this server.

    Parameters
    ----------
    home
        The server.
    versions
        The versions as its sender sees them; None publishes them here.
    elsewhere
        The other masters of the cluster; None if there is one server.

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
        way: Way,
        home: Home,
        versions: Announced | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        settings = way.settings
        self.home = home
        self.connected = False
        self.left = ""
        self.refused_with = ""
        self.evicts = ""
        self.published = 0
        self.resent = 0
        self.ring = Ring(settings.ring_max_bytes)
        self._url = settings.redis_url if elsewhere is None else home.url
        self._pool = connect_async(self._url).connection_pool
        self._lanes = way.lanes
        self._versions: Announced = way.versions if versions is None else versions
        self._elsewhere = elsewhere
        self._spool = way.spool
        self._spooler = way.spooler
        self._receipts = way.receipts
        self._kept = Kept(settings.ring_seconds)
        # half of what a request waits, so that what is not confirmed is on disk before it gives up
        half_ms = max(1, settings.ack_timeout_ms // 2)
        self._wait_ms = half_ms if settings.publish_mode == "replicated" else 0
        self._server: bytes | None = None  # the identity of the server that acknowledged last
        self._said_unknown = False
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
        self.home.wake.set()

    def announced(self) -> None:
        """Publish versions that have become known."""
        self.home.wake.set()

    @property
    def silent(self) -> str:
        """What does not answer, in words; empty if it does."""
        return "" if self.connected else "Redis"

    async def _converse(self, connection: AbstractConnection) -> None:
        """Send what is there, group by group, until the connection is lost."""
        await ask(connection, b"PING")
        await self._versions.publish_again()
        self._look_at = -math.inf
        while not self._stopped:
            await self._look(connection)
            await self._verify(connection)
            if await self._versions.publish(Direct(connection), self._complain):
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
        if server.clustered and self._elsewhere is None:
            raise redis.ResponseError(NODE)
        if server.replica or (isinstance(connection, FoundAsync) and await connection.is_left()):
            raise redis.exceptions.ReadOnlyError("it is a replica now")
        if self._wait_ms and server.identity and not server.prompt:
            raise redis.ResponseError(NO_REPLICA)
        # without a right to INFO every connection may be to another server
        self._say_unknown(server)
        known = bool(server.identity) or self._look_at > -math.inf
        if self._server is not None and (server.identity != self._server or not known):
            await self._versions.publish_again()
            self.doubt("Redis is not the server of before")
            self._kept.forget()
        self._server = server.identity
        self._kept.note(now, server)
        self._look_at = now + CHECK_S
        if server.limit and server.used > FULL_SHARE * server.limit and not self.evicts:
            raise redis.exceptions.OutOfMemoryError(
                f"{server.used:,} of maxmemory {server.limit:,} bytes are used"
            )

    def _say_unknown(self, server: Server) -> None:
        if not server.identity and not self._said_unknown:
            logger.warning(
                "Redis does not tell its run_id (INFO). So the last seconds are sent again at each "
                "new connection, and counted once."
            )
        self._said_unknown = not server.identity

    async def _verify(self, connection: AbstractConnection) -> None:
        """Look every few seconds whether the versions are still there: a server that lost them
        (FLUSHALL, an eviction) may have lost the last events too.
        """
        now = asyncio.get_running_loop().time()
        if now < self._verify_at:
            return
        self._verify_at = now + VERSIONS_CHECK_S
        lost = await self._versions.verify(Direct(connection))
        if lost:
            self.doubt(f"Redis has lost the versions of {', '.join(lost)}")

    def doubt(self, why: str, lanes: Collection[Lane] | None = None) -> None:
        """Queue again what was acknowledged last of some lanes, or of all that lead here; the lanes
        hold it until the versions are published.
        """
        again = self.ring.take(lanes)
        for _, entry in again:
            entry.again = True
        put_back(again)
        self._lanes.queued += len(again)
        self._lanes.again += len(again)
        doubtful = self.home.lanes if lanes is None else lanes
        on_disk = self._spool.doubt(doubtful if self._elsewhere is not None else None)
        self.resent += len(again) + on_disk
        logger.warning("%s; %d last events are sent again.", why, len(again) + on_disk)

    def _take(self) -> Batch:
        """Take the next group from the lanes in turn."""
        now = asyncio.get_running_loop().time()
        fresh = self._spooler.direct
        batch: Batch = []
        for lane in self.home.lanes:
            if (
                (lane.fresh or lane.spooled)
                and lane.retry_at <= now
                and not self._versions.awaited(lane.model)
            ):
                batch += [(lane, entry) for entry in lane.take(GROUP - len(batch), fresh=fresh)]
        self.home.lanes.rotate(-1)
        return batch

    async def _send(self, connection: AbstractConnection, batch: Batch) -> None:
        """Send a group in one round trip; what was refused or not answered goes back to its
        lane.
        """
        accepted: Batch = []
        refused: Batch = []
        asking = self._asking()
        self.home.sending = True
        try:
            # hiredis packs ten times as fast as redis-py's own packer, which is the slow part of
            # sending
            commands = [pack_command(lane.command(entry)) for lane, entry in batch]  # type: ignore[arg-type]  # its stub names a tuple of one
            if asking:
                commands = [
                    ASKING + command if lane in asking else command
                    for command, (lane, _) in zip(commands, batch, strict=True)
                ]
            packed = b"".join(commands)
            if self._wait_ms:
                packed += pack_command((b"WAIT", 1, self._wait_ms))  # type: ignore[arg-type]  # as above
            await connection.send_packed_command(packed, check_health=False)
            await self._read_replies(connection, batch, accepted, refused, asking)
        finally:
            self.home.sending = False
            self.resent += len(batch) - len(accepted) - len(refused)
            if len(accepted) < len(batch):
                taken = {id(entry) for _, entry in accepted}
                put_back([pair for pair in batch if id(pair[1]) not in taken])
            self._settle(self._still_here(accepted), {lane for lane, _ in refused})

    def _asking(self) -> Collection[Lane]:
        """Return the lanes whose slots are on their way here."""
        if self._elsewhere is None:
            return ()
        return {lane for lane in self.home.lanes if lane.asking}

    async def _read_replies(
        self,
        connection: AbstractConnection,
        batch: Batch,
        accepted: Batch,
        refused: Batch,
        asking: Collection[Lane],
    ) -> None:
        """Sort a group by its replies. A request is answered at once, or, with `replicated`, after
        the group was confirmed. What is to be sent elsewhere is in neither.

        Raises
        ------
        redis.ResponseError
            If the server is no primary any more, or no replica has confirmed the group: then it is
            unanswered, and the server is left.
        """
        taken = [] if self._wait_ms else accepted
        for first in range(0, len(batch), REPLIES_AT_ONCE):
            async with asyncio.timeout(connection.socket_timeout):
                await self._read_some(
                    connection, batch[first : first + REPLIES_AT_ONCE], taken, refused, asking
                )
        if self._wait_ms:
            confirming: Any = connection.read_response()
            if not await confirming and taken:
                raise redis.ResponseError(NO_REPLICA)
            for pair in taken:
                _acknowledge(pair)
            accepted += taken

    async def _read_some(
        self,
        connection: AbstractConnection,
        batch: Batch,
        taken: Batch,
        refused: Batch,
        asking: Collection[Lane],
    ) -> None:
        """Read the replies to some events, without a time limit of each: redis-py's costs more than
        all the rest of sending.
        """
        for pair in batch:
            try:
                if asking and pair[0] in asking:
                    await connection.read_response(timeout=math.inf)
                await connection.read_response(timeout=math.inf)
            except redis.exceptions.ReadOnlyError:  # it is no primary any more
                raise
            except redis.ResponseError as error:
                self._unsent(pair, error, refused)
            else:
                taken.append(pair)
                if not self._wait_ms:
                    _acknowledge(pair)

    def _unsent(self, pair: tuple[Lane, Entry], error: redis.ResponseError, refused: Batch) -> None:
        """Note an event that Redis did not take. It goes back to its lane, and is sent again after
        a pause, or elsewhere.
        """
        if self._elsewhere is not None and isinstance(error, redis.exceptions.AskError):
            self._elsewhere.redirect(pair[0], self.home, error)  # MOVED is an AskError, too
        else:
            refused.append(pair)
            self._complain(pair[0].model, error)

    def _still_here(self, accepted: Batch) -> Batch:
        """Return what was accepted of the lanes that still lead here. The others have left
        meanwhile, and the new master may not have it: it is sent there too.
        """
        gone = (
            []
            if self._elsewhere is None
            else [pair for pair in accepted if pair[0].home is not self.home]
        )
        if not gone:
            return accepted
        for _, entry in gone:
            entry.receipt = None
            self.published += not entry.again
            self._lanes.again += entry.file is None and not entry.again
            entry.again = True
        put_back(gone)
        self.resent += len(gone)
        return [pair for pair in accepted if pair[0].home is self.home]

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
            for lane in self.home.lanes
            if lane.retry_at and (lane.fresh or lane.spooled)
        ]
        try:
            async with asyncio.timeout(max(0.0, min([CHECK_S, *pauses]))):
                await self.home.wake.wait()
        except TimeoutError:  # nothing to send: is Redis still there?
            await ask(connection, b"PING")
        self.home.wake.clear()

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
        self.home.safe_until = until = self._kept.until(now)
        self.ring.release(until)
        self.connected = True
        self.left = ""
        self._delay_s = 0.0
        if self.home.away:
            self.home.away = False
            self._spooler.free()
        if self._lanes.queued <= GROUP:
            self._receipts.resume()
        self._complained = self._complained and self._lanes.refused

    def _lost(self, error: Exception) -> None:
        self._succeed()
        if self.connected or not self._delay_s:
            code = refusal(error)
            if code in MISNAMED:
                logger.error("Events are spooled: %s (%s).", ADVICE[code], shown(self._url))
                code = ""
            logger.warning(
                "Redis at %s is %s (%s); events are spooled until it is not.",
                shown(self._url),
                LEFT.get(code, "away"),
                error if code else type(error).__name__,
            )
        self.connected = False
        self.left = refusal(error)
        self.home.away = True
        if self._elsewhere is not None:
            self._elsewhere.look_again()
        self._spooler.wake.set()
        if self._spool.fault is not None:
            self._receipts.give_up()

    def _waiting(self) -> int:
        here = sum(len(lane.fresh) + len(lane.spooled) for lane in self.home.lanes)
        return self._lanes.queued + self._spool.events if self._elsewhere is None else here

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
