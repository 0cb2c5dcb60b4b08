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
        self._writer: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """Id of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code if it has ended, by itself or not."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it; another process writes its log, which a bound of its files would cut off."""
        self.starts += 1
        with self.log.open("ab") as output:
            self._writer = subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE, stdout=output, start_new_session=True
            )
        assert self._writer.stdin is not None
        with self._writer.stdin as pipe:
            output_path = Path(f"/dev/fd/{pipe.fileno()}")
            self._process = processes.start(self._command, output_path, self._environment)

    def kill(self) -> None:
        """End it with kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._close_log()

    def signal(self, number: int) -> "subprocess.Popen[bytes] | None":
        """Send a signal; return the process that got it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
        return self._process

    def end(self, patience_s: float = 20.0) -> int:
        """End it by SIGTERM; return its exit code."""
        if self._process is None:
            return 0
        self.signal(signal.SIGCONT)
        processes.stop(self._process, patience_s)
        self._close_log()
        return int(self._process.returncode)

    def _close_log(self) -> None:
        if self._writer is not None:
            self._writer.wait(10)
