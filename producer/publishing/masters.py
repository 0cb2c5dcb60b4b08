"""Group commit on a Redis Cluster: a sender for each master, and each lane at the one that has its
slot.

Theory of operation:

- The nodes are asked for the slots every few seconds, at once after MOVED, and again and again
  while a master is away. A lane then leads to the master that they name.
- A master that has just got a slot is another server: by a failover it lacks what the one before
  had not replicated. So what was acknowledged last of a lane goes with it, and is sent again; the
  worker drops what it knows.
- While a slot is moved key by key, ASK leads a lane to the target as soon as its log is there; the
  nodes name the target only at the end.
- A model's versions stand in the slot of the model, which other masters may have than those of its
  partitions. They are published here, before the events of any partition, and again when their
  slot has got another master, or that master has lost something. While that one is away, only
  events of versions that it was never given wait, in the spool.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import redis

from driftgauge.producer.publishing.connection import Asking
from driftgauge.producer.publishing.lane import Home, Lane
from driftgauge.producer.publishing.ring import Ring
from driftgauge.producer.publishing.sender import VERSIONS_CHECK_S, Sender, Way
from driftgauge.producer.supervision import Supervisor, stopped
from driftgauge.shared.connections.cluster import MOVED, Slots
from driftgauge.shared.connections.cluster_client import ClusterClient
from driftgauge.shared.connections.redis_client import UNAVAILABLE, shown
from driftgauge.shared.connections.refusals import ADVICE, refusal
from driftgauge.shared.contract.keys import Keys, slot_of

LOOK_S: Final = 5.0
"""Interval at which the nodes are asked for the slots while all is well."""
AWAY_S: Final = 0.3
"""The same while a master is away, or a slot is moved."""
REDIRECTED_S: Final = 0.02
"""Pause of a lane that was sent elsewhere, so that two nodes that name each other are not asked in
a tight loop.
"""
MOST_NAMED: Final = 5
"""Most logs that a line names."""

logger = logging.getLogger("driftgauge.producer")


class ClusterSender:
    """The senders to the masters of a cluster; it stands for one sender to whoever publishes.

    Parameters
    ----------
    supervisor
        Keeps the senders running.
    """

    def __init__(self, way: Way, supervisor: Supervisor) -> None:
        self._way = way
        self._keys = Keys(way.settings.key_prefix)
        self._client = ClusterClient(way.settings.redis_url, {})
        self._supervisor = supervisor
        self._homes: dict[str, Home] = {}
        self._senders: dict[str, Sender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = Slots(())
        self._ended = Counter[str]()
        self._left = self._refused_with = self._named = ""
        self._look = asyncio.Event()
        self._verify_at = 0.0
        self._doubted = True
        self._stopped = self._told = False
        self._nowhere = way.lanes.homes[0]
        self._nowhere.away = True
        way.lanes.home_of = self._home_of

    # -- what stands for one sender ----------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether all masters answer."""
        return bool(self._senders) and all(one.connected for one in self._senders.values())

    @property
    def silent(self) -> str:
        """Which masters do not answer, in words; empty if all do."""
        silent = sorted(shown(url) for url, one in self._senders.items() if not one.connected)
        if not self._senders:
            return "The Redis Cluster"
        return f"Of the Redis Cluster {', '.join(silent)}" if silent else ""

    @property
    def left(self) -> str:
        """Code of why a master was left although it answers; empty if none was."""
        return self._left or self._first("left")

    @property
    def refused_with(self) -> str:
        """Code with which one last refused what was written; empty for another error."""
        return self._first("refused_with") or self._refused_with

    @property
    def evicts(self) -> str:
        """Policy by which one may evict keys; empty if none evicts any."""
        return self._first("evicts")

    @property
    def published(self) -> int:
        """Events that the masters have acknowledged."""
        return self._ended["published"] + sum(one.published for one in self._senders.values())

    @property
    def resent(self) -> int:
        """Number of events that were sent again."""
        return self._ended["resent"] + sum(one.resent for one in self._senders.values())

    @property
    def ring(self) -> Ring:
        """Size of all rings together."""
        whole = Ring(self._way.settings.ring_max_bytes)
        for one in self._senders.values():
            whole.bytes += one.ring.bytes
            whole.shortened += one.ring.shortened
        whole.shortened += self._ended["shortened"]
        return whole

    def stop(self) -> None:
        """End `run`, which must be cancelled too."""
        self._stopped = True
        self._look.set()

    def announced(self) -> None:
        """Publish versions that have become known."""
        self._look.set()

    async def run(self, succeed: Callable[[], None]) -> None:
        """Look where the slots are, and publish versions, until `stop`."""
        try:
            while not self._stopped:
                self._look.clear()
                try:
                    await self._assign(await self._asked())
                    await self._publish()
                    self._left, self._told = "", False
                except (redis.RedisError, OSError) as error:  # the lanes stay where they are
                    self._lost(error)
                succeed()
                await self._pause()
        finally:
            for url in list(self._senders):
                await self._end(url)
            await self._client.aclose()

    # -- what the senders say ----------------------------------------------------------------------

    def redirect(self, lane: Lane, home: Home, error: redis.exceptions.AskError) -> None:
        """Let a lane lead to where a master has sent us, for the time being (ASK) or for good."""
        if lane.home is not home:  # an earlier reply has said so
            return
        url = self._client.redirected(error, home.url or "")
        lane.retry_at = asyncio.get_running_loop().time() + REDIRECTED_S
        lane.asking = not isinstance(error, redis.exceptions.MovedError)
        self._named = "" if lane.asking else url
        self._move({lane: self._home(url)})
        self.look_again()

    def awaited(self, model: str) -> bool:
        """Tell whether events of a model must wait for its versions."""
        return self._way.versions.awaited(model)

    def look_again(self) -> None:
        """Ask for the slots again, now."""
        self._look.set()

    def doubt_versions(self, home: Home) -> None:
        """Publish the versions again that a master should have: it may have lost them."""
        self._await_again(lambda key: self._slots.owner(slot_of(key)) == home.url)

    # -- where the slots are -----------------------------------------------------------------------

    async def _asked(self) -> Slots:
        """Ask for the slots: the node that MOVED has named, since others hear of it later; while a
        master is away another one each time, since one may be cut off with it.
        """
        if self._named or not self.connected:
            self._client.forget(self._named)
        else:
            self._client.forget(self._client.seed)
        self._named = ""
        return await self._client.slots()

    async def _assign(self, slots: Slots) -> None:
        """Let every lane lead to the master of its slot, and every master have a sender."""
        before, self._slots = self._slots, slots
        for url in slots.masters:
            self._home(url)
        moves: dict[Lane, Home] = {}
        for lane in self._way.lanes:
            home = self._home_of(lane.log)
            if lane.asking and home is not lane.home and not lane.home.away:
                continue  # its slot is still on the way
            lane.asking = False
            if home is not lane.home:
                moves[lane] = home
        self._move(moves)
        if slots != before:
            self._await_again(lambda key: slots.owner(slot_of(key)) != before.owner(slot_of(key)))
        for url, home in list(self._homes.items()):
            if url not in slots.masters and not home.lanes:
                self._way.lanes.homes.remove(self._homes.pop(url))
                await self._end(url)

    def _move(self, moves: Mapping[Lane, Home]) -> None:
        """Let lanes lead elsewhere, with what was acknowledged of them last."""
        left: dict[Home, list[Lane]] = {}
        for lane, home in moves.items():
            left.setdefault(lane.home, []).append(lane)
            self._way.lanes.move(lane, home)
        for home, lanes in left.items():
            sender = self._senders.get(home.url or "")
            if sender is not None:
                logs = ", ".join(sorted(lane.log.decode() for lane in lanes)[:MOST_NAMED])
                sender.doubt(f"{shown(home.url)} has some logs no more ({logs})", lanes)
        if left:
            self._way.spooler.free()

    def _home_of(self, log: bytes) -> Home:
        url = self._slots.owner(slot_of(log.decode()))
        return self._nowhere if url is None else self._home(url)

    def _home(self, url: str) -> Home:
        """Return a master, to which there is a sender from now on."""
        if url not in self._homes:
            home = self._homes[url] = Home(url)
            self._way.lanes.homes.append(home)
        if url not in self._senders and not self._stopped:
            home = self._homes[url]
            sender = self._senders[url] = Sender(self._way, home, _Published(self, home), self)
            name = _name(url)
            look = partial(sender.run, self._supervisor.watched(name).succeed)
            self._tasks[url] = self._supervisor.keep(name, look, pause_s=None)
            for one in self._senders.values():
                one.ring.max_bytes = self._way.settings.ring_max_bytes // len(self._senders)
        return self._homes[url]

    async def _end(self, url: str) -> None:
        """End the sender to a master; what it has not sent is in the lanes."""
        sender, task = self._senders.pop(url), self._tasks.pop(url)
        sender.stop()
        await stopped(task)
        if sender.ring.bytes and not self._stopped:
            sender.doubt(f"{shown(url)} gets nothing any more")
        self._supervisor.tasks.pop(_name(url), None)
        self._ended.update(
            published=sender.published, resent=sender.resent, shortened=sender.ring.shortened
        )

    # -- versions ----------------------------------------------------------------------------------

    def _await_again(self, doubted: Callable[[str], bool]) -> None:
        """Publish the versions again of which a key is in doubt."""
        everything = doubted(self._keys.models)
        versions = self._way.versions
        versions.await_again(
            model for model in versions.models if everything or doubted(self._keys.versions(model))
        )
        self._doubted = True
        self.look_again()

    async def _publish(self) -> None:
        """Publish the versions that are due, and look every few seconds whether they are there."""
        versions, asking = self._way.versions, _Asking(self._client, self._slots)
        if versions.waiting:
            if self._doubted:
                await versions.forget_purged()
                self._doubted = False
            if await versions.publish(asking, self._complain, UNAVAILABLE):
                self._way.spooler.free()
            self._way.lanes.wake()
        now = asyncio.get_running_loop().time()
        if now < self._verify_at:
            return
        self._verify_at = now + VERSIONS_CHECK_S
        lost: dict[str, list[str]] = {}
        with suppress(*UNAVAILABLE, *MOVED):  # one is away: it is looked at when it is back
            for model in await versions.verify(asking):
                url = self._slots.owner(slot_of(self._keys.versions(model)))
                lost.setdefault(url or "", []).append(model)
        for url, models in lost.items():
            if url in self._senders:
                self._senders[url].doubt(f"Redis has lost the versions of {', '.join(models)}")
            self.look_again()

    # -- what is told ------------------------------------------------------------------------------

    def _first(self, name: str) -> str:
        """Return what the first sender says that says something."""
        return next(filter(None, (getattr(one, name) for one in self._senders.values())), "")

    def _complain(self, model: str, error: Exception) -> None:
        if not self._refused_with:
            words = "Redis refuses the versions of %s (%s); its events are spooled."
            logger.warning(words, model, error)
        self._refused_with = refusal(error)

    def _lost(self, error: Exception) -> None:
        """Note that no node answers, or none as one of a cluster."""
        self._left = refusal(error)
        if not self._told:
            where = shown(self._way.settings.redis_url)
            why = ADVICE.get(self._left, str(error))
            logger.warning("The cluster at %s does not tell its slots: %s.", where, why)
            self._told = True

    async def _pause(self) -> None:
        moving = any(lane.asking for lane in self._way.lanes)
        restless = moving or not self.connected or self._way.versions.waiting
        await asyncio.sleep(REDIRECTED_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAY_S if restless else LOOK_S):
                await self._look.wait()


