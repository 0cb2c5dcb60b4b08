"""A process that is killed, stopped and started again by its own pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import environment
from driftgauge.shared.settings import Settings


def wait_for(true: Callable[[], Any], patience_s: float) -> bool:
    """Poll until something is true; return whether it was in time."""
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(*UNAVAILABLE, httpx.HTTPError):
            if true():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


ORPHAN_S = 60.0
"""Longest time (s) after a process for those that it has started."""
ENDED = {0, -signal.SIGTERM}
"""Exit codes of a process that was asked to end; uvicorn raises the signal again when it is
done.
"""


class Process:
    """A process that can be killed, stopped and started again.

    Parameters
    ----------
    name
        Name of its log file.
    command
        Command to run.
    settings
        Settings of the deployment, passed as environment variables.
    folder
        Folder of the log file.
    """

    def __init__(self, name: str, command: Sequence[str], settings: Settings, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._environment = {**os.environ, **environment(settings)}
        self._process: subprocess.Popen[bytes] | None = None
        self._writers: list[subprocess.Popen[bytes]] = []
        self.starts = 0

    @property
    def pid(self) -> int:
        """Id of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """Return the ids of the processes that its threads have started, as Linux tells them."""
        found: list[int] = []
        for told in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with suppress(OSError):  # the thread has ended
                found += map(int, told.read_text().split())
        return found

    @property
    def exit_code(self) -> int | None:
        """Exit code if it has ended, by itself or not."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it; another process writes its log, which a bound of its files would cut off."""
        self.starts += 1
        with self.log.open("ab") as output:
            writer = subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE, stdout=output, start_new_session=True
            )
        self._writers.append(writer)
        assert writer.stdin is not None
        with writer.stdin as pipe:
            output_path = Path(f"/dev/fd/{pipe.fileno()}")
            self._process = processes.start(self._command, output_path, self._environment)

    def kill(self) -> None:
        """End it with kill -9; what it has started ends by itself, later."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: int) -> "subprocess.Popen[bytes] | None":
        """Send a signal; return the process that got it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
        return self._process

    def end(self, patience_s: float = 20.0) -> int:
        """End it by SIGTERM; return its exit code when all that it ever started has ended, too."""
        if self._process is None:
            return 0
        self.signal(signal.SIGCONT)
        processes.stop(self._process, patience_s)
        for writer in self._writers:
            writer.wait(ORPHAN_S)
        return int(self._process.returncode)
