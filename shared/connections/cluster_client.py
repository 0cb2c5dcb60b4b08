"""Redis for asyncio, whatever the address names: one server, a primary that Sentinels know, or a
Redis Cluster.

`open_client` gives what asks it: redis-py's client, or one with the same methods that sends each
command to the master of its key. redis-py's own cluster client is not used, because it sends again
what it does not know the outcome of. Ours sends a command again only when a node has said that it
did not do it (MOVED, ASK, TRYAGAIN).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline

from driftgauge.shared.connections.cluster import (
    MOVED,
    ClusterAddress,
    Slots,
    is_cluster,
    reads_of_slots,
    slot_of_command,
)
from driftgauge.shared.connections.redis_client import (
    TOPOLOGY,
    UNAVAILABLE,
    checked,
    connect_async,
    told_slots_async,
)
from driftgauge.shared.contract.keys import slot_of

PAUSES_S: Final = (0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Pauses after which a command is sent again whose slot is elsewhere, or is being moved."""
POLL_S: Final = 0.05
"""Pause between reads of streams on several nodes, none of which can wait for all of them."""

GONE: Final = (redis.exceptions.ClusterDownError, *UNAVAILABLE, asyncio.CancelledError)
"""What ends a command, and lets the slots be asked for again: a node that stands still answers
nothing, and its caller may give up before the connection does.
"""

Command = tuple[tuple[Any, ...], Mapping[str, Any]]
"""A command and redis-py's options of it."""


def open_client(url: str | None, **options: Any) -> redis.asyncio.Redis:
    """Make a client for asyncio. It connects at the first command.

    Parameters
    ----------
    options
        redis-py's; `max_connections` is for each node.

    Raises
    ------
    ConfigurationError
        If the address cannot be used.
    """
    return ClusterClient(url, options) if is_cluster(url) else connect_async(url, **options)


@asynccontextmanager
async def transaction(client: redis.asyncio.Redis, key: str) -> AsyncIterator[Pipeline]:
    """Open a transaction that watches and writes keys of one slot.

    Raises
    ------
    redis.WatchError
        If the slot has moved, as if somebody had written meanwhile: nothing was done.
    """
    if not isinstance(client, ClusterClient):
        async with client.pipeline(transaction=True) as pipe:
            yield pipe
        return
    try:
        async with (await client.at(key)).pipeline(transaction=True) as pipe:
            yield pipe
    except UNAVAILABLE:
        client.forget()
        raise
    except MOVED as error:
        client.forget()
        raise redis.WatchError(f"the slot of {key} has moved: {error}") from error


