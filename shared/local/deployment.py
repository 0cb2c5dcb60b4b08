"""All of Driftgauge on one machine: Redis, API and worker, each a process of its own.

If no Redis is configured, a private one is started.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from driftgauge.shared.connections.redis_client import connect, require
from driftgauge.shared.errors import ConfigurationError, DriftgaugeError
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.local.running import (
    RunningDeployment,
    api_address,
    claim,
    release,
    taken,
)
from driftgauge.shared.settings import Settings

TAIL = 2000
"""Most characters of a log that an error quotes."""
REDIS = "redis"
"""Name of the private Redis among the processes; the others are named by their command."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
OURS = "DRIFTGAUGE_"
"""How the environment variables of the settings begin."""
STARTED = {200, 503}
"""HTTP status codes of an API that is up, whether it is ready or not."""


class Deployment:
    """A context in which Redis, API and worker run; all of them are stopped at its end.

    Parameters
    ----------
    settings
        Settings of the processes. Without `redis_url`, a private Redis is started in `data_dir`. If
        the port is in use, the next free one is taken.
    command
        Command that it is for, as the file in the data folder names it.

    Attributes
    ----------
    settings
        The settings with the address of Redis and the port that are really used.
    wanted_port
        The port of the given settings.
    server
        Kind and version of the Redis server; empty before the start.
    """

    def __init__(self, settings: Settings, command: str = "up") -> None:
        self.command = command
        self.wanted_port = settings.port
        self.settings = settings
        self.server: dict[str, str] = {}
        self._private = EmbeddedRedis(settings.data_dir / "redis")
        self._stack = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Address of the API."""
        return api_address(self.settings)

    @property
    def running(self) -> RunningDeployment:
        """Where it is, for the other commands."""
        return RunningDeployment.of(self.settings, self.command)

    def __enter__(self) -> Self:
        with self._stack:
            reserved = processes.reserved_port(self.wanted_port, self.settings.host)
            port = self._stack.enter_context(reserved)
            self.settings = self.settings.model_copy(update={"port": port})
            self._claim()
            self._stack.callback(release, self.settings.data_dir, self.running)
            self._start_redis()
            self._claim()
            self._start("worker")
            self._start("serve")
            processes.wait_until(self._api_answers, self.api, "The API", self._log("serve"))
            self._stack = self._stack.pop_all()
        return self

    def keep_running(self) -> list[str]:
        """Restart processes that have ended by themselves, each after a pause that doubles from 1 s
        to 60 s.

        Raises
        ------
        DriftgaugeError
            If a process cannot use its settings: it would end again.

        Returns
        -------
        list[str]
            A sentence for each process that was found ended, with the last line of its output.
        """
        said, now = [], time.monotonic()
        for name, process in list(self._processes.items()):
            due = self._due.get(name)
            if process.poll() is None:
                if now - self._started[name] > LONGEST_PAUSE_S:
                    self._pauses.pop(name, None)
            elif process.returncode == ConfigurationError.exit_code and name != REDIS:
                self.require_running()
            elif due is None:
                pause = self._pauses.get(name, FIRST_PAUSE_S)
                self._pauses[name] = min(2 * pause, LONGEST_PAUSE_S)
                self._due[name] = now + pause
                said.append(
                    f"{_called(name)} ended by itself (exit code {process.returncode}); it is "
                    f"started again in {pause:g} s. Its last line: {self._last_line(name)}"
                )
            elif now >= due:
                del self._due[name]
                with suppress(DriftgaugeError):  # it ended again, as the next look says
                    self._start(name)
        return said

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace")[-TAIL:].splitlines()
        return next((line for line in reversed(lines) if line.strip()), "none")

    def require_running(self) -> None:
        """Check that API, worker and the private Redis are running.

        Raises
        ------
        DriftgaugeError
            If one of them has ended; the message quotes its last output.
        """
        for name, process in self._processes.items():
            if process.poll() is not None:
                last = self._log(name).read_text(errors="replace")[-TAIL:]
                raise DriftgaugeError(f"{_called(name)} ended by itself. Its last output:\n{last}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _claim(self) -> None:
        """Say in the data folder where everything is.

        Raises
        ------
        ConfigurationError
            If another deployment runs in the folder: two would write the same files.
        """
        other = claim(self.settings.data_dir, self.running)
        if other is not None:
            raise taken(other)

    def _start_redis(self) -> None:
        if self.settings.redis_url is None:
            self._stack.callback(self._private.stop)
            self._start(REDIS)
            self.settings = self.settings.model_copy(update={"redis_url": self._private.url})
        client = connect(self.settings.redis_url)
        self.server = require(client, self.settings.redis_url)
        client.close()

    @property
    def worker(self) -> subprocess.Popen[bytes]:
        """The worker's process."""
        return self._processes["worker"]

    @property
    def api(self) -> subprocess.Popen[bytes]:
        """The API's process."""
        return self._processes["serve"]

    def _start(self, name: str) -> None:
        self._started[name] = time.monotonic()
        if name == REDIS:
            self._private.start()
            self._processes[name] = self._private.process
            return
        arguments = [sys.executable, "-m", "driftgauge", name]
        process = processes.start(arguments, self._log(name), _inherited(self.settings))
        self._processes[name] = process
        self._stack.callback(processes.stop, process)

    def _log(self, name: str) -> Path:
        folder = self._private.folder if name == REDIS else self.settings.data_dir
        return folder / f"{name}.log"

    def _api_answers(self) -> bool:
        try:
            # loading certificates would take more of a core than the API's start, at every poll
            answer = httpx.get(f"{self.url}/livez", timeout=1, verify=False)  # noqa: S501  plain HTTP
        except httpx.HTTPError:
            return False
        return answer.status_code in STARTED


def _called(name: str) -> str:
    return "The private Redis" if name == REDIS else f"`driftgauge {name}`"


def environment(settings: Settings) -> dict[str, str]:
    """Return settings as the environment variables of a child process, secrets in clear text."""
    given = {name: value for name, value in settings.model_dump().items() if value is not None}
    return {f"DRIFTGAUGE_{name.upper()}": _clear(value) for name, value in given.items()}


def _inherited(settings: Settings) -> dict[str, str]:
    """Return the environment of a child process: these settings and no others, so that what is
    unset here is not set by our own environment.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return others | environment(settings)


def _clear(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
