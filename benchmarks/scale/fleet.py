"""A deployment to be measured: a private Redis, an API and a worker, each a process of its own, and
models that are watched; what Linux tells of the processes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.results import ResultRow
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.deployment import environment
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.settings import read_settings

HOST: Final = "127.0.0.1"
VERSION: Final = "1.0.0"
ROWS: Final = 2000
TICKS: Final = os.sysconf("SC_CLK_TCK")
START_S: Final = 300.0
PROGRAMS: Final = {
    "worker": "from driftgauge.consumer.commands.worker import worker; worker()",
    "API": "from driftgauge.producer.commands.serve import serve; serve()",
}


@dataclass(frozen=True)
class Usage:
    """What a process has used: seconds of a core, threads, and MB of memory."""

    cpu_s: float
    threads: int
    memory_mb: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        return cls(
            (int(stat[11]) + int(stat[12])) / TICKS,
            int(status["Threads"]),
            int(status["VmRSS"].split()[0]) / 1024,
        )


class Fleet:
    """Redis, API and worker, with models that are registered.

    Parameters
    ----------
    archive_url
        Where the archive is; None without one.

    Attributes
    ----------
    models
        The names of the models.
    pids
        The ids of the processes, by name.
    """

    def __init__(
        self,
        versions: list[PublishedVersion],
        folder: Path,
        stack: ExitStack,
        archive_url: str | None = None,
    ) -> None:
        registry = ModelRegistry(folder / "registry")
        for version in versions:
            registry.register(version)
            registry.promote(version.manifest.model, VERSION, actor="benchmark")
        self.models = [version.manifest.model for version in versions]
        self.partitions = versions[0].manifest.partitions
        server = stack.enter_context(EmbeddedRedis(folder / "redis"))
        self.client = connect(server.url)
        stack.callback(self.client.close)
        self._folder, self._stack = folder, stack
        self.settings = read_settings(
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            reports_dir=folder / "reports",
            redis_url=server.url,
            worker_processes=1,
            archive_url=archive_url,
            port=processes.free_port(8970),
            host=HOST,
        )
        self.pids = {"Redis": server.pid}
        self.salts = {model: registry.manifest(model, VERSION).salts for model in self.models}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.settings.port}"

    def start(self, name: str) -> None:
        """Start the API or the worker; its connections carry its name."""
        settings = self.settings.model_copy(
            update={"redis_url": f"{self.settings.redis_url}?client_name={name}"}
        )
        program = [sys.executable, "-c", PROGRAMS[name]]
        log = self._folder / f"{name}.log"
        started = processes.start(program, log, {**os.environ, **environment(settings)})
        self._stack.callback(processes.stop, started)
        self.pids[name] = started.pid

    def serves_all(self) -> bool:
        """Whether the API has published all models."""
        return self.client.scard(Keys().models) == len(self.models)

    def owns_all(self) -> bool:
        """Whether the worker has all leases."""
        pipe = self.client.pipeline(transaction=False)
        for model in self.models:
            keys = Keys().salted(self.salts[model])
            pipe.exists(keys.judge_owner(model))
            for partition in range(self.partitions):
                pipe.exists(keys.owner(model, partition))
        return all(pipe.execute())

    def counted(self, model: str) -> int:
        """Return how many events and joined labels of a model are committed."""
        keys, found = Keys().salted(self.salts[model]), 0
        for partition in range(self.partitions):
            packed = self.client.hget(keys.count(model, partition), counters.FIELD)
            if packed:
                told = msgspec.json.decode(packed, type=Counters)
                found += told.events + told.labels.joined
        return found

    def rest(self, when: str, seconds: float) -> Iterator[ResultRow]:
        """Measure what the processes use while nothing comes."""
        before = {name: Usage.of(pid) for name, pid in self.pids.items()}
        started = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - started
        names = [client["name"] for client in self.client.client_list()]
        for name, pid in self.pids.items():
            usage = Usage.of(pid)
            yield {
                "process": name,
                "when": when,
                "cores": round((usage.cpu_s - before[name].cpu_s) / took, 3),
                "threads": usage.threads,
                "connections": names.count(name),
                "MB": round(usage.memory_mb),
            }


def names_of(features: int) -> list[str]:
    """Return the names of a small model's features: x and y, if there are two."""
    return ["x", "y"] if features == 2 else [f"f{number:04}" for number in range(features)]


def small(models: int, partitions: int, features: int = 2) -> list[PublishedVersion]:
    """Make a small monitored-only model of numbers, which may be missing, under many names."""
    random = np.random.default_rng(0)
    schema = Schema(tuple(Feature(name, "numeric", nullable=True) for name in names_of(features)))
    columns: list[Column] = [random.normal(size=ROWS) for _ in schema.features]
    profile = build_profile(schema, columns, random.normal(size=ROWS))
    return [
        PublishedVersion(
            new_manifest(f"m{number:04}", VERSION, "monitor", partitions=partitions),
            schema,
            profile,
        )
        for number in range(models)
    ]


@contextmanager
def fleet(
    versions: list[PublishedVersion],
    programs: Collection[str] = PROGRAMS,
    archive_url: str | None = None,
) -> Iterator[Fleet]:
    """Register models and start everything; wait until each is served and owned."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        found = Fleet(versions, Path(name), stack, archive_url)
        for program, ready in (("API", found.serves_all), ("worker", found.owns_all)):
            if program not in programs:
                continue
            started = time.monotonic()
            found.start(program)
            while not ready():
                assert time.monotonic() - started < START_S, f"{program} did not start"
                time.sleep(0.2)
            print(f"{program}: {len(versions):,} models after {time.monotonic() - started:.1f} s")
        yield found
