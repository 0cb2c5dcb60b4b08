"""Faults of a Redis that comes back with all that it had, but for its last second."""

import signal

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.scene import Scene


@fault(
    "Redis gets kill -9",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.ALONE},
    weight=2,
)
def kill_redis(scene: Scene) -> Course:
    """Kill Redis, and start it on its append-only file."""
    scene.forgets()
    scene.alone.server.kill()
    yield scene.between(0.0, 1.5)
    scene.alone.start_redis()
    scene.came_back()


@fault(
    "Redis loses power, and the last second of its file",
    needs=Scene.redis_may_forget,
    of_redis=True,
    on={On.ALONE},
)
def power_loss(scene: Scene) -> Course:
    """Kill Redis, and cut its append-only file to its length of a second before."""
    scene.forgets()
    scene.lost_bytes += scene.alone.power.strike()
    yield scene.between(0.0, 1.5)
    scene.alone.start_redis()
    scene.came_back()


@fault(
    "Redis is restarted, and an API killed meanwhile",
    needs=Scene.redis_may_end,
    of_redis=True,
    on={On.ALONE},
)
def outage(scene: Scene) -> Course:
    """Redis ends in good order, so it forgets nothing; the APIs spool, and one of them dies before
    it is back.
    """
    scene.forgets()
    scene.alone.server.stop()
    yield scene.between(0.8, 1.2)
    scene.replace_api()
    yield scene.between(0.7, 1.3)
    scene.alone.start_redis()
    scene.came_back()


@fault(
    "Redis is away for seconds",
    needs=Scene.redis_may_end,
    of_redis=True,
    on={On.ALONE},
    told="Redis does not answer",
)
def redis_away(scene: Scene) -> Course:
    """Redis ends in good order, and comes back later than an API takes to say so."""
    scene.forgets()
    scene.alone.server.stop()
    yield scene.between(2, 4)
    scene.alone.start_redis()
    scene.came_back()


@fault(
    "Redis stops for a moment (SIGSTOP)",
    needs=Scene.redis_is_well,
    of_redis=True,
    on={On.ALONE},
    weight=2,
)
def stop_redis(scene: Scene) -> Course:
    """Stop Redis for less than its clients' patience, or a little more."""
    scene.stop_redis(scene.alone.server.pid, signal.SIGSTOP)
    yield scene.between(0.2, 1.5)
    scene.stop_redis(scene.alone.server.pid, signal.SIGCONT)