class ClusterClient(redis.asyncio.Redis):
    """A client of a Redis Cluster.

    Parameters
    ----------
    url
        Address of some nodes (cluster.py).
    options
        redis-py's options of the connections to each node.
    """

    def __init__(self, url: str | None, options: Mapping[str, Any]) -> None:
        self._address = checked(ClusterAddress.parse, url)
        self._options = options
        self._seeds = deque(self._address.nodes)
        self._nodes: dict[str, redis.asyncio.Redis] = {}
        self._slots: Slots | None = None
        self._asking = asyncio.Lock()
        super().__init__(connection_pool=self.node(self._seeds[0]).connection_pool)

    async def slots(self) -> Slots:
        """Return the master of each slot, as the nodes told it last.

        Raises
        ------
        redis.ConnectionError
            If none of them answers.
        """
        async with self._asking:  # others wait for the same answer
            if self._slots is None:
                self._slots = await self._told()
            return self._slots

    @property
    def seed(self) -> str:
        """Address of the node that told the slots."""
        return self._seeds[0]

    def forget(self, first: str = "") -> None:
        """Ask for the slots again before the next command: a node first, or another one than told
        them last.
        """
        if first:
            self._seeds = deque([first, *(one for one in self._seeds if one != first)])
        elif self._slots is not None:
            self._seeds.rotate(-1)
        self._slots = None

    def node(self, url: str) -> redis.asyncio.Redis:
        """Return the client of a node."""
        if url not in self._nodes:
            self._nodes[url] = connect_async(url, **self._options)
        return self._nodes[url]

    async def at(self, key: str) -> redis.asyncio.Redis:
        """Return the client of a key's master."""
        return self.node((await self.slots()).require(slot_of(key)))

    def redirected(self, error: redis.exceptions.AskError, asked: str) -> str:
        """Return the address of the node to which another one sends us."""
        return self._address.redirected(error, asked)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001  redis-py's signature
        """Close the connections to all nodes."""
        for client in self._nodes.values():
            await client.aclose(close_connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the master of its key, or to any node if it has none; an XREAD to the
        masters of its streams.
        """
        if args[0] == "XREAD":
            reads, block_ms = reads_of_slots(args)
            if len(reads) > 1:
                return await self._read(reads, block_ms, options)
        if slot_of_command(args) is None:
            return await self._ask_any(args, options)
        return await self._follow(args, options)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: ARG002, FBT001, FBT002  redis-py's signature
        """Return a pipeline whose commands go to the masters of their keys; those of a transaction
        must be of one slot.
        """
        return _Spread(self, transaction=transaction)

    async def spread(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one round trip to each master; return their replies, an error as the
        reply that it is.

        Raises
        ------
        redis.ConnectionError, redis.TimeoutError
            If one of the nodes does not answer.
        """
        slots = await self.slots()
        replies: list[Any] = [None] * len(commands)
        by_node: dict[str, list[int]] = {}
        for place, (args, _) in enumerate(commands):
            slot = slot_of_command(args)
            url = next(iter(by_node), slots.masters[0]) if slot is None else slots.owner(slot)
            if url is None:
                replies[place] = redis.exceptions.ClusterDownError(f"slot {slot} is not served")
                self.forget()
            else:
                by_node.setdefault(url, []).append(place)
        asked = [
            self._ask_node(url, [commands[place] for place in places])
            for url, places in by_node.items()
        ]
        for places, found in zip(by_node.values(), await asyncio.gather(*asked), strict=True):
            for place, reply in zip(places, found, strict=True):
                replies[place] = reply
        for place, reply in enumerate(replies):
            replies[place] = await self._once_more(commands[place], reply)
        for reply in replies:
            if isinstance(reply, UNAVAILABLE):
                raise reply
        return replies

    async def transact(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands of one slot as a transaction, again if the slot is elsewhere by now."""
        slot = next(slot_of_command(args) for args, _ in commands)
        last: Exception | None = None
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            pipe = self.node(await self._owner(slot or 0)).pipeline(transaction=True)
            for args, options in commands:
                pipe.execute_command(*args, **options)
            try:
                return await pipe.execute(raise_on_error=False)
            except UNAVAILABLE:
                self.forget()
                raise
            except MOVED as error:  # before EXEC: nothing was done
                self.forget()
                last = error
        raise last or redis.exceptions.TryAgainError("the slot is moved")

    async def _owner(self, slot: int) -> str:
        try:
            return (await self.slots()).require(slot)
        except redis.exceptions.ClusterDownError:
            self.forget()
            raise

    async def _told(self) -> Slots:
        """Ask the known nodes, one after the other, who owns which slots."""
        lost: Exception | None = None
        for seed in list(self._seeds):
            async with connect_async(seed, **{**self._options, **TOPOLOGY}) as client:
                try:
                    slots = Slots.told(await told_slots_async(client), self._address, seed)
                except UNAVAILABLE as error:
                    lost = error
                    continue
            self._seeds = deque([seed, *sorted({*slots.masters, *self._seeds} - {seed})])
            return slots
        raise redis.ConnectionError(f"no node of the cluster answers ({lost})")

    async def _follow(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Send a command to the master of its key, and to where nodes send us from there."""
        url, asking = await self._owner(slot_of_command(args) or 0), False
        last: Exception | None = None
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                return await self._send(url, args, options, asking=asking)
            except redis.exceptions.MovedError as error:
                last, url, asking = error, self.redirected(error, url), False
                self.forget(url)
            except redis.exceptions.AskError as error:
                last, url, asking = error, self.redirected(error, url), True
            except redis.exceptions.TryAgainError as error:
                last = error
            except GONE:
                self.forget()
                raise
        raise last or redis.exceptions.TryAgainError("the slot is moved")

    async def _send(
        self, url: str, args: tuple[Any, ...], options: Mapping[str, Any], *, asking: bool
    ) -> Any:
        if not asking:
            return await self.node(url).execute_command(*args, **options)
        pipe = self.node(url).pipeline(transaction=False)
        pipe.execute_command("ASKING")
        pipe.execute_command(*args, **options)
        _, reply = await pipe.execute(raise_on_error=False)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _ask_any(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Ask the masters, one after the other, until one answers."""
        lost: Exception | None = None
        for url in (await self.slots()).masters:
            try:
                return await self.node(url).execute_command(*args, **options)
            except UNAVAILABLE as error:
                lost = error
        self.forget()
        raise lost or redis.ConnectionError("the cluster has no masters")

    async def _ask_node(self, url: str, commands: Sequence[Command]) -> list[Any]:
        pipe = self.node(url).pipeline(transaction=False)
        for args, options in commands:
            pipe.execute_command(*args, **options)
        try:
            return list(await pipe.execute(raise_on_error=False))
        except UNAVAILABLE as error:
            self.forget()
            return [error] * len(commands)
        except asyncio.CancelledError:
            self.forget()
            raise

    async def _once_more(self, command: Command, reply: Any) -> Any:
        """Return the reply to a command of a pipeline; if it was not done, and might be elsewhere,
        it is sent alone.
        """
        keyless = slot_of_command(command[0]) is None
        elsewhere = isinstance(
            reply, redis.exceptions.AskError | redis.exceptions.TryAgainError
        ) or (keyless and isinstance(reply, UNAVAILABLE))
        if not elsewhere:
            return reply
        try:
            return await self.execute_command(*command[0], **command[1])
        except redis.RedisError as error:
            return error

    async def _read(
        self, reads: Sequence[tuple[Any, ...]], block_ms: int | None, options: Mapping[str, Any]
    ) -> list[Any]:
        """Read streams of several slots; look again and again for so long until one has an
        entry.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + (block_ms or 0) / 1000
        while True:
            found: list[Any] = []
            for reply in await self.spread([(read, options) for read in reads]):
                if isinstance(reply, Exception):
                    raise reply
                found += reply or []
            left_s = until - clock()
            if found or left_s <= 0:
                return found
            await asyncio.sleep(min(POLL_S, left_s))


class _Spread(Pipeline):
    """A pipeline to the masters of its commands' keys."""

    def __init__(self, cluster: ClusterClient, *, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002  redis-py's signature
        """Send the commands; return their replies in the same order."""
        commands, self.command_stack = self.command_stack, []
        if not commands:
            return []
        send = self._cluster.transact if self.is_transaction else self._cluster.spread
        replies = await send(commands)
        failed = next((one for one in replies if isinstance(one, Exception)), None)
        if raise_on_error and failed is not None:
            raise failed
        return replies
