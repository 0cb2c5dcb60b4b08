"""The client of a cluster for asyncio: each command reaches the master of its key, wherever that is
by now, and is never done twice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import certifi
import pytest
import redis

from benchmarks.chaos.stores.cluster import Cluster
from driftgauge.shared.connections.cluster_client import ClusterClient, open_client, transaction
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import Keys, slot_of
from tests.producer.conftest import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[ClusterClient]:
    async with open_client(cluster.url) as found:
        assert isinstance(found, ClusterClient)
        yield found


async def test_each_command_goes_to_the_master_of_its_key(
    client: ClusterClient, cluster: Cluster, prefix: str
) -> None:
    """Keys of all slots, with and without a hash tag, are written and read by single commands, by
    pipelines and by transactions, and stand where the cluster wants them.
    """
    names = [f"{prefix}:models{number}" for number in range(30)]
    for name in names[:10]:
        await client.sadd(name, "a")
    pipe = client.pipeline(transaction=False)
    for name in names[10:20]:
        pipe.sadd(name, "a")
    pipe.time()
    assert (await pipe.execute())[:-1] == [1] * 10
    for name in names[20:]:
        pipe = client.pipeline(transaction=True)
        pipe.sadd(name, "a")
        pipe.expire(name, 60)
        assert await pipe.execute() == [1, True]
    assert {cluster.owner(slot_of(name)).port for name in names} == {
        node.port for node in cluster.masters
    }
    for name in names:
        assert cluster.owner(slot_of(name)).client.smembers(name) == {b"a"}
        assert await client.smembers(name) == {b"a"}


async def test_streams_of_several_slots_are_read_together(
    client: ClusterClient, prefix: str
) -> None:
    """An XREAD of streams on all masters gives what each has, and waits for an entry in any."""
    names: dict[Any, Any] = {f"{prefix}:{{{number}}}:log": "0" for number in range(6)}
    assert await client.xread(names, block=20) == []
    waiting = asyncio.create_task(client.xread(names, count=5, block=20_000))
    await asyncio.sleep(0.1)
    last = list(names)[-1]
    entry = await client.xadd(last, {"e": "1"})
    assert await waiting == [[last.encode(), [(entry, {b"e": b"1"})]]]
    for name in names:
        await client.xadd(name, {"e": "2"})
    found = await client.xread(names)
    assert sorted(name for name, _ in found) == sorted(name.encode() for name in names)


async def test_a_slot_that_moves_is_followed(
    client: ClusterClient, cluster: Cluster, prefix: str
) -> None:
    """While a slot is moved, a key that has gone already is found by ASK, a new one is written
    where it belongs, and what needs both sides is tried again; afterwards MOVED is followed. No
    write is done twice.
    """
    tag = f"{prefix}{{tag}}"
    slot, there, gone, new = slot_of(tag), f"{tag}:a", f"{tag}:b", f"{tag}:c"
    source = cluster.owner(slot)
    target = next(node for node in cluster.masters if node is not source)
    await client.mset({there: "1", gone: "1"})
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    source.ask("MIGRATE", "127.0.0.1", target.port, gone, 0, 5000)
    assert await client.incr(gone) == 2
    assert await client.incr(new) == 1
    pipe = client.pipeline(transaction=False)
    for key in (there, gone, new):
        pipe.incr(key)
    assert await pipe.execute() == [2, 3, 2]
    asked = asyncio.create_task(client.exists(there, gone))
    moved = asyncio.create_task(asyncio.to_thread(_finish, cluster, slot, target))
    assert await asked == 2
    await moved
    assert [await client.incr(key) for key in (there, gone, new)] == [3, 4, 3]
    assert target.client.get(gone) == b"4"


def _finish(cluster: Cluster, slot: int, target: Any) -> None:
    cluster.migrate(slot, target)


async def test_a_transaction_on_a_slot_that_moved_is_a_conflict(
    client: ClusterClient, cluster: Cluster, prefix: str
) -> None:
    """Whoever watches a key whose slot has moved is told that nothing was done, and finds its
    master at the next try.
    """
    key = f"{prefix}{{other}}"
    await client.set(key, "1")
    source = cluster.owner(slot_of(key))
    target = next(node for node in cluster.masters if node is not source)
    cluster.migrate(slot_of(key), target)
    with pytest.raises(redis.WatchError, match="has moved"):
        async with transaction(client, key) as pipe:
            await pipe.watch(key)
    async with transaction(client, key) as pipe:
        await pipe.watch(key)
        pipe.multi()
        pipe.incr(key)
        assert await pipe.execute() == [2]


async def test_a_failover_is_followed(client: ClusterClient, cluster: Cluster, prefix: str) -> None:
    """After a planned failover, and after the kill of a master, the keys are read again without
    anything being restarted; until then the error says that a node does not answer.
    """
    key = Keys(prefix).workers
    await client.hset(key, "a", "1")
    replica = cluster.fail_over(cluster.owner(slot_of(key)))
    assert await client.hget(key, "a") == b"1"
    other = cluster.replica(replica)
    replica.kill()
    with pytest.raises(redis.ConnectionError):
        await client.hget(key, "a")

    async def is_back() -> bool:
        with suppress(redis.ConnectionError, redis.exceptions.ClusterDownError):
            return await client.hget(key, "a") == b"1"
        return False

    await until(is_back)
    assert other.leads


async def test_ipv6_and_tls_options_reach_the_nodes() -> None:
    """Brackets of an IPv6 address, TLS options, user and password hold for every node."""
    authority = certifi.where()
    options = f"ssl_ca_certs={authority}&ssl_check_hostname=false"
    url = f"rediss+cluster://api:secret@[::1]:7001?{options}"
    async with open_client(url) as client:
        assert isinstance(client, ClusterClient)
        node = client.node(client.redirected(redis.exceptions.MovedError("1 ::2:7002"), url))
        settings = node.connection_pool.connection_kwargs
    assert (settings["host"], settings["port"]) == ("::2", 7002)
    assert (settings["username"], settings["password"]) == ("api", "secret")
    assert (settings["ssl_ca_certs"], settings["ssl_check_hostname"]) == (authority, False)


def test_threads_find_the_slots_too(cluster: Cluster, prefix: str) -> None:
    """The worker's way finds the master of a key after its slot has moved."""
    key, nodes = f"{prefix}:models", Nodes(cluster.url)
    nodes.shared(key).sadd(key, "a")
    target = next(node for node in cluster.masters if node is not cluster.owner(slot_of(key)))
    cluster.migrate(slot_of(key), target)
    with pytest.raises(redis.exceptions.MovedError):
        nodes.shared(key).smembers(key)
    nodes.forget()
    assert nodes.shared(key).smembers(key) == {b"a"}
    nodes.close()
