import asyncio
import os
import signal
import uuid
from pathlib import Path

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving, until
from tests.producer.ledger import numbers

pytestmark = pytest.mark.anyio


def settled(publisher: Publisher) -> bool:
    return publisher.queued == 0 and publisher.spool.events == 0


async def ask(http: httpx.AsyncClient) -> str:
    answer = await http.post("/predict", json={"features": GOOD})
    assert answer.status_code == 200
    return str(answer.json()["event"])


@pytest.mark.usefixtures("linear")
async def test_redis_crashes_and_comes_back(settings: Settings, tmp_path: Path) -> None:
    """While Redis is killed and restarted every request is answered 200, and afterwards each number
    from 1 is there.
    """
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    app = create_app(settings.model_copy(update={"redis_url": server.url}))
    try:
        async with running(app) as http:
            publisher = app.state.parts.publisher
            await until(lambda: publisher.connected)
            outcomes: list[str] = []

            async def client(requests: int) -> None:
                for _ in range(requests):
                    outcomes.append(await ask(http))  # noqa: PERF401  seen by the test while it goes on

            traffic = asyncio.gather(*(client(60) for _ in range(8)))
            await until(lambda: len(outcomes) > 100)
            server.kill()
            await until(lambda: "spooled" in outcomes)
            assert (await http.get("/readyz")).json()["status"] == "degraded"
            await asyncio.to_thread(server.start)
            await traffic
            await until(lambda: settled(publisher))
            assert set(outcomes) == {"published", "spooled"}
            assert (await http.get("/readyz")).json() == {"status": "ready", "reasons": []}
        with connect(server.url) as client_:
            (sequences,) = numbers(client_, Keys(settings.key_prefix).log("linear", 0)).values()
            assert sorted(set(sequences)) == list(range(1, 481))
            assert client_.hexists(Keys(settings.key_prefix).versions("linear"), "1.0.0")
    finally:
        server.stop()


@pytest.mark.usefixtures("linear")
async def test_starts_without_redis(settings: Settings, tmp_path: Path) -> None:
    """Without Redis the API starts, is ready (degraded), and spools; when Redis comes, the spool is
    sent in order.
    """
    server = EmbeddedRedis(tmp_path / "redis")
    app = create_app(settings.model_copy(update={"redis_url": server.url}))
    try:
        async with running(app) as http:
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert [await ask(http) for _ in range(5)] == ["spooled"] * 5
            answer = await http.get("/alerts")
            assert (answer.status_code, answer.headers["content-type"]) == (
                503,
                "application/problem+json",
            )
            assert answer.headers["retry-after"]
            await asyncio.to_thread(server.start)
            await until(lambda: settled(app.state.parts.publisher))
            assert await ask(http) == "published"
        with connect(server.url) as client:
            assert list(numbers(client, Keys(settings.key_prefix).log("linear", 0)).values()) == [
                [1, 2, 3, 4, 5, 6]
            ]
    finally:
        server.stop()


@pytest.mark.usefixtures("linear")
async def test_a_full_queue_drops_and_says_so(settings: Settings, tmp_path: Path) -> None:
    """Beyond the bounds of spool and queue nothing is taken, and nothing numbered; /events takes
    all or none.
    """
    changed = {
        "redis_url": f"unix://{tmp_path}/none.sock",
        "queue_events": 3,
        "spool_max_bytes": 10,
    }
    app = create_app(settings.model_copy(update=changed))
    async with running(app) as http:
        publisher = app.state.parts.publisher
        assert [await ask(http) for _ in range(5)] == ["queued"] * 3 + ["dropped"] * 2
        answer = await http.post("/events", json=[{"features": GOOD, "prediction": 1}] * 2)
        assert answer.status_code == 503
        health = (await http.get("/health")).json()
        assert (health["queued"], health["dropped"], health["redis"]) == (
            3,
            {"spool_full": 4},
            "away",
        )
        assert "spool is full" in (await http.get("/readyz")).text
        assert [entry.sequence for entry in publisher._lanes.ours("linear", 0).fresh] == [1, 2, 3]
        publisher._lanes.queued = 0  # nothing to wait for at the shutdown


