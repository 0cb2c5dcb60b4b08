"""Faults in which Redis loses what it had acknowledged long before: nobody can send that again, so
it has to be told, with its number where that can be known.
"""

from redis.client import Pipeline

from benchmarks.chaos.faults.fault import Course, fault
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.plant.model import keys_of

LOST = "blind.(lost|rolled_back)"


@fault(
    "every key is deleted (FLUSHALL)",
    needs=Scene.redis_may_lose,
    of_redis=True,
    told=LOST,
    loses=True,
)
def flush_all(scene: Scene) -> Course:
    """Delete every key."""

    def flush(pipe: Pipeline) -> None:
        pipe.flushall()

    scene.lost()
    with scene.plant.client() as client:
        scene.record.take(client, flush)
    scene.record.deleted()
    scene.plant.forget_dumps()
    yield 0


@fault(
    "Redis comes back from an older dump",
    needs=lambda scene: scene.redis_may_lose() and scene.plant.has_dump(),
    of_redis=True,
    told=LOST,
    loses=True,
)
def older_dump(scene: Scene) -> Course:
    """End Redis, and start it on a copy of its folder from long before."""
    scene.forgets()
    scene.lost()
    with scene.plant.client() as client:
        client.client_pause(60_000, all=False)  # the writes: what is acknowledged is in the record
        scene.record.take(client)
    scene.plant.server.kill()
    scene.plant.restore_dump()
    yield scene.between(0.0, 1.5)
    scene.plant.start_redis()
    with scene.plant.client() as client:
        scene.record.restored(client)
    scene.came_back()


@fault(
    "a checkpoint of counting is deleted, as by an eviction",
    needs=Scene.redis_may_lose,
    told=LOST,
    loses=True,
)
def checkpoint_deleted(scene: Scene) -> Course:
    """Delete the counts of a partition; its log stays."""
    version = scene.plant.versions["press"]
    partition = int(scene.random.integers(version.manifest.partitions))
    scene.lost()
    with scene.plant.client() as client:
        scene.record.take(client)
        client.delete(keys_of(version).count("press", partition))
    yield 0


@fault("the registration of the models is deleted, as by an eviction", needs=Scene.redis_is_well)
def registration_deleted(scene: Scene) -> Course:
    """Delete the names of the models and their versions."""
    with scene.plant.client() as client:
        for model, version in scene.plant.versions.items():
            keys = keys_of(version)
            client.delete(keys.models, keys.versions(model))
    yield 0
