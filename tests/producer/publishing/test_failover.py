"""A replica takes over, by hand or by a Sentinel, and lacks what the primary had acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import redis
from fastapi import FastAPI

from driftgauge.producer.app import create_app
from driftgauge.producer.publishing import kept
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.integration.plant import counters, worker_thread
from tests.producer.conftest import running, until
from tests.producer.ledger import check
from tests.producer.publishing.test_outage import Traffic
from tests.producer.replication import Instance, Line, pair, sentinel

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]

Two = tuple[Instance, Instance]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """A primary, and its replica to be."""
    with pair(tmp_path) as found:
        yield found


@pytest.fixture
def own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Commits and leases are short, and so is the time that a server without replicas must live
    on.
    """
    monkeypatch.setattr(kept, "LEAST_S", 0.2)
    more = {"ack_timeout_ms": 2000, "lease_ms": 300, "commit_ms": 10}
    return settings.model_copy(update=more)


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[tuple[FastAPI, Traffic]]:
    app = create_app(settings)
    async with running(app) as http:
        await until(lambda: app.state.parts.publisher.connected)
        yield app, Traffic(http)


def log_of(instance: Instance, settings: Settings) -> set[bytes]:
    """The events in the log of a server."""
    entries: Any = instance.client.xrange(Keys(settings.key_prefix).log("linear", 0))
    return {fields[b"e"] for _, fields in entries if b"e" in fields}


async def counted_once(app: FastAPI, traffic: Traffic, there: Instance, own: Settings) -> None:
    """Everything that was answered as safe is in the log, without a hole, and counted once."""
    publisher: Publisher = app.state.parts.publisher
    await until(lambda: publisher.queued == publisher.spool.events == 0)
    keys, events = Keys(own.key_prefix), len(traffic.answers)
    await until(there.leads)
    await until(lambda: counters(there.client, keys, "linear").events >= events)
    assert traffic.outcomes() <= {"published", "spooled"}
    check(there.client, keys.log("linear", 0), traffic.safe())
    assert counters(there.client, keys, "linear").events == len(traffic.safe()) == events


async def test_a_lagging_replica_is_promoted(two: Two, own: Settings) -> None:
    """A replica that lags by seconds takes over behind the same name, and the primary becomes its
    replica, without a connection being cut. API and worker leave the demoted server by themselves;
    what the replica lacked is sent again, and counted once.
    """
    old, new = two
    with Line(old.port) as sync, Line(old.port) as name:
        new.follow(sync.port)
        own = own.model_copy(update={"redis_url": f"redis://127.0.0.1:{name.port}"})
        async with api(own) as (app, traffic):
            with worker_thread(own.model_dump()):
                async with traffic.flowing():
                    await until(traffic.has("published", 100))
                    sync.hold()
                    await until(traffic.has("published", 100))
                    await asyncio.sleep(1.5)  # much longer than a server without replicas must live
                    new.lead()
                    sync.cut()
                    lacked = len(log_of(old, own) - log_of(new, own))
                    name.target = new.port
                    await asyncio.to_thread(old.follow, new.port)
                    await until(traffic.has("published", 100))
                await counted_once(app, traffic, new, own)
            assert app.state.parts.publisher.sender.resent >= lacked > 100


@pytest.mark.parametrize("mode", ["ack", "replicated"])
async def test_replicated_is_on_a_replica(
    two: Two, own: Settings, mode: Literal["ack", "replicated"]
) -> None:
    """With `replicated`, what was answered as published is on the replica: primary and API may die
    at once. What no replica confirms is spooled, and published when it does. With `ack` that is
    not so.
    """
    old, new = two
    with Line(old.port) as sync:
        new.follow(sync.port)
        own = own.model_copy(update={"redis_url": old.url, "publish_mode": mode})
        async with api(own) as (app, traffic):
            async with traffic.flowing():
                await until(traffic.has("published", 100))
                sync.hold()
                await until(traffic.has("spooled" if mode == "replicated" else "published", 100))
            there = b" ".join(log_of(new, own))
            told = [event for event, outcome in traffic.answers if outcome == "published"]
            lost = [event for event in told if event.encode() not in there]
            assert bool(lost) == (mode == "ack")
            if mode == "replicated":
                assert traffic.outcomes() == {"published", "spooled"}
                await asyncio.to_thread(new.follow, old.port)
                publisher: Publisher = app.state.parts.publisher
                await until(lambda: publisher.queued == publisher.spool.events == 0)
                check(old.client, Keys(own.key_prefix).log("linear", 0), traffic.safe())


@pytest.mark.parametrize("cause", [pytest.param("planned", marks=pytest.mark.long), "killed"])
async def test_a_sentinel_fails_over(two: Two, own: Settings, tmp_path: Path, cause: str) -> None:
    """API and worker find the primary by its Sentinel, after a planned failover and after the
    primary was killed; nothing is lost, and nobody restarts anything. After a planned one the old
    primary goes on to take writes for ten seconds, which are lost with it: the API leaves it when
    the Sentinel says so, the worker when it is demoted.
    """
    old, new = two
    new.follow(old.port)
    with sentinel(tmp_path, old, "main") as port:
        own = own.model_copy(update={"redis_url": f"redis+sentinel://127.0.0.1:{port}/main"})
        async with api(own) as (app, traffic):
            with worker_thread(own.model_dump()):
                async with traffic.flowing():
                    await until(traffic.has("published", 100))
                    if cause == "planned":
                        await asyncio.to_thread(fail_over, port)
                    else:
                        old.server.kill()
                    await until(new.leads)
                    await until(traffic.has("published", 100))
                await counted_once(app, traffic, new, own)


def fail_over(port: int) -> None:
    """Ask a Sentinel for a failover."""
    with redis.Redis("127.0.0.1", port, protocol=2) as client:
        client.execute_command("SENTINEL", "FAILOVER", "main")
