"""How far a partition is archived, as the API reads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from driftgauge.producer.reading.model_state import ArchivingState
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys
from tests.consumer.stages.archiving.test_archiving import add, some
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


@pytest.mark.anyio
async def test_what_waits_and_what_is_missing(world: World, redis_url: str) -> None:
    """Nothing is known before the first cut; then the oldest counted entry that waits, whoever
    writes, and what left the log too early.
    """
    asking = connect_async(redis_url)
    pipeline = Pipeline(asking, world.keys)

    async def state() -> ArchivingState | None:
        (read,) = await pipeline.read([MODEL])
        return read.partitions[0].archiving

    add(world, some(5))
    world.count()
    assert await state() is None
    world.archive()
    assert await state() == ArchivingState(owned=True, missing=0)
    add(world, some(10, first=100))
    assert await state() == ArchivingState(owned=True, missing=0), "it is not counted yet"
    world.count()
    (scraped,) = await pipeline.read([MODEL], scraping=True)
    assert scraped.partitions[0].archiving is None, "a scrape shows none of it, and asks for none"
    ids = [entry.decode() for entry, _ in world.client.xrange(world.log)]
    assert await state() == ArchivingState(True, 0, EntryId.parse(ids[5]).ms)
    world.client.xtrim(world.log, minid=ids[8], approximate=False)
    assert await state() == ArchivingState(True, 0, EntryId.parse(ids[8]).ms)
    world.archive()
    assert await state() == ArchivingState(owned=True, missing=3)
    world.client.delete(world.keys.archive_owner(MODEL, 0))
    assert await state() == ArchivingState(owned=False, missing=3)
    await asking.aclose()