async def test_a_refusal_keeps_numbers_and_order(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """What Redis refuses is spooled under its number and is sent when Redis takes it; other models
    go on.
    """
    publish(linear, "other", SCHEMA, rows())
    client.set(keys.log("linear", 0), "in the way")
    async with serving(settings) as http:

        async def post(model: str) -> str:
            event = {"features": GOOD, "prediction": 1, "model": model}
            return str((await http.post("/events", json=event)).json()["event"])

        assert [await post("linear") for _ in range(3)] == ["spooled"] * 3
        assert "refuses" in (await http.get("/readyz")).text
        await post("other")
        await until(lambda: client.xlen(keys.log("other", 0)) == 1)
        client.delete(keys.log("linear", 0))
        await until(
            lambda: client.exists(keys.log("linear", 0)) and client.xlen(keys.log("linear", 0)) == 3
        )
        assert list(numbers(client, keys.log("linear", 0)).values()) == [[1, 2, 3]]
        await until(lambda: _ready(http))
        assert await post("linear") == "published"


async def _ready(http: httpx.AsyncClient) -> bool:
    return bool((await http.get("/readyz")).json()["status"] == "ready")


@pytest.mark.usefixtures("linear")
async def test_events_wait_for_their_versions(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """While Redis refuses a model's versions its events are spooled, since no worker could read
    them; then they arrive.
    """
    client.set(keys.versions("linear"), "in the way")
    async with serving(settings) as http:
        await until(lambda: _degraded(http))
        assert [await ask(http) for _ in range(5)] == ["spooled"] * 5
        assert not client.exists(keys.log("linear", 0))
        client.delete(keys.versions("linear"))
        await until(lambda: client.xlen(keys.log("linear", 0)) == 5)
        assert client.hexists(keys.versions("linear"), "1.0.0")


async def _degraded(http: httpx.AsyncClient) -> bool:
    return "refuses" in (await http.get("/readyz")).text


@pytest.mark.usefixtures("linear")
async def test_a_stalled_redis_slows_one_wait_only(settings: Settings, tmp_path: Path) -> None:
    """A Redis that hangs costs a request at most the acknowledgement's time; later ones are
    answered from the disk.
    """
    with EmbeddedRedis(tmp_path / "redis") as server:
        changed = {"redis_url": server.url, "ack_timeout_ms": 3000}
        async with serving(settings.model_copy(update=changed)) as http:
            loop = asyncio.get_running_loop()

            async def answered(outcome: str) -> bool:
                return await ask(http) == outcome

            assert await ask(http) == "published"
            os.kill(server.pid, signal.SIGSTOP)
            try:
                started = loop.time()
                assert await ask(http) == "queued"
                await until(lambda: answered("spooled"))
                assert [await ask(http) for _ in range(20)] == ["spooled"] * 20
                assert loop.time() - started < 30  # each alone would have waited for 3 s
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await until(lambda: answered("published"))


async def test_partitions_have_publishers_of_their_own(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Each partition's log has its own publisher, numbered from 1; /events waits for all of
    them.
    """
    publish(registry, "wide", SCHEMA, rows(), partitions=3)
    async with serving(settings) as http:
        events = [
            {"features": GOOD, "prediction": 1, "id": str(uuid.UUID(int=number))}
            for number in range(60)
        ]
        answer = (await http.post("/events", json=events)).json()
        assert (answer["accepted"], answer["event"]) == (60, "published")
    salted = keys.salted(registry.manifest("wide", "1.0.0").salts)
    found = [numbers(client, salted.log("wide", partition)) for partition in range(3)]
    assert len({publisher for one in found for publisher in one}) == 3
    assert [list(one.values()) for one in found] == [
        [list(range(1, 1 + len(sequences)))] for one in found for sequences in one.values()
    ]
    assert sum(len(sequences) for one in found for sequences in one.values()) == 60


@pytest.mark.usefixtures("linear")
async def test_what_is_queued_is_sent_before_the_shutdown(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Shutting down sends the queue first."""
    app = create_app(settings)
    async with running(app) as http:
        events = [{"features": GOOD, "prediction": number} for number in range(5000)]
        assert (await http.post("/events", json=events)).json()["accepted"] == 5000
    assert client.xlen(keys.log("linear", 0)) == 5000
