"""Faults in which Redis loses what it had acknowledged long before: nobody can send that again, so
it has to be told, with its number where that can be known.
"""

from redis.client import Pipeline

from benchmarks.chaos.faults.fault import Course, On, fault
from benchmarks.chaos.faults.scene import Scene
from benchmarks.chaos.plant.model import keys_of

LOST = "blind.(lost|rolled_back)|events are lost"
SET_BACK = "went back from|is gone|panes went back to numbers"
"""What workers and APIs log of it."""
UNREGISTERED = "versions is gone|holds the state of"
"""What a worker logs until the API has registered its models again."""


@fault(
    "every key is deleted (FLUSHALL)",
    needs=Scene.redis_may_lose,
    of_redis=True,
    on={On.ALONE},
    told=LOST,
    loses=True,
    logged=SET_BACK,
)
def flush_all(scene: Scene) -> Course:
    """Delete every key."""

    def flush(pipe: Pipeline) -> None:
        pipe.flushall()

    scene.lost()
    with scene.plant.client() as client:
        scene.record.take_and(client, flush)
    scene.record.deleted()
    scene.alone.copies.forget()
    yield 0


@fault(
    "Redis comes back from an older dump",
    needs=lambda scene: scene.redis_may_lose() and scene.alone.copies.has_old(),
    of_redis=True,
    on={On.ALONE},
    told=LOST,
    loses=True,
    logged=SET_BACK,
)
def older_dump(scene: Scene) -> Course:
    """End Redis, and start it on a copy of its folder from long before."""
    scene.forgets()
    scene.lost()
    with scene.plant.client() as client:
        client.client_pause(60_000, all=False)  # the writes: what is acknowledged is in the record
        scene.record.take(client)
    scene.alone.server.kill()
    scene.alone.copies.restore(scene.alone.server.folder)
    yield scene.between(0.0, 1.5)
    scene.alone.start_redis()
    with scene.plant.client() as client:
        scene.record.restored(client)
    scene.came_back()


@fault(
    "the counts and panes of a partition are deleted, as by an eviction",
    needs=Scene.redis_may_lose,
    on={On.ALONE, On.SENTINELS},
    told="blind.rolled_back",
    loses=True,
    logged=SET_BACK,
)
def evicted_counts(scene: Scene) -> Course:
    """Delete the keys of counting of a partition; it is counted anew from its log."""
    version = scene.plant.versions["press"]
    keys, model = keys_of(version), "press"
    partition = int(scene.random.integers(version.manifest.partitions))
    rollups = [keys.rollups(model, partition, span) for span in ("hour", "day")]
    scene.lost()
    with scene.plant.client() as client:
        scene.record.take(client)
        scene.record.counted_anew(client, (model, partition))
        client.delete(keys.count(model, partition), keys.panes(model, partition), *rollups)
    yield 0


@fault(
    "the registration of the models is deleted, as by an eviction",
    needs=Scene.redis_is_well,
    on={On.ALONE, On.SENTINELS},
    logged=UNREGISTERED,
)
def registration_deleted(scene: Scene) -> Course:
    """Delete the names of the models and their versions."""
    with scene.plant.client() as client:
        for model, version in scene.plant.versions.items():
            keys = keys_of(version)
            client.delete(keys.models, keys.versions(model))
    yield 0
