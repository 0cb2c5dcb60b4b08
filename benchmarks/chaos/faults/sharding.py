"""Faults of a Redis Cluster: masters that end, lag, stand still or are replaced, and slots that are
moved.
"""

import signal
from collections.abc import Iterator
from functools import partial

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.plant.model import PREFIX, keys_of
from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.stores.cluster import NODE_TIMEOUT_MS
from benchmarks.chaos.stores.node import Node
from driftgauge.shared.contract.keys import Keys, slot_of

SILENT = "does not answer|CLUSTERDOWN"
"""What an API says of a master that is gone, and of a cluster that lacks slots meanwhile."""
DOWN = r"Redis refuses to write \(The cluster is down|went back from|panes went back to numbers"
"""What workers log of a cluster that lacks slots, and of a replica that lagged."""
PATIENCE_S = 30.0
LOOK_S = 0.2
LAG_S = (0.2, 2.0)
"""Shortest and longest lag of a replica."""
cluster_fault = partial(fault, of_redis=True, on={On.CLUSTER})


@cluster_fault(
    "a master of a cluster gets kill -9, its replica takes over",
    needs=Scene.redis_may_forget,
    logged=DOWN,
    told=SILENT,
    weight=2,
)
def master_killed(scene: Scene) -> Course:
    """Kill a master; later it comes back, as a replica of the other one."""
    master, replica = _pair(scene)
    scene.forgets()
    master.kill()
    _take_over(scene, replica)
    yield scene.between(0.5, 2)
    master.start()
    yield from _until_whole(scene)


@cluster_fault(
    "a replica of a cluster that lags takes over, its master is dead",
    needs=Scene.redis_may_forget,
    logged=DOWN,
)
def master_lost(scene: Scene) -> Course:
    """Let a replica find no way to its master, kill the master a moment later, and let the replica
    take over without what it lacks.
    """
    master, replica = _pair(scene)
    scene.forgets()
    replica.cut_off()
    yield scene.between(*LAG_S)
    master.kill()
    _take_over(scene, replica)
    replica.let_in()
    master.start()
    yield from _until_whole(scene)


@cluster_fault(
    "a master of a cluster stands still, its replica takes over (SIGSTOP)",
    needs=Scene.redis_may_forget,
    logged=DOWN,
)
def master_stopped(scene: Scene) -> Course:
    """Stop a master; its replica takes over at once, so an API may never wait long enough to say
    that something is wrong. The master wakes as the replica of another one.
    """
    master, replica = _pair(scene)
    scene.forgets()
    scene.stop_redis(master.process.pid, signal.SIGSTOP)
    _take_over(scene, replica)
    yield scene.between(0, NODE_TIMEOUT_MS / 1000)
    scene.stop_redis(master.process.pid, signal.SIGCONT)
    yield from _until_whole(scene)


@cluster_fault(
    "a master of a cluster is replaced as planned (CLUSTER FAILOVER)",
    needs=Scene.redis_is_well,
    weight=2,
)
def master_replaced(scene: Scene) -> Course:
    """Let a replica take over in agreement with its master."""
    master, _ = _pair(scene)
    scene.cluster.fail_over(master)
    yield from _until_whole(scene)


@cluster_fault(
    "a slot of a cluster is moved, key by key",
    needs=Scene.redis_is_well,
    weight=2,
)
def slot_moved(scene: Scene) -> Course:
    """Move a slot that has keys to another master, with pauses."""
    slots = sorted(set(_slots(scene)))
    slot = slots[int(scene.random.integers(len(slots)))]
    source = scene.cluster.owner(slot)
    target = _drawn(scene, [node for node in scene.cluster.masters if node is not source])
    for _ in scene.cluster.moving(slot, target):
        yield scene.between(0.02, 0.3)
    yield from _until_whole(scene)


@cluster_fault(
    "a replica of a cluster gets kill -9",
    needs=Scene.redis_is_well,
)
def replica_killed(scene: Scene) -> Course:
    """Kill a replica; later it is back."""
    _, replica = _pair(scene)
    replica.kill()
    yield scene.between(0.5, 3)
    replica.start()
    yield from _until_whole(scene)


def _pair(scene: Scene) -> tuple[Node, Node]:
    """Draw a master; return it and its replica, which is in step with it."""
    master = _drawn(scene, scene.cluster.masters)
    return master, scene.cluster.replica(master)


def _drawn(scene: Scene, nodes: list[Node]) -> Node:
    return nodes[int(scene.random.integers(len(nodes)))]


def _slots(scene: Scene) -> Iterator[int]:
    """Name the slots of all that API and worker have in Redis, but for routes."""
    yield slot_of(Keys(PREFIX).models)
    for model, version in scene.plant.versions.items():
        keys = keys_of(version)
        yield slot_of(keys.judge(model))
        for partition in range(version.manifest.partitions):
            yield slot_of(keys.log(model, partition))


def _take_over(scene: Scene, replica: Node) -> None:
    """Wait until a replica is a master, and look at once what it lacks."""
    if not wait_for(lambda: replica.leads, PATIENCE_S):
        raise TimeoutError("The replica has not taken over.")
    scene.took_over(replica)
    scene.came_back()


def _until_whole(scene: Scene) -> Course:
    """Wait until every master has a replica that is in step, and all nodes agree."""
    while not scene.cluster.is_whole():
        yield LOOK_S
