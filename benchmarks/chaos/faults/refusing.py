"""Faults of a Redis that answers and takes no writes: events are spooled, workers wait, both say
so, and go on by themselves.
"""

import math
import time
from typing import Any

from redis.client import Pipeline

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.scene import STARTING_S, Scene
from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.stores.server import bound_files

REFUSED = "Redis refuses to write|The watchdog fails"
"""What a worker logs, and the watchdog, which cannot write what it found."""
LONG_ENOUGH_S = (3.0, 5.0)
"""Shortest and longest time of a refusal: an API looks at the memory once a second."""


@fault(
    "Redis is full (maxmemory, noeviction)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="nearly full",
    logged=REFUSED,
)
def full_redis(scene: Scene) -> Course:
    """Lower `maxmemory` to less than is used; counted entries are trimmed then."""

    def fill(pipe: Pipeline) -> None:
        pipe.config_set("maxmemory", 1)

    with scene.plant.client() as client:
        scene.record.take_and(client, fill)
    yield scene.between(*LONG_ENOUGH_S)
    _set(scene, "maxmemory", 0)


@fault(
    "Redis may evict keys (maxmemory-policy)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="may take away",
    logged="may take away",
)
def evicting_policy(scene: Scene) -> Course:
    """Set a policy that may evict, with memory enough that nothing is evicted."""
    scene.evicts_until = math.inf
    _set(scene, "maxmemory-policy", "allkeys-lru")
    _set(scene, "maxmemory", 1 << 34)
    yield scene.between(*LONG_ENOUGH_S)
    _set(scene, "maxmemory", 0)
    _set(scene, "maxmemory-policy", "noeviction")
    scene.evicts_until = time.monotonic() + STARTING_S


@fault(
    "Redis is a replica (READONLY)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="is a replica",
    logged=REFUSED,
)
def read_only(scene: Scene) -> Course:
    """Make Redis the replica of a server that does not exist, which leaves it what it has."""
    with scene.plant.client() as client:
        client.replicaof("127.0.0.1", 1)
    yield scene.between(*LONG_ENOUGH_S)
    with scene.plant.client() as client:
        client.replicaof("NO", "ONE")


@fault(
    "Redis lacks replicas (NOREPLICAS)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="has fewer replicas",
    logged=REFUSED,
)
def too_few_replicas(scene: Scene) -> Course:
    """Ask for a replica that does not exist."""
    _set(scene, "min-replicas-to-write", 1)
    yield scene.between(*LONG_ENOUGH_S)
    _set(scene, "min-replicas-to-write", 0)


@fault(
    "Redis cannot write its append-only file (no space)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="cannot write its file",
    logged=REFUSED,
)
def full_append_only_file(scene: Scene) -> Course:
    """Let Redis's append-only file not grow, as on a full disk. Each write fails as a whole: after
    one that is cut, Redis 7.0 may damage the file of a promoted replica.
    """
    server = scene.alone.server
    bound_files(server.pid, scene.alone.power.size())
    yield scene.between(*LONG_ENOUGH_S)
    bound_files(server.pid, None)
    _wait_until_written(scene, "aof_last_write_status")


@fault(
    "Redis cannot save its snapshot (MISCONF)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    told="cannot write its file",
    logged=REFUSED,
)
def failing_snapshot(scene: Scene) -> Course:
    """Let a folder have the snapshot's name."""
    snapshot = scene.alone.server.folder / "dump.rdb"
    snapshot.unlink(missing_ok=True)
    snapshot.mkdir()
    _set(scene, "save", "3600 1")
    _save(scene)
    yield scene.between(*LONG_ENOUGH_S)
    snapshot.rmdir()
    _save(scene)
    _wait_until_written(scene, "rdb_last_bgsave_status")
    _set(scene, "save", "")


def _save(scene: Scene) -> None:
    """Start a snapshot."""
    with scene.plant.client() as client:
        client.bgsave(schedule=True)


def _set(scene: Scene, name: str, value: Any) -> None:
    with scene.plant.client() as client:
        client.config_set(name, value)


def _wait_until_written(scene: Scene, status: str) -> None:
    if not wait_for(lambda: scene.alone.server.told("persistence")[status] == "ok", 20):
        raise TimeoutError(f"Redis does not write again: {status}.")
