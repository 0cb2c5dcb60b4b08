"""The processes that are disturbed: a private Redis, APIs and workers, each real, each ended by its
own pid.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import redis

from benchmarks.chaos.clients import register_gate
from benchmarks.chaos.model import BOTH, PREFIX, VERSION, keys_of, published
from benchmarks.chaos.power import PowerMeter
from driftgauge.shared.connections.redis_client import UNAVAILABLE, connect
from driftgauge.shared.connections.streams import newest
from driftgauge.shared.contract.entry_id import BEGINNING
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import environment
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion
from driftgauge.shared.settings import Settings

PYTHON = (sys.executable, "-m")
PRODUCT = (*PYTHON, "driftgauge")
QUIET_WORKER = (*PYTHON, "benchmarks.chaos.quiet_worker")
QUICK: dict[str, Any] = {
    "lease_ms": 1500,
    "commit_ms": 200,
    "pane_events": 100,
    "window_events": 600,
    "min_window_rows": 300,
    "expected_events_per_day": 5000,
    "model_timeout_seconds": 0.5,
    "max_connections": 64,
}
"""Settings with many commits, panes and alerts, quick take-overs, and little room for clients."""


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

    def start(self) -> None:
        self._process = processes.start(self._command, self.log, self._environment)

    def kill(self) -> None:
        """End it with kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

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
        return int(self._process.returncode)


@dataclass(frozen=True)
class Progress:
    """Progress of counting and judging: (position, end) of each stream that they read."""

    places: dict[str, tuple[str, str]]

    @property
    def all_counted(self) -> bool:
        return all(place == end for place, end in self.places.values())


def progress(client: redis.Redis, versions: Mapping[str, PublishedVersion]) -> Progress:
    """Read the progress of the stages of all models."""
    places = {}
    for model, version in versions.items():
        keys = keys_of(version)
        state: Any = client.hget(keys.judge(model), "state")
        judged = msgspec.json.decode(state)["offsets"] if state else {}
        for partition in range(version.manifest.partitions):
            log, panes = keys.log(model, partition), keys.panes(model, partition)
            offset: Any = client.hget(keys.count(model, partition), "offset")
            places[log] = (offset or BEGINNING.encode()).decode(), _last(client, log)
            places[panes] = judged.get(str(partition), BEGINNING), _last(client, panes)
    return Progress(places)


def _last(client: redis.Redis, stream: str) -> str:
    found = newest(client, stream)
    return BEGINNING if found is None else str(found[0])


class Plant:
    """All processes, while the context lasts.

    Parameters
    ----------
    folder
        Folder of the processes; its path must be short, for the socket.
    models
        Name and number of partitions of each model.
    apis, workers
        Number of API processes and of workers.
    api_command, worker_command
        Commands that they run instead of the product's own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models: Mapping[str, int] = BOTH,
        apis: int = 2,
        workers: int = 2,
        api_command: Sequence[str] = (*PRODUCT, "serve"),
        worker_command: Sequence[str] = (*PRODUCT, "worker"),
    ) -> None:
        self.folder = folder
        self.server = EmbeddedRedis(folder / "redis")
        self.power = PowerMeter(self.server)
        self.settings = Settings(
            redis_url=self.server.url,
            key_prefix=PREFIX,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            default_model="plant",
            **QUICK,
        )
        self.gate = folder / "gate"
        self.versions = {name: published(name, partitions) for name, partitions in models.items()}
        self.urls: list[str] = []
        self.apis = [self._api(number, api_command) for number in range(apis)]
        self.workers = [
            Process(f"worker{number}", worker_command, self.settings, folder)
            for number in range(workers)
        ]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process."""
        self.gate.unlink(missing_ok=True)
        for process in [*self.apis, *self.workers]:
            process.signal(signal.SIGCONT)
            process.kill()
        self.power.close()
        with suppress(ProcessLookupError):
            self.signal_redis(signal.SIGCONT)
        self.server.stop()

    @property
    def redis_runs(self) -> bool:
        return self.server._process is not None  # noqa: SLF001  nobody else asks

    def client(self) -> redis.Redis:
        return connect(self.server.url)

    def start_redis(self) -> None:
        """Start Redis on its append-only file."""
        self.server.start()
        with self.client() as client:
            client.config_set("auto-aof-rewrite-percentage", 0)
        self.power.restarted()

    def health(self, number: int) -> dict[str, Any]:
        """Ask an API how it is."""
        found: dict[str, Any] = httpx.get(
            f"{self.urls[number]}/health",
            timeout=2,
            trust_env=False,
            verify=False,  # noqa: S501  plain HTTP
        ).json()
        return found

    def published(self) -> list[int]:
        """Ask each API how much Redis has acknowledged; -1 while it does not answer."""
        found = []
        for number in range(len(self.apis)):
            try:
                found.append(int(self.health(number)["published"]))
            except httpx.HTTPError:  # it is starting
                found.append(-1)
        return found

    def apis_have_sent_all(self) -> bool:
        """Return whether every API is connected and nothing waits, in memory or in a spool, of a
        living or an ended process.
        """
        for number in range(len(self.apis)):
            health = self.health(number)
            if health["redis"] != "connected" or health["queued"] or health["spooled"]["events"]:
                return False
        return True

    def spool_is_empty(self) -> bool:
        return not list((self.settings.data_dir / "spool").glob("*.spool"))

    def signal_redis(self, number: int) -> None:
        if self.redis_runs:
            os.kill(self.server.pid, number)

    def progress(self) -> "Progress":
        """Read the progress of counting and judging."""
        with self.client() as client:
            return progress(client, self.versions)

    def finish(self, patience_s: float) -> list[str]:
        """Count and judge what came after the last commits, by a worker that adds nothing; return
        what went wrong.
        """
        finisher = Process("finisher", QUIET_WORKER, self.settings, self.folder)
        finisher.start()
        try:
            done = wait_for(lambda: self.progress().all_counted, patience_s)
        finally:
            code = finisher.end()
        late = [] if done else [f"counting does not come to the end of the log: {self.progress()}"]
        return late if code in ENDED else [*late, f"the last worker ended with {code}"]

    def _api(self, number: int, command: Sequence[str]) -> Process:
        port = processes.free_port(19000 + 10 * (os.getpid() % 400) + number)
        self.urls.append(f"http://127.0.0.1:{port}")
        return Process(f"api{number}", [*command, "--port", str(port)], self.settings, self.folder)

    def _start(self) -> None:
        self.server.start()
        with self.client() as client:
            client.config_set("auto-aof-rewrite-percentage", 0)
        self.power.start()
        registry = ModelRegistry(self.settings.registry_dir)
        for name, version in self.versions.items():
            registry.register(version)
            registry.promote(name, VERSION, actor="benchmark")
            self.versions[name] = registry.load(name, VERSION)  # as it was registered
        register_gate(registry, self.gate)
        for process in [*self.apis, *self.workers]:
            process.start()
        if not wait_for(self.apis_have_sent_all, 60):
            raise TimeoutError(f"The APIs did not start and connect: see {self.folder}.")
