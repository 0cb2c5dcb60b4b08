"""An API and a worker as real processes on the cluster, traffic to them, and what must be true of
it afterwards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import redis

from benchmarks.chaos.stores.cluster import Cluster
from benchmarks.chaos.stores.node import Node
from driftgauge.producer.commands.redis_users import needed_by
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys, salts_for, slot_of
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.rights.acl import digest_rule, rules, user_name
from driftgauge.shared.rights.table import Role
from driftgauge.shared.settings import Settings
from tests.integration.plant import FAST, end, worker_process
from tests.producer.conftest import SCHEMA, api_process, publish, rows, settings_in, until
from tests.producer.linear import Linear

MODEL = "linear"
PARTITIONS = 12
PASSWORD = "of-all-users"  # noqa: S105  of servers on loopback that end with the test
CLIENTS = 6
LOOK_S = 0.2
"""Pause between looks at all partitions, each of which is read by itself."""
PAUSE_S = 0.04
"""Pause of a client between two events: the tests are about counts, not about speed."""


class Plant:
    """What runs on the cluster.

    Attributes
    ----------
    answers
        What became of each event that was posted.
    """

    def __init__(
        self, cluster: Cluster, settings: Settings, http: httpx.AsyncClient, pause_s: float
    ) -> None:
        self._pause_s = pause_s
        self.cluster = cluster
        self.settings = settings
        self.http = http
        self.keys = Keys(settings.key_prefix).salted(salts_for(MODEL, PARTITIONS))
        self.nodes = Nodes(cluster.url)
        self.answers: list[str] = []
        self._random = np.random.default_rng(1)
        self._shift = 0.0
        self._stopped = False

    def slot(self, partition: int) -> int:
        """The slot of a partition."""
        return slot_of(self.keys.log(MODEL, partition))

    def master(self, partition: int) -> Node:
        """The master of a partition."""
        return self.cluster.owner(self.slot(partition))

    def read(self, key: str, command: Callable[[redis.Redis], Any]) -> Any:
        """Read a key, wherever it is by now."""
        while True:
            try:
                return command(self.nodes.shared(key))
            except (redis.ConnectionError, redis.TimeoutError, *MOVED):
                self.nodes.forget()
                time.sleep(0.05)

    def counted(self) -> list[Counters]:
        """What was counted of each partition."""
        found = []
        for partition in range(PARTITIONS):
            key = self.keys.count(MODEL, partition)
            packed = self.read(key, lambda client, name=key: client.hget(name, "counters"))
            decoded = msgspec.json.decode(packed, type=Counters) if packed else Counters()
            found.append(decoded)
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """The transitions of alerts of the model's drift."""
        key = self.keys.alerts(MODEL)
        entries = self.read(key, lambda client: client.xrange(key))
        return [msgspec.json.decode(fields[b"e"])["data"] for _, fields in entries]

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Post events all the while."""
        clients = [asyncio.create_task(self._post()) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            self._stopped = True
            await asyncio.gather(*clients)
            self._stopped = False

    def more(self, outcome: str = "published", times: int = 400) -> Callable[[], bool]:
        """A condition: so many more answers of a kind."""
        before = self.answers.count(outcome)
        return lambda: self.answers.count(outcome) >= before + times

    def shift(self) -> None:
        """Let one feature drift from now on."""
        self._shift = 4.0

    async def check(self, *also: str) -> list[Counters]:
        """Wait until all is counted that was answered, once; return what was counted. Answers are
        that it is safe, or, while a master stands still, `also` that it is queued.
        """
        assert set(self.answers) <= {"published", "spooled", *also}

        async def settled() -> bool:
            await asyncio.sleep(LOOK_S)
            with suppress(httpx.HTTPError):
                health = (await self.http.get("/health")).json()
                return bool(health["queued"] == health["spooled"]["events"] == 0)
            return False

        async def all_are_counted() -> bool:
            await asyncio.sleep(LOOK_S)
            return sum(one.events for one in self.counted()) >= len(self.answers)

        await until(settled)
        await until(all_are_counted)
        await asyncio.sleep(0.3)  # nothing comes after it
        counted = self.counted()
        assert sum(one.events for one in counted) == len(self.answers)
        assert [one.missing for one in counted] == [0] * PARTITIONS
        assert [one.dead for one in counted] == [0] * PARTITIONS
        return counted

    async def _post(self) -> None:
        while not self._stopped:
            row = {"x": self._random.normal() + self._shift, "y": self._random.normal()}
            answer = await self.http.post("/predict", json={"features": row})
            assert answer.status_code == 200, answer.text
            self.answers.append(answer.json()["event"])
            await asyncio.sleep(self._pause_s)


def allow(cluster: Cluster, prefix: str, role: Role) -> str:
    """Make a user with the least rights of a role on every node; return the address with it."""
    user = user_name(prefix, role)
    given = [*rules(role, prefix, further=[*needed_by(cluster.url)]), digest_rule(PASSWORD)]
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", user, *given)
        node.ask("ACL", "SAVE")
    return cluster.url.replace("://", f"://{user}:{PASSWORD}@")


@asynccontextmanager
async def plant(
    cluster: Cluster, prefix: str, folder: Path, *, pause_s: float = PAUSE_S, **more: Any
) -> AsyncIterator[Plant]:
    """Run an API and a worker, each with a user that has the least rights."""
    salts = salts_for(MODEL, PARTITIONS)
    registry = ModelRegistry(folder / "registry")
    publish(registry, MODEL, SCHEMA, rows(), Linear(2, 1), partitions=PARTITIONS, salts=salts)
    settings = settings_in(folder, allow(cluster, prefix, "api"), prefix).model_copy(
        update={"watchdog_seconds": 0.5, **more}
    )
    own = msgspec.json.decode(settings.model_dump_json(exclude_unset=True))
    own["redis_url"] = allow(cluster, prefix, "worker")
    quick = {**FAST, "lease_ms": 3000, "commit_ms": 200, "pane_events": 25}
    worker = worker_process({**own, **quick}, folder / "worker.log")
    try:
        with api_process(settings, folder) as (url, _):
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
                found = Plant(cluster, settings, http, pause_s)
                yield found
                found.nodes.close()
    finally:
        code = end(worker)
    assert code == 0
    assert "Traceback" not in (folder / "worker.log").read_text()
    assert "Traceback" not in (folder / "api.log").read_text()
