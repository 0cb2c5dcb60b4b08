"""A deployment of real processes on a server of any kind, and whether what it got is counted."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import redis

from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import wait_for
from tests.producer.conftest import GOOD, api_process, publish_linear

MODEL = "linear"


class Deployment:
    """An API and a worker that share nothing but Redis."""

    def __init__(self, folder: Path, url: str, keys: Keys) -> None:
        self.folder, self.keys, self.sent = folder, keys, 0
        publish_linear(ModelRegistry(folder / "registry"))
        self.settings = Settings(
            redis_url=url,
            key_prefix=keys.prefix,
            registry_dir=folder / "registry",
            data_dir=folder / "data",
            ack_timeout_ms=5000,
            lease_ms=900,
            commit_ms=20,
            api_url="http://127.0.0.1:9",
        )

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Run both; give a client of the API."""
        process = processes.start(
            [sys.executable, "-m", "driftgauge", "worker"],
            self.folder / "worker.log",
            deployment.environment(self.settings),
        )
        try:
            with (
                api_process(self.settings, self.folder) as (url, _),
                httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
            ):
                yield http
        finally:
            processes.stop(process)

    def log_of(self, name: str) -> str:
        """Return the log of `api` or `worker`."""
        return (self.folder / f"{name}.log").read_text()

    def send(self, http: httpx.Client, number: int = 50) -> None:
        for _ in range(number):
            assert http.post("/predict", json={"features": GOOD}).is_success
        self.sent += number

    def is_counted(self, admin: redis.Redis) -> bool:
        """Whether all that was sent is counted, once."""
        found = self.counters(admin)
        assert found.events <= self.sent
        return (found.events, found.missing) == (self.sent, 0)

    def counters(self, admin: redis.Redis) -> Counters:
        try:
            packed: Any = admin.hget(self.keys.count(MODEL, 0), "counters")
        except redis.ConnectionError:  # it is starting
            packed = None
        return msgspec.json.decode(packed, type=Counters) if packed else Counters()

    def restart(self, server: Any, http: httpx.Client, admin: redis.Redis) -> None:
        """Send events before, while and after the server is killed; wait until all are counted."""
        self.send(http)
        wait_for(lambda: self.is_counted(admin), "what was sent before")
        server.kill()
        self.send(http, 20)
        server.start()
        self.send(http, 20)
        wait_for(lambda: self.is_counted(admin), "what was sent since")
