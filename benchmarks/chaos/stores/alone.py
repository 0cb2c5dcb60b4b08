"""One Redis that a replica can follow: at an address, or behind Sentinels."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import redis

from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.stores.copies import Copies
from benchmarks.chaos.stores.power import PowerMeter
from benchmarks.chaos.stores.sentinels import Sentinels
from benchmarks.chaos.stores.server import Server
from driftgauge.shared.local import processes

FIRST_PORT = 15_000
PATIENCE_S = 30.0


class Alone:
    """A private Redis, while the context lasts.

    Parameters
    ----------
    folder
        Folder of its files; its path must be short, for the socket.
    sentinels
        Whether it has a replica and stands behind Sentinels, instead of at an address.

    Attributes
    ----------
    server, replica
        The Redis that is the primary, and the one that follows it, if there is one.
    copies
        Copies of the primary's folder.
    """

    def __init__(self, folder: Path, *, sentinels: bool = False) -> None:
        self._folder = folder
        self._ports = iter(range(FIRST_PORT + 10 * (os.getpid() % 200), 65536))
        self._servers: list[Server] = []
        self.server = self._server()
        self.replica: Server | None = None
        self.power = PowerMeter(self.server)
        self._socket = folder / "redis.sock"
        ports = [self._port() for _ in range(3)] if sentinels else []
        self.sentinels = Sentinels(folder, ports) if sentinels else None
        self.copies = Copies(folder)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process."""
        self.power.close()
        with suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        if self.sentinels is not None:
            self.sentinels.stop()
        for server in self._servers:
            server.stop()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}" if self.sentinels is None else self.sentinels.url

    @property
    def runs(self) -> bool:
        return self.server.runs

    def client(self) -> redis.Redis:
        return self.server.client()

    def servers(self) -> Sequence[redis.Redis]:
        return [self.client()]

    def start_redis(self) -> None:
        """Start Redis on its append-only file."""
        self.server.start()
        self.power.restarted(self.server)

    def start_replica(self) -> None:
        """Start a server that follows the one with the address, and wait until it has all."""
        self.replica = self._server(self.server.port)
        self.replica.start()
        if not wait_for(self.replica.follows, PATIENCE_S):
            raise TimeoutError("The replica has not received what its primary has.")

    def promote(self) -> Server:
        """Take the replica, which is a primary now, as the server; return the server that was.
        Without Sentinels it gets the address.
        """
        assert self.replica is not None
        old, self.server, self.replica = self.server, self.replica, None
        self.server.primary = None  # when it is started again, too
        self.power.restarted(self.server)
        if self.sentinels is None:
            self._lead()
        return old

    def signal(self, number: int) -> None:
        """Send the primary a signal, if it runs."""
        if self.runs:
            os.kill(self.server.pid, number)

    def _port(self) -> int:
        return processes.free_port(next(self._ports))

    def _server(self, primary: int | None = None) -> Server:
        number = len(self._servers) + 1
        self._servers.append(Server(self._folder / f"redis{number}", self._port(), primary))
        return self._servers[-1]

    def _lead(self) -> None:
        """Let the address lead to the server."""
        link = self._folder / "new.sock"
        link.symlink_to(self.server.socket)
        link.replace(self._socket)

    def _start(self) -> None:
        self.server.start()
        if self.sentinels is None:
            self._lead()
        else:
            self.start_replica()
            self.sentinels.start(self.server.port)
            if not wait_for(self.sentinels.see_each_other, PATIENCE_S):
                raise TimeoutError("The Sentinels do not know each other and the replica.")
        self.power.start()
