"""The worker on a Redis Cluster: a model of six partitions, counted exactly."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.chaos.stores.cluster import Cluster
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import partition_of
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import event
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import http_sink
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    counters,
    end,
    events,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)

MASTERS = 3
PARTITIONS = 6
EVENTS = 6000


def test_six_partitions_on_three_masters_are_counted_exactly(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Partitions lie evenly on the masters, two workers share them, every event is counted once,
    and an alert comes out.
    """
    nodes = Nodes(cluster.url)
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

    settings = settings_of(cluster.url, Keys("dg"), lease_ms=1000, pane_events=100)
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


def test_a_route_follows_the_incidents_of_all_slots(cluster: Cluster, tmp_path: Path) -> None:
    """Models lie on all masters, the route's own state on one of them: each incident is told
    once.
    """
    keys, nodes = Keys("routes"), Nodes(cluster.url)
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
        settings = settings_of(cluster.url, keys, policy_file=str(policy), lease_ms=5000)
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


def _works(worker: Worker) -> bool:
    """Whether a worker owns some stages."""
    return any(duty.owned for duty in worker.standing().duties)


@pytest.mark.parametrize("number", range(10))
def test_workers_share_under_any_prefix(
    cluster: Cluster, prefix: str, number: int, tmp_path: Path
) -> None:
    """Wherever the keys without a hash tag lie (models, workers, policy and its files, routes), two
    workers find the models, see each other, agree on the policy, share the stages and count
    everything.
    """
    keys, nodes = Keys(f"{prefix}:{number}"), Nodes(cluster.url)
    nodes.shared(keys.versions(MODEL)).hset(keys.versions(MODEL), "1.0.0", PUBLISHED.pack())
    nodes.shared(keys.models).sadd(keys.models, MODEL)
    log = nodes.shared(keys.log(MODEL, 0))
    append(log, keys.log(MODEL, 0), events(number, 200, 1_700_000_000_000), with_ids=False)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[routes]]\nname = "one"\ntarget = { type = "webhook", url = "http://127.0.0.1:9" }\n'
    )
    settings = settings_of(cluster.url, keys, policy_file=str(policy))
    with worker_thread(settings) as one, worker_thread(settings) as two:
        wait_for(lambda: counters(log, keys).events == 200, "all events")
        for worker in (one, two):
            wait_for(partial(_works, worker), "its share")
        beats = nodes.shared(keys.workers)
        assert beats.hlen(keys.workers) == 2
        assert nodes.shared(keys.policy_files).hlen(keys.policy_files) == 2
        assert nodes.shared(keys.policy).exists(keys.policy)
        assert nodes.shared(keys.routes).smembers(keys.routes) == {b"one"}
    nodes.close()
