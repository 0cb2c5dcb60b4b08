"""Redis Cluster: three masters on loopback, a model of six partitions, counted exactly."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import partition_of
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.local import processes
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import event
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import http_sink
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    end,
    events,
    settings_of,
    wait_for,
    worker_process,
)

MASTERS = 3
PARTITIONS = 6
EVENTS = 6000


def usable() -> str:
    """Say why no cluster can be made here; empty if one can."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        return "redis-server or redis-cli is not on PATH"
    version = subprocess.run(
        ["redis-server", "--version"], capture_output=True, text=True, check=True
    ).stdout
    major = int(version.partition("v=")[2].partition(".")[0] or 0)
    return "" if major >= 7 else f"redis-server is too old ({version.strip()})"


def ports() -> list[int]:
    """Find free ports whose bus port (10,000 above) is free too."""
    found: list[int] = []
    for port in range(17_300, 22_000):
        with socket.socket() as node, socket.socket() as bus:
            try:
                node.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        found.append(port)
        if len(found) == MASTERS:
            return found
    pytest.fail("no free ports")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    reason = usable()
    if reason:
        told = pytest.fail if "CI" in os.environ else pytest.skip
        told(f"NO CLUSTER TEST: {reason}")
    started = []
    chosen = ports()
    try:
        for port in chosen:
            folder = tmp_path_factory.mktemp(f"node-{port}")
            command = [
                "redis-server",
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--cluster-enabled",
                "yes",
                "--dir",
                str(folder),
                "--save",
                "",
                "--cluster-node-timeout",
                "2000",
            ]
            started.append(processes.start(command, folder / "redis.log"))
            client = connect(f"redis://127.0.0.1:{port}")
            processes.wait_until(
                lambda at=client: _answers(at), started[-1], "A node", folder / "redis.log"
            )  # type: ignore[misc]
            client.close()
        addresses = [f"127.0.0.1:{port}" for port in chosen]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"],
            check=True,
            capture_output=True,
        )
        for port in chosen:
            client = connect(f"redis://127.0.0.1:{port}")
            wait_for(lambda at=client: "cluster_state:ok" in _state(at), "the cluster")
            client.close()
        yield f"redis+cluster://127.0.0.1:{chosen[0]}"
    finally:
        for process in started:
            processes.stop(process)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _state(client: redis.Redis) -> str:
    client.set_response_callback("CLUSTER INFO", lambda reply, **_: reply)
    reply: Any = client.execute_command("CLUSTER INFO")
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def test_six_partitions_on_three_masters_are_counted_exactly(cluster: str, tmp_path: Path) -> None:
    """Partitions lie evenly on the masters, two workers share them, every event is counted once,
    and an alert comes out.
    """
    nodes = Nodes(cluster)
    salts = salts_for(MODEL, PARTITIONS)
    keys = Keys("dg").salted(salts)
    clients = [nodes.client(keys.log(MODEL, partition)) for partition in range(PARTITIONS)]
    homes = [client.connection_pool.connection_kwargs["port"] for client in clients]
    assert sorted(homes.count(port) for port in set(homes)) == [2, 2, 2]
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=PARTITIONS, salts=salts)
    version = PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference)
    model = nodes.client(keys.versions(MODEL))
    model.hset(keys.versions(MODEL), "1.0.0", version.pack())
    nodes.client(keys.models).sadd(keys.models, MODEL)
    found = events(1, EVENTS, int(time.time() * 1000) - EVENTS * 20, shift_from=EVENTS // 2)
    logs: list[list[Any]] = [[] for _ in range(PARTITIONS)]
    for place, entry in enumerate(found):
        payload = msgspec.json.decode(entry[1][7])
        payload["id"] = f"id-{place}"
        mine = logs[partition_of(payload["id"], PARTITIONS)]
        fields = {name: payload[name] for name in ("features", "prediction", "latency_ms", "id")}
        mine.append(event(payload["time"], len(mine) + 1, fields.pop("features"), **fields))
        mine.extend([mine[-1]] if place % 500 == 0 else [])  # sent twice
    for partition, (client, log) in enumerate(zip(clients, logs, strict=True)):
        append(client, keys.log(MODEL, partition), log, with_ids=False)

    def counted(partition: int) -> Counters:
        packed = clients[partition].hget(keys.count(MODEL, partition), "counters")
        return msgspec.json.decode(packed, type=Counters) if packed else Counters()  # type: ignore[arg-type]

    def firing() -> set[str]:
        alerts: Any = model.xrange(keys.alerts(MODEL))
        found = [msgspec.json.decode(fields[b"e"])["data"] for _, fields in alerts]
        return {alert["feature"] for alert in found if alert["state"] == "firing"}

    settings = settings_of(cluster, Keys("dg"), lease_ms=1000, pane_events=100)
    workers = [worker_process(settings, tmp_path / f"worker-{place}.log") for place in range(2)]
    try:
        wait_for(
            lambda: sum(counted(place).events for place in range(PARTITIONS)) >= EVENTS,
            "all events",
        )
        wait_for(lambda: "smooth" in firing(), "an alert")
        beats = nodes.client(keys.workers)
        wait_for(lambda: beats.hlen(keys.workers) == len(workers), "both workers")
    finally:
        codes = [end(worker) for worker in workers]
    assert codes == [0, 0]
    assert sum(counted(place).events for place in range(PARTITIONS)) == EVENTS
    assert sum(counted(place).duplicates for place in range(PARTITIONS)) == EVENTS // 500
    assert [counted(place).dead for place in range(PARTITIONS)] == [0] * PARTITIONS
    texts = [(tmp_path / f"worker-{place}.log").read_text() for place in range(2)]
    assert "Traceback" not in "".join(texts)
    assert "CROSSSLOT" not in "".join(texts)
    for client in (*clients, model):
        client.close()


def test_a_route_follows_the_incidents_of_all_slots(cluster: str, tmp_path: Path) -> None:
    """Models lie on all masters, the route's own state on one of them: each incident is told
    once.
    """
    keys, nodes = Keys("routes"), Nodes(cluster)
    models = [f"model{number}" for number in range(6)]
    policy = tmp_path / "policy.toml"
    for model in models:
        client = nodes.shared(keys.versions(model))
        client.hset(keys.versions(model), "1.0.0", PUBLISHED.pack())
        client.xadd(keys.incidents(model), {"e": transition(model, 1, model=model)})
        nodes.shared(keys.models).sadd(keys.models, model)
    assert len({nodes.shared(keys.incidents(model)) for model in models}) == MASTERS
    with http_sink() as sink:
        target = f'{{ type = "webhook", url = "{sink.address}" }}'
        policy.write_text(f'[[routes]]\nname = "one"\ntarget = {target}\n')
        settings = settings_of(cluster, keys, policy_file=str(policy), lease_ms=5000)
        worker = worker_process(settings, tmp_path / "worker.log")
        try:
            wait_for(lambda: len(sink.received) == len(models), "all")
            last = models[-1]
            client = nodes.shared(keys.incidents(last))
            client.xadd(keys.incidents(last), {"e": transition(last, 2, "resolved", model=last)})
            wait_for(lambda: f"{last}-2" in sink.keys, "the end of one")
        finally:
            code = end(worker)
        assert sorted(sink.keys) == sorted([*(f"{name}-1" for name in models), f"{last}-2"])
    assert code == 0
    assert "CROSSSLOT" not in (tmp_path / "worker.log").read_text()
    nodes.close()
