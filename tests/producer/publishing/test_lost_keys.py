"""What stands in Redis is deleted under a running API and worker."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer import app as app_module
from driftgauge.producer.app import create_app
from driftgauge.producer.publishing import sender
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import NEW_REFERENCE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import counters, worker_thread
from tests.producer.conftest import GOOD, running, until
from tests.producer.routes.test_references import made

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a server of this test, which it may flush."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        more = {"redis_url": server.url, "lease_ms": 300, "commit_ms": 10, "watchdog_seconds": 0.2}
        yield settings.model_copy(update=more)


@pytest.fixture
def client(own: Settings) -> Iterator[redis.Redis]:
    with connect(own.redis_url) as connected:
        yield connected


@pytest.fixture
async def api(own: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The API, and its publisher."""
    monkeypatch.setattr(sender, "VERSIONS_CHECK_S", 0.2)
    app = create_app(own)
    async with running(app) as http:
        publisher: Publisher = app.state.parts.publisher
        await until(lambda: publisher.connected)
        yield http, publisher


async def ask(http: httpx.AsyncClient, times: int) -> None:
    for _ in range(times):
        answer = await http.post("/predict", json={"features": GOOD})
        assert answer.json()["event"] == "published"


async def test_all_is_flushed_and_monitoring_goes_on(
    own: Settings, client: redis.Redis, api: Any
) -> None:
    """After FLUSHALL the versions are published again by themselves; a worker that runs and one
    that starts then count what comes, and the last events come again. Nobody restarts anything.
    """
    http, publisher = api
    keys = Keys(own.key_prefix)
    with worker_thread(own.model_dump()):
        await ask(http, 20)
        await until(lambda: counters(client, keys, "linear").events == 20)
        client.flushall()
        await until(lambda: client.hexists(keys.versions("linear"), "1.0.0"))
        assert client.sismember(keys.models, "linear")
        await ask(http, 10)
        await until(lambda: counters(client, keys, "linear").events == 30)
    assert publisher.sender.resent == 20
    with worker_thread(own.model_dump()):
        await ask(http, 10)
        await until(lambda: counters(client, keys, "linear").events == 40)


async def test_an_accepted_reference_is_published_again(
    own: Settings, client: redis.Redis, linear: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After FLUSHALL the reference in use and its change come again, once, so that the model is not
    judged by the reference that it was registered with.
    """
    monkeypatch.setattr(app_module, "REFERENCES_S", 0.1)
    monkeypatch.setattr(sender, "VERSIONS_CHECK_S", 0.2)
    keys = Keys(own.key_prefix)
    store = ReferenceStore(linear, "linear", "1.0.0")
    store.accept(made(linear), who="ann", reason="new plant")

    def changes() -> int:
        entries: Any = client.xrange(keys.log("linear", 0))
        return sum(fields[b"t"] == NEW_REFERENCE for _, fields in entries)

    async with running(create_app(own)):
        for _ in range(2):
            await until(lambda: client.hexists(keys.references("linear"), "1.0.0#1"))
            await until(lambda: changes() == 1)
            client.flushall()
        await until(lambda: changes() == 1)
        client.hset(keys.references("linear"), "1.0.0#1", store.load(1).pack())
        looked = time.monotonic() + 0.3
        await until(lambda: time.monotonic() > looked)
        assert changes() == 1


async def test_what_comes_again_takes_no_room_of_new_events(
    own: Settings, client: redis.Redis
) -> None:
    """The ring may hold more events than the queue has room for: while they are sent again, none
    is dropped.
    """
    app = create_app(own.model_copy(update={"queue_events": 10}))
    publisher: Publisher = app.state.parts.publisher
    async with running(app) as http:
        await until(lambda: publisher.connected)
        await ask(http, 30)
        publisher.sender.doubt("It is flushed")
        assert (publisher.queued, publisher.has_room(10), publisher.has_room(11)) == (
            30,
            True,
            False,
        )
        await ask(http, 10)
        await until(lambda: publisher.queued == 0)
        assert publisher._lanes.again == 0
    entries: Any = client.xlen(Keys(own.key_prefix).log("linear", 0))
    assert (entries, publisher.dropped) == (70, {})


@pytest.mark.parametrize("name", ["models", "versions"])
async def test_one_key_is_deleted(own: Settings, client: redis.Redis, api: Any, name: str) -> None:
    """An eviction, or a hand, takes one of the keys: it is there again, and nothing is counted
    twice.
    """
    http, _ = api
    keys = Keys(own.key_prefix)
    with worker_thread(own.model_dump()):
        await ask(http, 20)
        client.delete(keys.models if name == "models" else keys.versions("linear"))
        await until(
            lambda: (
                client.hexists(keys.versions("linear"), "1.0.0")
                and client.sismember(keys.models, "linear")
            )
        )
        await ask(http, 10)
        await until(lambda: counters(client, keys, "linear").events == 30)


async def test_a_purged_version_does_not_come_back(
    own: Settings, client: redis.Redis, api: Any
) -> None:
    """What was removed from the registry folder and from Redis holds values that nobody may keep:
    the API that has it in memory forgets it too, and publishes the other versions.
    """
    _, publisher = api
    key = Keys(own.key_prefix).versions("linear")
    manifest = ModelRegistry(own.registry_dir).manifest("linear", "1.0.0")
    publisher.announce(msgspec.structs.replace(manifest, version="0.9.0"), b"purged")
    await until(lambda: client.hexists(key, "0.9.0"))
    client.delete(key)
    await until(lambda: client.hexists(key, "1.0.0"))
    assert client.hkeys(key) == [b"1.0.0"]


async def test_a_policy_that_evicts_is_told_of_at_run_time(
    own: Settings, client: redis.Redis, api: Any
) -> None:
    """CONFIG SET under a running API: it is degraded and an alert fires, both with the line to say;
    said, both are over.
    """
    http, _ = api
    alerts = Keys(own.key_prefix).alerts("linear")

    async def ready() -> bool:
        return (await http.get("/readyz")).json() == {"status": "ready", "reasons": []}

    async def told() -> bool:
        reasons = (await http.get("/readyz")).json()["reasons"]
        return any("CONFIG SET maxmemory-policy noeviction" in reason for reason in reasons)

    def newest() -> bytes:
        entries: Any = client.xrevrange(alerts, count=1)
        return b"".join(fields[b"e"] for _, fields in entries)

    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "volatile-lru")
    await until(told)
    await until(lambda: b"blind.evicts" in newest() and b"maxmemory-policy noeviction" in newest())
    client.config_set("maxmemory-policy", "noeviction")
    await until(lambda: b"resolved" in newest())
    await until(ready)
