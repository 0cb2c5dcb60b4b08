"""The processes that are disturbed: APIs, workers and applications, each ended by its own pid."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import joblib
import redis

from benchmarks.chaos.plant.app import FLUSH_S
from benchmarks.chaos.plant.model import BOTH, PREFIX, VERSION, published
from benchmarks.chaos.plant.process import ENDED, Process, wait_for
from benchmarks.chaos.plant.progress import Progress, progress
from benchmarks.chaos.plant.served import HANGING, QUICK, Sum, predicting
from benchmarks.chaos.plant.store import Store
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
SETTINGS: dict[str, Any] = {
    "lease_ms": 1500,
    "worker_processes": 2,
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
        Folder of the processes.
    store
        The Redis that they use, which runs.
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
    labels
        Whether the predictions of the models wait for labels.
    settings
        Further settings, by name.

    Attributes
    ----------
    gate
        File while which exists a model hangs.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        models: Mapping[str, int] = BOTH,
        apis: int = 2,
        workers: int = 2,
        apps: int = 0,
        api_command: Sequence[str] = (*PRODUCT, "serve"),
        worker_command: Sequence[str] = (*PRODUCT, "worker"),
        predicts: bool = False,
        labels: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.store = store
        self._ports = iter(range(19000 + 10 * (os.getpid() % 400), 65536))
        self.predicts = predicts
        self.gate = folder / "gate"
        self.settings = Settings(
            redis_url=store.url,
            key_prefix=PREFIX,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            default_model="plant",
            **{**SETTINGS, **(settings or {})},
        )
        self.monitored = tuple(models)
        self.versions = {
            name: published(name, partitions, labels=labels) for name, partitions in models.items()
        }
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
        """End every process; the Redis is left to its owner."""
        self.gate.unlink(missing_ok=True)
        for process in self.processes:
            process.signal(signal.SIGCONT)
            process.kill()

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers, *self.apps]

    def client(self) -> redis.Redis:
        return self.store.client()

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

    def _start(self) -> None:
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