class _Published:
    """The versions as the sender to a master sees them: they are published for all of them."""

    def __init__(self, cluster: ClusterSender, home: Home) -> None:
        self._cluster, self._home = cluster, home
        self._first = True

    def awaited(self, model: str) -> bool:
        return self._cluster.awaited(model)

    async def publish_again(self) -> None:
        """Doubt them, but not at the first connection: they are published for a new master."""
        if not self._first:
            self._cluster.doubt_versions(self._home)
        self._first = False

    async def publish(self, _: Asking, __: Callable[[str, Exception], None]) -> bool:
        return False

    async def verify(self, _: Asking) -> list[str]:
        return []


class _Asking:
    """Asking the masters that have the keys; one that did not answer is not asked again."""

    def __init__(self, client: ClusterClient, slots: Slots) -> None:
        self._client, self._slots = client, slots
        self._away = set[str | None]()

    async def one(self, *command: bytes) -> Any:
        url = self._slots.owner(slot_of(command[1].decode()))
        if url in self._away:
            raise redis.ConnectionError(f"{url} does not answer")
        try:
            return await self._client.execute_command(*command)
        except UNAVAILABLE:
            self._away.add(url)
            raise

    async def many(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        replies = await pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, MOVED):
                raise reply
        return replies


def _name(url: str) -> str:
    """Return the name of the task that sends to a master."""
    return f"sender to {shown(url)}"
