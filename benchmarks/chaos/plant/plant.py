"""The processes that are disturbed: a private Redis, APIs and workers, each real, each ended by its
own pid.
"""

import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import joblib
import redis

from benchmarks.chaos.plant.app import FLUSH_S
from benchmarks.chaos.plant.model import BOTH, PREFIX, VERSION, published
from benchmarks.chaos.plant.power import PowerMeter
from benchmarks.chaos.plant.process import ENDED, Process, wait_for
from benchmarks.chaos.plant.progress import Progress, progress
from benchmarks.chaos.plant.sentinels import Sentinels
from benchmarks.chaos.plant.served import HANGING, QUICK, Sum, predicting
from benchmarks.chaos.plant.server import Server
from driftgauge.shared.local import processes
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings

PYTHON = (sys.executable, "-m")
PRODUCT = (*PYTHON, "driftgauge")
QUIET_WORKER = (*PYTHON, "benchmarks.chaos.plant.quiet_worker")
APP = (*PYTHON, "benchmarks.chaos.plant.app")
APP_RATE = 40.0
"""Predictions a second that each application logs."""
FEW_FILES = ("sh", "-c", 'ulimit -n 256; exec "$@"', "sh")
"""Runs a command that may open few files."""
DUMP_S = 12.0
"""Time (s) between two copies of Redis's folder; an older one is more than the rings hold."""
DUMPS_KEPT = 2
SETTINGS: dict[str, Any] = {
    "lease_ms": 1500,
    "model_timeout_seconds": 1.0,
    "commit_ms": 200,
    "pane_events": 100,
    "window_events": 600,
    "min_window_rows": 300,
    "expected_events_per_day": 5000,
}
"""Settings with many commits, panes and alerts, and quick take-overs."""


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
    apps
        Number of applications that log by the client.
    api_command, worker_command
        Commands that they run instead of the product's own.
    predicts
        Whether the APIs serve models too, one of which can hang.
    sentinels
        Whether Redis has a replica and stands behind Sentinels, instead of at an address.

    Attributes
    ----------
    server, replica
        The Redis that is the primary, and the one that follows it, if there is one.
    gate
        File while which exists a model hangs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models: Mapping[str, int] = BOTH,
        apis: int = 2,
        workers: int = 2,
        apps: int = 0,
        api_command: Sequence[str] = (*PRODUCT, "serve"),
        worker_command: Sequence[str] = (*PRODUCT, "worker"),
        predicts: bool = False,
        sentinels: bool = False,
    ) -> None:
        self.folder = folder
        self._ports = iter(range(19000 + 10 * (os.getpid() % 400), 65536))
        self._servers: list[Server] = []
        self.server = self._server()
        self.replica: Server | None = None
        self.power = PowerMeter(self.server)
        self._socket = folder / "redis.sock"
        ports = [self._port() for _ in range(3)] if sentinels else []
        self.sentinels = Sentinels(folder, ports) if sentinels else None
        self._dumps: deque[tuple[float, Path]] = deque()
        self._dumped = time.monotonic()
        self.predicts = predicts
        self.gate = folder / "gate"
        self.settings = Settings(
            redis_url=f"unix://{self._socket}" if self.sentinels is None else self.sentinels.url,
            key_prefix=PREFIX,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            default_model="plant",
            **SETTINGS,
        )
        self.monitored = tuple(models)
        self.versions = {name: published(name, partitions) for name, partitions in models.items()}
        if predicts:
            self.versions |= {name: predicting(name, VERSION) for name in (QUICK, HANGING)}
        self.urls: list[str] = []
        self.apis = [self._api(number, api_command) for number in range(apis)]
        self.apps = [self._app(number) for number in range(apps)]
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
        for process in self.processes:
            process.signal(signal.SIGCONT)
            process.kill()
        self.power.close()
        with suppress(ProcessLookupError):
            self.signal_redis(signal.SIGCONT)
        if self.sentinels is not None:
            self.sentinels.stop()
        for server in self._servers:
            server.stop()

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers, *self.apps]

    @property
    def redis_runs(self) -> bool:
        return self.server.runs

    def client(self) -> redis.Redis:
        return self.server.client()

    def start_redis(self) -> None:
        """Start Redis on its append-only file."""
        self.server.start()
        self.power.restarted(self.server)

    def start_replica(self) -> None:
        """Start a server that follows the one with the address, and wait until it has all."""
        self.replica = self._server(self.server.port)
        self.replica.start()
        if not wait_for(self.replica.follows, 30):
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

    def keep_dump(self) -> None:
        """Copy the folder of Redis, if the last copy is old enough."""
        now = time.monotonic()
        if now - self._dumped < DUMP_S:
            return
        self._dumped = now
        copy = self.folder / f"dump-{now:.0f}"
        shutil.copytree(self.server.folder, copy, ignore=_but_append_only)
        self._dumps.append((now, copy))
        while len(self._dumps) > DUMPS_KEPT:
            shutil.rmtree(self._dumps.popleft()[1])

    def has_dump(self) -> bool:
        """Return whether there is a copy that is older than what the rings hold."""
        return bool(self._dumps) and time.monotonic() - self._dumps[0][0] > DUMP_S

    def restore_dump(self) -> None:
        """Put the oldest copy in the place of what Redis has; Redis must not run."""
        for path in self.server.folder.glob("appendonly*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._dumps[0][1], self.server.folder, dirs_exist_ok=True)

    def forget_dumps(self) -> None:
        """Delete the copies: what Redis has now does not follow from them."""
        while self._dumps:
            shutil.rmtree(self._dumps.popleft()[1])

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
        port = self._port()
        self.urls.append(f"http://127.0.0.1:{port}")
        arguments = [*FEW_FILES, *command, "--port", str(port)]
        return Process(f"api{number}", arguments, self.settings, self.folder)

    def _app(self, number: int) -> Process:
        """Make an application: of the model with the most partitions, and of one of the APIs."""
        model = max(self.monitored, key=lambda name: self.versions[name].manifest.partitions)
        spool, ledger = self.folder / "apps" / "spool", self.folder / f"app{number}.ids"
        given = (self.urls[number % len(self.urls)], model, spool, ledger, number, APP_RATE)
        return Process(f"app{number}", [*APP, *map(str, given)], self.settings, self.folder)

    def end_apps(self) -> list[tuple[str, str]]:
        """End the applications, which send what they have; return model and id of each event that
        the client accepted.

        Raises
        ------
        TimeoutError
            If their spool is not empty then.
        """
        for app in self.apps:
            app.end(FLUSH_S)
        left = list((self.folder / "apps").glob("spool/*"))
        if left:
            raise TimeoutError(f"The applications have not sent all: {left}.")
        model = max(self.monitored, key=lambda name: self.versions[name].manifest.partitions)
        paths = sorted(self.folder.glob("app*.ids"))
        return [(model, name) for path in paths for name in path.read_text().split()]

    def _port(self) -> int:
        return processes.free_port(next(self._ports))

    def _server(self, primary: int | None = None) -> Server:
        number = len(self._servers) + 1
        self._servers.append(Server(self.folder / f"redis{number}", self._port(), primary))
        return self._servers[-1]

    def _lead(self) -> None:
        """Let the address lead to the server."""
        link = self.folder / "new.sock"
        link.symlink_to(self.server.socket)
        link.replace(self._socket)

    def _start(self) -> None:
        self.server.start()
        if self.sentinels is None:
            self._lead()
        else:
            self.start_replica()
            self.sentinels.start(self.server.port)
            if not wait_for(self.sentinels.see_each_other, 30):
                raise TimeoutError("The Sentinels do not know each other and the replica.")
        self.power.start()
        registry = ModelRegistry(self.settings.registry_dir)
        for name, version in self.versions.items():
            registry.register(version, self._artifact(name))
            registry.promote(name, VERSION, actor="benchmark")
            self.versions[name] = registry.load(name, VERSION)  # as it was registered
        for process in [*self.apis, *self.workers]:
            process.start()
        if not wait_for(self.apis_have_sent_all, 60):
            raise TimeoutError(f"The APIs did not start and connect: see {self.folder}.")
        for app in self.apps:
            app.start()

    def _artifact(self, name: str) -> Path | None:
        """Write the fitted model of a model that predicts."""
        if name in self.monitored:
            return None
        path = self.folder / f"{name}.joblib"
        joblib.dump(Sum(self.gate if name == HANGING else self.folder / "never"), path)
        return path


def _but_append_only(_: str, names: list[str]) -> list[str]:
    """Name the files of Redis's folder that a copy leaves out."""
    return [name for name in names if not name.startswith("appendonly")]
