"""Faults in which a replica takes over: at the same address, without the last moments that its
primary acknowledged; or found by Sentinels.
"""

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.losing import SET_BACK
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.plant.process import wait_for
from benchmarks.chaos.stores.sentinels import FAILOVER_MS, Sentinels
from benchmarks.chaos.stores.server import Server

TURN_S = 2 * FAILOVER_MS / 1000
"""Time (s) in which Sentinels begin no second failover."""
PATIENCE_S = 30.0
LAG_S = (0.2, 2.0)
"""Shortest and longest lag of the replica."""


@fault(
    "a replica that lags is promoted, its primary is dead",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.ALONE},
)
def promotion(scene: Scene) -> Course:
    """Cut a replica off, kill its primary a moment later, and give the replica its address."""
    scene.alone.start_replica()
    yield from _cut_off(scene)
    scene.alone.server.kill()
    old = scene.alone.promote()
    old.remove()
    scene.came_back()


@fault(
    "a replica that lags is promoted, its primary demoted (READONLY)",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.ALONE},
)
def demotion(scene: Scene) -> Course:
    """The primary of before goes on as the replica of the new one, with the connections that it
    has; the address leads to the new one.
    """
    scene.alone.start_replica()
    yield from _cut_off(scene)
    old = scene.alone.promote()
    with old.client() as client:
        client.replicaof("127.0.0.1", scene.alone.server.port)
    scene.came_back()
    yield scene.between(4, 6)
    old.remove()


def _cut_off(scene: Scene) -> Course:
    """Promote the replica by itself, while clients still write to the primary."""
    scene.forgets()
    assert scene.alone.replica is not None
    with scene.alone.replica.client() as client:
        client.replicaof("NO", "ONE")
    yield scene.between(*LAG_S)


@fault(
    "Sentinels fail over, as asked for (SENTINEL FAILOVER)",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.SENTINELS},
    logged=SET_BACK,  # of the last moments, where it took so long that they are told as lost
)
def sentinel_failover(scene: Scene) -> Course:
    """Ask the Sentinels for a failover; the primary of before goes on as a replica."""
    sentinels = _ready(scene)
    scene.forgets()
    if not wait_for(sentinels.fail_over, PATIENCE_S):
        raise TimeoutError("The Sentinels do not begin to fail over.")
    scene.alone.replica = _follow(scene, sentinels)
    scene.came_back()
    yield TURN_S


@fault(
    "Sentinels fail over, the primary is dead (kill -9)",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.SENTINELS},
    told="does not answer",
    logged=SET_BACK,
)
def sentinel_crash(scene: Scene) -> Course:
    """Kill the primary; later it comes back, as a replica of the other one."""
    sentinels = _ready(scene)
    scene.forgets()
    scene.alone.server.kill()
    old = _follow(scene, sentinels)
    scene.came_back()
    yield scene.between(0.5, 2)
    old.primary = scene.alone.server.port
    old.start()
    scene.alone.replica = old
    yield TURN_S


def _ready(scene: Scene) -> Sentinels:
    """Return the Sentinels once the replica has all that its primary has."""
    assert scene.alone.sentinels is not None
    assert scene.alone.replica is not None
    if not wait_for(scene.alone.replica.follows, PATIENCE_S):
        raise TimeoutError("The replica does not follow its primary.")
    return scene.alone.sentinels


def _follow(scene: Scene, sentinels: Sentinels) -> Server:
    """Wait until the replica is the primary; return the primary of before."""
    assert scene.alone.replica is not None
    port = scene.alone.replica.port
    if not wait_for(lambda: sentinels.primary() == port, PATIENCE_S):
        raise TimeoutError("The Sentinels have promoted nobody.")
    return scene.alone.promote()
