"""Promotions and rollbacks while clients post: a real API, a real worker, a real Redis."""

import asyncio
import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion
from driftgauge.shared.settings import Settings
from tests.integration.plant import counters, settings_of, wait_for, worker_thread
from tests.producer.conftest import GOOD, SCHEMA, api_process, publish, rows
from tests.producer.linear import Linear
from tests.producer.routes.logged.test_events import log

pytestmark = pytest.mark.anyio

MODEL = "linear"
CLIENTS = 6
NOTICED_S = 2.0
NUMBER = {"1.0.0": 100.0, "2.0.0": 200.0, "3.0.0": 300.0}
"""What each version predicts, so that the prediction tells by itself which version made it."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Load:
    """Clients that post again as soon as they are answered, singly and in small batches; every
    answer is kept.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.failures: list[str] = []
        self.answers: list[tuple[float, str, str]] = []
        self.wrong: list[Any] = []
        self.ended = False

    async def client(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=30) as http:
            while not self.ended:
                if number:
                    await self._post(http, "/predict", {"features": GOOD})
                else:
                    await self._post(http, "/predict_batch", [GOOD] * 20)

    async def _post(self, http: httpx.AsyncClient, path: str, body: Any) -> None:
        try:
            answer = await http.post(path, json=body)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        if not answer.is_success:
            self.failures.append(answer.text)
            return
        document = answer.json()
        for row in document.get("rows", [document]):
            self._keep(row, document["version"], path)

    def _keep(self, row: dict[str, Any], version: str, path: str) -> None:
        self.answers.append((time.monotonic(), version, row["id"]))
        if abs(row["prediction"] - NUMBER[version]) > 1e-6 or row["event"] not in {
            "published",
            "spooled",
        }:
            self.wrong.append((path, version, row))


async def switch(load: Load, version: str) -> float:
    """Wait until a version answers, and some answers more; give the time until its first answer."""
    started = time.monotonic()
    while True:
        await asyncio.sleep(0.01)
        of_version = [
            moment for moment, name, _ in load.answers if moment >= started and name == version
        ]
        if len(of_version) >= 50:
            return of_version[0] - started
        assert time.monotonic() - started < 60, f"{version} does not answer"


async def test_promotions_under_load_fail_no_request(
    tmp_path: Path, redis_url: str, prefix: str, client: redis.Redis, keys: Keys
) -> None:
    """Promoted and rolled back under load, a version answers within 2 s. No request fails, each
    answer names the version that made it, and log and worker have for each version exactly the
    predictions that were answered.
    """
    registry = ModelRegistry(tmp_path / "registry")
    for version, number in NUMBER.items():
        constant = Linear(0, 0, constant=number)
        publish(
            registry,
            MODEL,
            SCHEMA,
            rows(),
            constant,
            stage="production" if version == "1.0.0" else "staging",
        )
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
        ack_timeout_ms=5000,
    )
    with api_process(settings, tmp_path) as (url, _), worker_thread(settings_of(redis_url, keys)):
        load = Load(url)
        clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
        delays = [await switch(load, "1.0.0")]
        registry.promote(MODEL, "2.0.0", actor="test")
        delays.append(await switch(load, "2.0.0"))
        registry.promote(MODEL, "3.0.0", actor="test")
        delays.append(await switch(load, "3.0.0"))
        for version in ("2.0.0", "1.0.0"):
            registry.rollback(MODEL, actor="test")
            delays.append(await switch(load, version))
        load.ended = True
        await asyncio.gather(*clients)
        assert (load.failures, load.wrong) == ([], [])
        assert max(delays) < NOTICED_S
        answered = Counter(version for _, version, _ in load.answers)
        wait_for(lambda: counters(client, keys, MODEL).events >= len(load.answers), "the worker")
        counted = counters(client, keys, MODEL)
    events = log(client, keys.log(MODEL, 0))
    assert {event.id: event.version for event in events} == {
        name: version for _, version, name in load.answers
    }
    assert Counter(event.version for event in events) == answered == counted.versions
    assert all(event.prediction == pytest.approx(NUMBER[event.version]) for event in events)
    assert (counted.dead, counted.duplicates) == (0, 0)
    check_each_switch_is_one(events)


def check_each_switch_is_one(events: list[Prediction]) -> None:
    """Check that single predictions went over from version to version once at each change, but for
    those under way.
    """
    order = [
        version
        for version, _ in itertools.groupby(
            event.version for event in events if event.source == "online"
        )
    ]
    last = {version: position for position, version in enumerate(order)}
    assert set(order) == set(NUMBER)
    assert order[0] == "1.0.0"
    assert order[-1] == "1.0.0"
    assert last["3.0.0"] < last["2.0.0"] < last["1.0.0"]


def test_a_version_stands_in_redis_before_its_first_event(
    tmp_path: Path, redis_url: str, prefix: str, client: redis.Redis, keys: Keys
) -> None:
    """Whoever sees an event of a version finds its schema and reference, which Redis got before
    it.
    """
    registry = ModelRegistry(tmp_path / "registry")
    publish(registry, MODEL, SCHEMA, rows(), Linear(0, 0, constant=1))
    settings = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
    )
    with client.monitor() as commands, api_process(settings, tmp_path) as (url, _):
        with httpx.Client(base_url=url, trust_env=False) as http:
            wait_for(lambda: answered_by(http, "1.0.0"), "the first version")
            publish(registry, MODEL, SCHEMA, rows(), Linear(0, 0, constant=2))
            wait_for(lambda: answered_by(http, "2.0.0"), "the second version")
        stands: set[str] = set()
        named: set[str] = set()
        while "2.0.0" not in named:
            command = commands.next_command()["command"]
            if command.startswith(f"HSET {keys.versions(MODEL)} "):
                stands |= {version for version in NUMBER if f" {version} " in command}
            if command.startswith(f"XADD {keys.log(MODEL, 0)} "):
                named |= {
                    version
                    for version in NUMBER
                    if f'version":"{version}' in command.replace("\\", "")
                }
                assert named <= stands
    packed: Any = client.hgetall(keys.versions(MODEL))
    assert {
        version.decode(): PublishedVersion.unpack(each).reference.rows
        for version, each in packed.items()
    } == {
        "1.0.0": 500,
        "2.0.0": 500,
    }


def answered_by(http: httpx.Client, version: str) -> bool:
    return bool(http.post("/predict", json={"features": GOOD}).json()["version"] == version)
