"""Faults in which a replica takes over, at the same address, without the last moments that its
primary acknowledged.
"""

from benchmarks.chaos.faults.fault import Course, fault
from benchmarks.chaos.faults.scene import Scene

LAG_S = (0.2, 2.0)
"""Shortest and longest lag of the replica."""


@fault(
    "a replica that lags is promoted, its primary is dead",
    needs=Scene.redis_may_forget,
    of_redis=True,
)
def promotion(scene: Scene) -> Course:
    """Cut a replica off, kill its primary a moment later, and give the replica its address."""
    scene.plant.start_replica()
    yield from _cut_off(scene)
    scene.plant.server.kill()
    old = scene.plant.promote()
    old.remove()
    scene.came_back()


@fault(
    "a replica that lags is promoted, its primary demoted (READONLY)",
    needs=Scene.redis_may_forget,
    of_redis=True,
)
def demotion(scene: Scene) -> Course:
    """The primary of before goes on as the replica of the new one, with the connections that it
    has; the address leads to the new one.
    """
    scene.plant.start_replica()
    yield from _cut_off(scene)
    old = scene.plant.promote()
    with old.client() as client:
        client.replicaof("127.0.0.1", scene.plant.server.port)
    scene.came_back()
    yield scene.between(4, 6)
    old.remove()


def _cut_off(scene: Scene) -> Course:
    """Promote the replica by itself, while clients still write to the primary."""
    scene.forgets()
    assert scene.plant.replica is not None
    with scene.plant.replica.client() as client:
        client.replicaof("NO", "ONE")
    yield scene.between(*LAG_S)
