"""`driftgauge demo` as a person starts it, in a folder of its own: real traffic, true values, a
drift and its incident; and its processes, in which a test makes faults.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.running import RunningDeployment, read_running

FIRST_PORT = 19_300
PATIENCE_S = 180.0
MODEL = "steel"
PARTS = {"worker": "driftgauge\0worker\0", "api": "driftgauge\0serve\0", "redis": "redis.sock"}
"""What is in the command line of each process of the demo, and of no other."""


class Demo:
    """A context in which the demo runs without end.

    Parameters
    ----------
    folder
        Its data folder, log and reports.
    rate
        Predictions a second.
    """

    def __init__(self, folder: Path, rate: int) -> None:
        self._folder = folder
        self._rate = rate
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            log = self._folder / "demo.log"
            port = self._stack.enter_context(processes.reserved_port(FIRST_PORT, "127.0.0.1"))
            command = [sys.executable, "-m", "driftgauge", "demo", "--seed", "3"]
            options = ["--rate", str(self._rate), "--output", str(self._folder / "reports")]
            data = {"DRIFTGAUGE_DATA_DIR": str(self._folder), "DRIFTGAUGE_PORT": str(port)}
            self.process = processes.start([*command, *options], log, {**os.environ, **data})
            self._stack.callback(processes.stop, self.process, 60)
            processes.wait_until(self._runs, self.process, "The demo", log, PATIENCE_S)
            self.client: redis.Redis = connect(self.running.redis_url)
            self._stack.callback(self.client.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _runs(self) -> bool:
        found = read_running(self._folder)
        if found is None or found.redis_url is None:
            return False
        self.running: RunningDeployment = found
        with suppress(httpx.HTTPError):
            return httpx.get(f"{found.api}/livez", timeout=5).status_code == httpx.codes.OK
        return False

    @property
    def keys(self) -> Keys:
        """The names of its keys in Redis."""
        return Keys(self.running.settings["key_prefix"])

    @contextmanager
    def stopped(self, part: str) -> Iterator[None]:
        """Let one of its processes stand still."""
        (pid,) = [pid for pid in self._children() if PARTS[part] in _command(pid)]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
