"""Faults of a cluster under load, one by one: what was answered as safe is counted once, and what
is told is told once.
"""

import asyncio
import signal
from functools import partial
from pathlib import Path

import httpx
import pytest

from benchmarks.chaos.stores.cluster import Cluster
from tests.integration.cluster.plant import PARTITIONS, Plant, plant
from tests.producer.conftest import until

pytestmark = [pytest.mark.anyio, pytest.mark.long]

AWAY_S = 60.0
"""How long a master is away that nobody replaces."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def resent(found: Plant) -> int:
    """How many events the API has sent again."""
    health = (await found.http.get("/health")).json()
    return int(health["resent"])


@pytest.mark.parametrize("times", [3])
async def test_masters_are_killed(
    cluster: Cluster, prefix: str, tmp_path: Path, times: int
) -> None:
    """A master after the other gets kill -9, and its replica takes over; what the replica lacked is
    sent again by the API, and counted once.
    """
    async with plant(cluster, prefix, tmp_path, pause_s=0.002) as found:
        async with found.flowing():
            for number in range(times):
                await until(found.more("published", 500))
                master = await asyncio.to_thread(found.master, 4 * number)
                before = await resent(found)
                master.kill()
                await until(found.more("spooled", 50))
                await until(found.more("published", 500))
                assert await resent(found) > before
                cluster.revive()
                await asyncio.to_thread(cluster.settle)
        await found.check()


@pytest.mark.parametrize("ring_bytes", [128_000_000, 2000])
async def test_a_replica_that_lags_takes_over(
    cluster: Cluster, prefix: str, tmp_path: Path, ring_bytes: int
) -> None:
    """A replica that lacks hundreds of acknowledged events takes over: they are in the ring, and
    are sent again. Without room in the ring they are lost: seen as missing numbers and told, once.
    """
    async with plant(cluster, prefix, tmp_path, ring_max_bytes=ring_bytes) as found:
        master = await asyncio.to_thread(found.master, 0)
        replica = await asyncio.to_thread(cluster.replica, master)
        async with found.flowing():
            await until(found.more("published", 200))
            replica.process.send_signal(signal.SIGSTOP)
            try:
                master.ask("CLIENT", "KILL", "TYPE", "replica")  # else the kernel keeps all for it
                await until(found.more("published", 400))
                master.kill()
            finally:
                replica.process.send_signal(signal.SIGCONT)
            await until(lambda: replica.leads)
            await until(found.more("published", 300))
        if ring_bytes > 2000:
            await found.check()
            assert await resent(found) > 100
            return
        await until(lambda: [one for one in found.alerts() if one["rule"] == "blind.lost"], 90)
        counted = found.counted()
        lost = len(found.answers) - sum(one.events for one in counted)
        assert lost == sum(one.missing for one in counted) > 50
        told = [one for one in found.alerts() if one["rule"] == "blind.lost"]
        assert [one["state"] for one in told] == ["firing"]


async def test_masters_are_replaced_as_planned(
    cluster: Cluster, prefix: str, tmp_path: Path
) -> None:
    """CLUSTER FAILOVER of every master, there and back, costs nothing and asks nobody to wait."""
    async with plant(cluster, prefix, tmp_path, pause_s=0.002) as found:
        async with found.flowing():
            for partition in (0, 4, 8) * 2:
                await until(found.more("published", 300))
                master = await asyncio.to_thread(found.master, partition)
                await asyncio.to_thread(cluster.fail_over, master)
                await asyncio.to_thread(cluster.settle)
        await found.check()


async def test_all_slots_of_a_master_are_moved(
    cluster: Cluster, prefix: str, tmp_path: Path
) -> None:
    """The slots of all partitions are moved to the next master, key by key and with pauses, while
    events come: ASK and then MOVED are followed, and neither side counts anything twice.
    """
    async with plant(cluster, prefix, tmp_path, pause_s=0.002) as found:
        async with found.flowing():
            for partition in range(PARTITIONS):
                await until(found.more("published", 100))
                source = await asyncio.to_thread(found.master, partition)
                masters = cluster.masters
                target = masters[(masters.index(source) + 1) % len(masters)]
                slot = found.slot(partition)
                await asyncio.to_thread(cluster.migrate, slot, target, 0.1)
        await found.check()
    for file in ("api.log", "worker.log"):
        text = (tmp_path / file).read_text()
        assert '"level":"error"' not in text
        assert "ERROR" not in text
        assert text.count("TRYAGAIN") < PARTITIONS


async def test_a_master_is_away_for_a_minute(tmp_path: Path, prefix: str) -> None:
    """Without a replica nobody takes over: events of its partitions go to disk, and those of the
    others on to their masters; when it is back, with its append-only file, all of it is counted.
    """
    options = ["--cluster-require-full-coverage", "no", "--appendonly", "yes"]
    with Cluster(tmp_path / "cluster", replicas=False, options=options) as cluster:
        async with plant(cluster, prefix, tmp_path) as found:
            async with found.flowing():
                await until(found.more("published", 300))
                away = await asyncio.to_thread(found.master, 5)
                away.kill()
                await until(found.more("spooled", 100))
                other = found.answers.count("published")
                await asyncio.sleep(AWAY_S)
                assert found.answers.count("published") > other + 1000
                assert "queued" not in found.answers
                ready = (await found.http.get("/readyz?monitoring")).json()
                assert f"127.0.0.1:{away.port} does not answer" in " ".join(ready["reasons"])
                away.start()
                await until(found.more("published", 500))
            await found.check()


async def test_a_master_stands_still(cluster: Cluster, prefix: str, tmp_path: Path) -> None:
    """A master that answers nothing for a while (SIGSTOP) is replaced by its replica; API, watchdog
    and worker find the new one, and what the old one takes when it wakes up is nobody's.
    """
    async with plant(cluster, prefix, tmp_path, pause_s=0.002) as found:
        async with found.flowing():
            await until(found.more("published", 300))
            master = await asyncio.to_thread(found.master, 0)
            replica = await asyncio.to_thread(cluster.replica, master)
            master.process.send_signal(signal.SIGSTOP)
            try:
                await until(lambda: replica.leads)
                await until(found.more("published", 500))
            finally:
                master.process.send_signal(signal.SIGCONT)
            await until(found.more("published", 300))
        await found.check("queued")  # what was under way when it stopped, while the API lives
        ready = "/readyz?monitoring"
        await until(partial(answers, found.http, ready))


async def answers(http: httpx.AsyncClient, path: str) -> bool:
    """Whether a route says that all is well."""
    return (await http.get(path)).status_code == 200
