"""A primary and its replica, with lines between that can be held up and led elsewhere."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis, find_server
from tests.integration.plant import wait_for

HOST = "127.0.0.1"


class Instance:
    """A private server that listens on a port of this machine too."""

    def __init__(self, server: EmbeddedRedis, port: int) -> None:
        self.server = server
        self.port = port
        self.client = connect(server.url)
        self.client.config_set("port", port)
        self.client.config_set("repl-diskless-sync-delay", 0)
        with suppress(redis.ResponseError):  # Redis 6.2 never waits
            self.client.config_set("shutdown-timeout", 0)  # nor need it for a replica that lags

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def follow(self, port: int) -> None:
        """Become the replica of whatever listens there; return when it has all its data."""
        self.client.replicaof(HOST, str(port))
        wait_for(self._follows, "the replica")

    def lead(self) -> None:
        """Become a primary."""
        self.client.replicaof("NO", "ONE")

    def leads(self) -> bool:
        """Whether it is a primary; a Sentinel that makes it one ends the connections to it."""
        try:
            role: Any = self.client.role()
        except redis.ConnectionError:
            return False
        return bool(role[0] == b"master")

    def _follows(self) -> bool:
        told: Any = self.client.info("replication")
        return bool(told["master_link_status"] == "up")


@contextmanager
def pair(folder: Path) -> Iterator[tuple[Instance, Instance]]:
    """Run two servers, which do not know of each other yet."""
    with EmbeddedRedis(folder / "first") as one, EmbeddedRedis(folder / "second") as two:
        first = Instance(one, processes.free_port(21_000))
        second = Instance(two, processes.free_port(first.port + 1))
        yield first, second
        first.client.close()
        second.client.close()


class Line:
    """A port that leads to another one: while it is held up nothing gets through, and new
    connections go where it leads then. It has a thread of its own.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._held = False
        self._writers = set[asyncio.StreamWriter]()

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._connect, HOST, 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self) -> None:
        """Let nothing through."""
        self._held = True

    def cut(self) -> None:
        """End every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _end(self) -> None:
        self._server.close()
        self._held = False
        self._cut()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, there[1]}
        await asyncio.gather(
            self._pass_on(reader, there[1]), self._pass_on(there[0], writer), return_exceptions=True
        )

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while content := await reader.read(1 << 16):
                while self._held:  # noqa: ASYNC110  set by another thread
                    await asyncio.sleep(0.01)
                writer.write(content)
                await writer.drain()
        except OSError:  # one of the two ends has gone
            pass
        finally:
            writer.close()


@contextmanager
def sentinel(folder: Path, primary: Instance, name: str) -> Iterator[int]:
    """Run a Sentinel that watches a primary; give its port."""
    port = processes.free_port(primary.port + 100)
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\ndir {folder}\n"
        f"sentinel monitor {name} {HOST} {primary.port} 1\n"
        f"sentinel down-after-milliseconds {name} 500\n"
        f"sentinel failover-timeout {name} 3000\n"
    )
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([find_server(), str(file), "--sentinel"], stdout=log, stderr=log)
    client = redis.Redis(HOST, port, protocol=2)
    try:
        wait_for(lambda: _watches(client, name), "the Sentinel")
        yield port
    finally:
        client.close()
        process.kill()
        process.wait()


def _watches(client: redis.Redis, name: str) -> bool:
    """Whether it knows the primary and its replica."""
    try:
        told: Any = client.sentinel_master(name)
    except redis.RedisError:
        return False
    return bool(told["num-slaves"])
