"""A backup of a Redis Cluster, and into one: the slots of a model lie on several masters."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from driftgauge.shared.connections.keyspace import found_keys
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    events,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.shared.backup.conftest import put_back, save

PARTITIONS, EVENTS = 4, 100
"""Partitions of the model, and events of each."""
SALTS = salts_for(MODEL, PARTITIONS)


def counted(nodes: Nodes, keys: Keys) -> list[tuple[int, int]]:
    """Return the events and repeats that each partition has counted."""
    found = []
    for place in range(PARTITIONS):
        key = keys.count(MODEL, place)
        packed: Any = nodes.shared(key).hget(key, "counters")
        one = msgspec.json.decode(packed, type=Counters) if packed else Counters()
        found.append((one.events, one.duplicates))
    return found


def fill(nodes: Nodes, keys: Keys, first: int = 1) -> None:
    """Publish events to all partitions."""
    for place in range(PARTITIONS):
        log = keys.log(MODEL, place)
        made = events(place, EVENTS, int(time.time() * 1000), first=first)
        append(nodes.shared(log), log, made, with_ids=False)


def publish(nodes: Nodes, keys: Keys) -> None:
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=PARTITIONS, salts=SALTS)
    version = PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference)
    nodes.shared(keys.versions(MODEL)).hset(keys.versions(MODEL), "1.0.0", version.pack())
    nodes.shared(keys.models).sadd(keys.models, MODEL)


@pytest.mark.parametrize("prefix", ["dg", "b"])
def test_a_cluster_and_a_single_server_take_each_others_backups(
    prefix: str, cluster: str, other_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """All keys on all masters are saved, whatever the slots of those without a hash tag; restored
    on a single server, and from there on the cluster again, counting goes on, each event once.
    """
    keys, here, there = Keys(prefix).salted(SALTS), Nodes(cluster), Nodes(other_server.url)
    assert len(here.masters()) == 2
    publish(here, keys)
    fill(here, keys)
    with worker_thread(settings_of(cluster, Keys(prefix), data_dir=str(tmp_path / "one"))):
        wait_for(lambda: counted(here, keys) == [(EVENTS, 0)] * PARTITIONS, "the events")
    saved = save(cluster, Keys(prefix), tmp_path / "first")
    put_back(other_server.url, Keys(prefix), tmp_path / "first")
    assert {*found_keys(there, keys)} <= {*found_keys(here, keys)}
    assert counted(there, keys) == counted(here, keys)
    assert saved.left_out == []
    fill(there, keys)
    fill(there, keys, EVENTS + 1)
    again = [(2 * EVENTS, EVENTS)] * PARTITIONS
    more = settings_of(other_server.url, Keys(prefix), data_dir=str(tmp_path / "two"))
    with worker_thread(more):
        wait_for(lambda: counted(there, keys) == again, "the events, and more")
    save(other_server.url, Keys(prefix), tmp_path / "second")
    with pytest.raises(BadData, match="give --replace"):
        put_back(cluster, Keys(prefix), tmp_path / "second")
    put_back(cluster, Keys(prefix), tmp_path / "second", replace=True)
    assert counted(here, keys) == again
    for nodes in (here, there):
        for key in found_keys(nodes, keys):
            nodes.shared(key.decode()).unlink(key)
        nodes.close()
