"""The API on a Redis Cluster, with a worker, both as real processes: a model of twelve partitions,
spread evenly over the masters.
"""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from benchmarks.chaos.stores.cluster import Cluster
from tests.integration.cluster.plant import PARTITIONS, plant
from tests.producer.conftest import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


SHOWN = (
    "/",
    "/dashboard/models",
    "/dashboard/models/linear",
    "/dashboard/drift?model=linear",
    "/dashboard/alerts",
    "/dashboard/incidents",
    "/dashboard/reports",
    "/dashboard/log?model=linear",
    "/dashboard/notifications",
    "/drift?model=linear",
    "/alerts",
    "/incidents",
    "/reports",
    "/models",
    "/predictions?model=linear",
    "/health?verbose",
)


async def follow(http: httpx.AsyncClient, told: list[str]) -> None:
    """Note the alerts that the API streams."""
    with suppress(httpx.HTTPError):
        async with http.stream("GET", "/alerts/stream", timeout=60) as answer:
            async for line in answer.aiter_lines():
                told += [line] if line.startswith("data: ") else []


async def test_it_is_counted_watched_and_shown(
    cluster: Cluster, prefix: str, tmp_path: Path
) -> None:
    """Every event is published and counted once, the partitions lie evenly on the masters, drift is
    told once, and pages, routes, streams and metrics show it; through a planned failover, the kill
    of a master and a slot that is moved.
    """
    async with plant(cluster, prefix, tmp_path) as found:
        homes = [found.master(partition).port for partition in range(PARTITIONS)]
        assert sorted(homes.count(port) for port in set(homes)) == [4, 4, 4]
        streamed: list[str] = []
        following = asyncio.create_task(follow(found.http, streamed))
        async with found.flowing():
            await until(found.more("published", 300))
            await asyncio.to_thread(cluster.fail_over, found.master(0))
            await until(found.more("published", 100))
            target = found.master(11)
            await asyncio.to_thread(cluster.migrate, found.slot(4), target, 0.05)
            assert found.master(4) is target
            await until(found.more("published", 100))
            found.shift()
            await until(lambda: any('"firing"' in line for line in streamed))
            found.master(8).kill()
            await until(found.more("spooled", 20))
            await until(found.more("published", 200))
        await found.check()
        for path in SHOWN:
            answer = await found.http.get(path)
            assert answer.status_code == 200, (path, answer.text)
        metrics = (await found.http.get("/metrics")).text
        assert "driftgauge_redis_up 1" in metrics
        assert "driftgauge_publisher_connected 1" in metrics
        firing = [one["fingerprint"] for one in found.alerts() if one["state"] == "firing"]
        assert len(firing) == len(set(firing)) > 0
        assert len(streamed) == len(found.alerts())
        await until(partial(monitored, found.http))
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def monitored(http: httpx.AsyncClient) -> bool:
    """Whether the API finds nothing that keeps events from being monitored."""
    answer = await http.get("/readyz?monitoring")
    return answer.status_code == 200
