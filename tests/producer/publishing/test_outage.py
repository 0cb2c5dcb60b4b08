"""Real processes and servers, killed at the worst moment."""

import asyncio
import errno
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftgauge.producer.app import create_app
from driftgauge.producer.publishing import kept, spool_file
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, api_process, running, until
from tests.producer.ledger import PowerLoss, check

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]

CLIENTS = 8
ANSWERS = 100
"""Enough of them for a test."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as own:
        yield own


@pytest.fixture
def own(settings: Settings, server: EmbeddedRedis) -> Settings:
    return settings.model_copy(
        update={"redis_url": server.url, "ack_timeout_ms": 3000, "watchdog_seconds": 0.2}
    )


class Traffic:
    """Clients that post until told, and what they were answered."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.answers: list[tuple[str, str]] = []
        self._http = http
        self._stopped = False

    def safe(self) -> set[str]:
        return {event for event, outcome in self.answers if outcome in {"published", "spooled"}}

    def outcomes(self) -> set[str]:
        return {outcome for _, outcome in self.answers}

    def has(self, outcome: str, times: int = 20) -> Callable[[], bool]:
        """A condition: so many more answers of a kind."""
        before = self._count(outcome)
        return lambda: self._count(outcome) >= before + times

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        clients = [asyncio.create_task(self._post()) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            self._stopped = True
            await asyncio.gather(*clients)

    async def _post(self) -> None:
        with suppress(httpx.TransportError):  # the API was killed
            while not self._stopped:
                answer = await self._http.post("/predict", json={"features": GOOD})
                assert answer.status_code == 200
                self.answers.append((answer.json()["id"], answer.json()["event"]))

    def _count(self, outcome: str) -> int:
        return sum(given == outcome for _, given in self.answers)


@asynccontextmanager
async def process(settings: Settings, folder: Path, redis: str = "connected") -> AsyncIterator[Any]:
    """A real API process, and traffic to it."""
    with api_process(settings, folder, redis=redis) as (url, api):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield http, api, Traffic(http)


async def settled(http: httpx.AsyncClient) -> bool:
    health = (await http.get("/health")).json()
    return bool(
        health["redis"] == "connected" and health["queued"] == health["spooled"]["events"] == 0
    )


def kill(api: subprocess.Popen[bytes]) -> None:
    os.kill(api.pid, signal.SIGKILL)


def found(server: EmbeddedRedis, settings: Settings, safe: set[str]) -> dict[bytes, set[int]]:
    with connect(server.url) as client:
        return check(client, Keys(settings.key_prefix).log("linear", 0), safe)


@pytest.mark.long
async def test_api_killed_while_spooling(
    server: EmbeddedRedis, own: Settings, tmp_path: Path
) -> None:
    """Redis goes, the API is killed while it spools, starts again without Redis; nothing answered
    as safe is lost.
    """
    async with process(own, tmp_path) as (_, api, first), first.flowing():
        await until(first.has("published"))
        server.kill()
        await until(first.has("spooled", 100))
        kill(api)
    async with process(own, tmp_path, "away") as (http, _, second):
        async with second.flowing():
            await until(second.has("spooled"))
            await asyncio.to_thread(server.start)
            await until(second.has("published"))
        await until(lambda: settled(http))
        assert (await http.get("/health")).json()["adopted"] >= 1
    assert first.outcomes() | second.outcomes() == {"published", "spooled"}
    assert (
        len(found(server, own, first.safe() | second.safe())) == 2
    )  # a restarted process is another publisher


@pytest.mark.long
async def test_another_process_sends_what_a_killed_one_spooled(
    server: EmbeddedRedis, own: Settings, tmp_path: Path
) -> None:
    """Two APIs share a spool folder; when one is killed, the other sends its events while it goes
    on.
    """
    async with (
        process(own, tmp_path) as (_, api, first),
        process(own, tmp_path) as (http, _, second),
    ):
        async with first.flowing(), second.flowing():
            await until(first.has("published"))
            server.kill()
            await until(first.has("spooled"))
            await until(second.has("spooled"))
            kill(api)
            await asyncio.to_thread(server.start)
            await until(second.has("published"))

        async def adopted() -> bool:
            return bool((await http.get("/health")).json()["adopted"])

        await until(adopted)
        await until(lambda: settled(http))
    assert len(found(server, own, first.safe() | second.safe())) == 2


@pytest.mark.long
async def test_spool_first_survives_both(
    server: EmbeddedRedis, own: Settings, tmp_path: Path
) -> None:
    """With spool_first nothing is lost when Redis loses power, and its last second, and the API
    dies in that moment.
    """
    first_spooled = own.model_copy(update={"publish_mode": "spool_first"})
    power = PowerLoss(server)
    async with process(first_spooled, tmp_path) as (_, api, first), first.flowing():
        await _second_of(first, power)
        kill(api)
        assert power.strike() > 0
    assert first.outcomes() == {"spooled"}
    await asyncio.to_thread(server.start)
    async with process(first_spooled, tmp_path) as (http, _, second):
        async with second.flowing():
            await until(second.has("spooled"))
        await until(lambda: settled(http))
    found(server, own, first.safe() | second.safe())


@pytest.mark.parametrize("ring_max_bytes", [128 << 20, 0])
async def test_power_loss_of_redis(
    server: EmbeddedRedis, own: Settings, ring_max_bytes: int
) -> None:
    """What Redis acknowledged and lost with its last second is sent again from the ring; without a
    ring it is lost.
    """
    app = create_app(own.model_copy(update={"ring_max_bytes": ring_max_bytes}))
    publisher: Publisher = app.state.parts.publisher
    power = PowerLoss(server)
    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await _second_of(traffic, power)
            assert power.strike() > 0
            await until(traffic.has("spooled"))
            await asyncio.to_thread(server.start)
            await until(traffic.has("published"))
        await until(lambda: publisher.queued == publisher.spool.events == 0)
    assert traffic.outcomes() == {"published", "spooled"}
    if ring_max_bytes:
        assert publisher.published == max(*found(server, own, traffic.safe()).popitem()[1])
        assert publisher.sender.resent > 0
    else:
        with pytest.raises(AssertionError):
            found(server, own, traffic.safe())


async def _second_of(traffic: Traffic, power: PowerLoss) -> None:
    """More than a second of traffic, whose sizes on disk are noted."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.5

    def over() -> bool:
        power.note()
        return loop.time() > end and len(traffic.answers) > ANSWERS

    await until(traffic.has("published" if "published" in traffic.outcomes() else "spooled", 0))
    await until(over)


async def until_ready(http: httpx.AsyncClient) -> None:
    """Wait until the API says that all is well; the watchdog looks every few seconds."""
    async with asyncio.timeout(30):
        while (await http.get("/readyz")).json()["status"] != "ready":  # noqa: ASYNC110  the API has no event to wait for
            await asyncio.sleep(0.05)


async def test_out_of_memory(server: EmbeddedRedis, own: Settings) -> None:
    """What Redis refuses for want of memory is spooled, and arrives when there is room."""
    app = create_app(own)
    publisher: Publisher = app.state.parts.publisher
    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await until(traffic.has("published"))
            with connect(server.url) as client:
                client.config_set("maxmemory", 1)
                await until(traffic.has("spooled", 200))
                assert publisher.refused
                client.config_set("maxmemory", 0)
            await until(traffic.has("published"))
        await until(lambda: publisher.queued == publisher.spool.events == 0)
        await until_ready(http)
    found(server, own, traffic.safe())


async def test_a_nearly_full_redis_is_left_to_the_worker(
    server: EmbeddedRedis, own: Settings
) -> None:
    """Above nine tenths of `maxmemory` events are spooled and no write is even tried; they arrive
    when there is room.
    """
    app = create_app(own)
    publisher: Publisher = app.state.parts.publisher
    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await until(traffic.has("published"))
            with connect(server.url) as client:
                client.setrange("ballast", 20_000_000, "x")  # so that a tenth is much
                memory: Any = client.info("memory")
                client.config_set("maxmemory", int(memory["used_memory"] / 0.91))
                await until(traffic.has("spooled", 200))
                assert not publisher.refused
                reasons = (await http.get("/readyz")).json()["reasons"]
                assert "Redis is nearly full; events are spooled until it has room." in reasons
                client.config_set("maxmemory-policy", "volatile-lru")
                await until(lambda: publisher.evicts == "volatile-lru")
                reasons = (await http.get("/readyz")).json()["reasons"]
                assert any("CONFIG SET maxmemory-policy noeviction" in one for one in reasons)
                client.config_set("maxmemory-policy", "noeviction")
                client.config_set("maxmemory", 0)
            await until(traffic.has("published"))
        await until(lambda: publisher.queued == publisher.spool.events == 0)
    found(server, own, traffic.safe())


async def test_bounds_of_spool_and_queue(server: EmbeddedRedis, own: Settings) -> None:
    """Beyond both bounds /predict answers 200 and counts the reason; all that was accepted arrives,
    without a hole.
    """
    app = create_app(own.model_copy(update={"spool_max_bytes": 20_000, "queue_events": 10}))
    publisher: Publisher = app.state.parts.publisher
    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await until(traffic.has("published"))
            server.kill()
            await until(traffic.has("dropped"))
            assert publisher.spool.bytes <= 20_000
            await asyncio.to_thread(server.start)
            await until(traffic.has("published"))
        await until(lambda: publisher.queued == publisher.spool.events == 0)
    assert set(publisher.dropped) == {"spool_full"}
    (seen,) = found(server, own, traffic.safe()).values()
    assert len(seen) == sum(outcome != "dropped" for _, outcome in traffic.answers)


@pytest.mark.parametrize("mode", ["ack", "spool_first"])
async def test_a_disk_that_fails(
    server: EmbeddedRedis, own: Settings, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """With a full disk /predict answers, events are kept in memory, then dropped by reason; none of
    the kept is lost. The end of it is seen although Redis took all meanwhile: the API is ready
    again, and the next outage is spooled.
    """
    app = create_app(own.model_copy(update={"queue_events": 50, "publish_mode": mode}))
    publisher: Publisher = app.state.parts.publisher

    def full(descriptor: int, content: memoryview) -> int:
        os.pwrite(descriptor, content[:7], os.fstat(descriptor).st_size)  # a part of it fits
        raise OSError(errno.ENOSPC, "No space left on device")

    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await until(traffic.has("published" if mode == "ack" else "spooled"))
            with monkeypatch.context() as patched:
                patched.setattr(spool_file.os, "write", full)
                if mode == "spool_first":
                    await until(traffic.has("published"))  # Redis alone is better than nothing
                server.kill()
                await until(traffic.has("dropped"))
                assert set(publisher.dropped) == {"spool_error"}
                await asyncio.to_thread(server.start)
                await until(traffic.has("published"))
                await until(lambda: publisher.queued == 0)
                assert "cannot be written" in (await http.get("/readyz")).text
            await until_ready(http)
            assert publisher.spool.fault is None
            server.kill()
            await until(traffic.has("spooled"))
            await asyncio.to_thread(server.start)
            await until(traffic.has("published" if mode == "ack" else "spooled"))
        await until(lambda: publisher.queued == publisher.spool.events == 0)
    found(server, own, traffic.safe())


@pytest.mark.long
async def test_spool_first_stays_small(
    server: EmbeddedRedis, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With spool_first files go as Redis keeps their events: more passes through the spool than
    fits, and it ends empty.
    """
    monkeypatch.setattr(kept, "LEAST_S", 0.1)
    app = create_app(
        own.model_copy(update={"publish_mode": "spool_first", "spool_max_bytes": 100_000})
    )
    publisher: Publisher = app.state.parts.publisher
    async with running(app) as http:
        traffic = Traffic(http)
        async with traffic.flowing():
            await until(traffic.has("spooled", 1500))
        await until(lambda: publisher.spool.empty)
    assert (traffic.outcomes(), publisher.published) == ({"spooled"}, len(traffic.answers))
    assert found(server, own, traffic.safe())
