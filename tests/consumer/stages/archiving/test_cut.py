"""A part of a log is read page by page, whatever the pages are."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.consumer.stages.archiving import cut
from driftgauge.shared.contract.keys import Keys
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import append, events


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


def test_short_entries_are_read_more_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full pages grow, and each entry is a row once, in the order of the log."""
    pages: list[tuple[int, int]] = []
    read = cut.read_streams

    def noted(client: redis.Redis, positions: dict[str, str], count: int) -> Any:
        found = read(client, positions, count)
        pages.append((count, len(found[0][1]) if found else 0))
        return found

    monkeypatch.setattr(cut, "PAGE", 10)
    monkeypatch.setattr(cut, "read_streams", noted)
    append(world.client, world.log, events(1, 60, int(time.time() * 1000), first=1), with_ids=False)
    world.count()
    world.archive()
    assert pages == [(10, 10), (11, 11), (12, 12), (13, 13), (14, 14)]
    assert world.rows()["id"].to_pylist() == [str(number) for number in range(1, 61)]
