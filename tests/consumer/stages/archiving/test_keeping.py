"""The worker itself keeps the archive's days, beside archiving and never in its way."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.consumer.stages.archiving import keeping as module
from driftgauge.consumer.stages.archiving.keeping import Keeping
from driftgauge.shared.archive.pruning import days
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ConfigurationError, OwnershipLost
from driftgauge.shared.settings import read_settings
from tests.consumer.builders import event
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, append
from tests.shared.archive.making import DAY_MS, prediction, write
from tests.shared.archive.making import MODEL as PLANT

ROW = [0.5, 1.0, 7.0, 0.0, None, "city1"]


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


def keeping(world: World, model: str, logs: int = 1, keep_days: int = 0) -> tuple[Keeping, Any]:
    removed: list[int] = []
    made = Keeping(
        lambda _: world.client, world.keys, model, logs, world.store, keep_days, removed.append
    )
    made.due_at = 0.0
    return made, removed


def test_a_round_goes_on_beside_archiving(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Two old days of the model that is archived go, by the stage's own turns; then it rests."""
    caplog.set_level("INFO", "driftgauge.worker")
    now = int(time.time() * 1000)
    entries = [event(now - day * DAY_MS, 1 + day, ROW) for day in range(4)]
    append(world.client, world.log, entries, with_ids=False)
    world.count()
    world.archive()
    before = len(list(days(world.store, MODEL, "predictions")))
    kept, removed = keeping(world, MODEL, keep_days=1)
    world.archiving._keeping = kept
    assert world.archiving.due_at == 0.0
    while world.archiving.turn():
        pass
    found = [bool(day.manifest.files) for day in days(world.store, MODEL, "predictions")]
    assert (before, found, sum(removed)) == (4, [False, False, True, True], 2)
    assert "are older than 1 days and removed: 1 rows in 1 files" in caplog.text
    assert time.monotonic() < world.archiving.due_at < math.inf


def test_days_of_which_another_partition_has_rows_stay(world: World) -> None:
    """The log of every partition is asked for its first row that is not archived."""
    now = int(time.time() * 1000)
    assert isinstance(world.store, FolderStore)
    for cut in range(4):
        write(world.store, 10 * cut, [prediction(cut, now - 3 * DAY_MS)])
    log = world.keys.log(PLANT, 1)
    world.client.xadd(log, {"e": "x"}, id=f"{now - 4 * DAY_MS}-0")
    kept, removed = keeping(world, PLANT, logs=2, keep_days=1)
    while kept.turn(lambda: None):
        pass
    (day,) = days(world.store, PLANT, "predictions")
    assert (len(day.manifest.files), sum(removed)) == (4, 0)
    world.client.delete(log)
    kept.due_at = 0.0
    while kept.turn(lambda: None):
        pass
    assert sum(removed) == 1


def test_a_store_that_fails_stops_nothing_but_the_round(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and tried again an hour later; a lost lease is no fault of the store."""

    def fail(error: Exception) -> Iterator[int]:
        yield 0
        raise error

    kept, _ = keeping(world, MODEL)
    monkeypatch.setattr(module, "tend", lambda *_: fail(OSError("disk full")))
    assert [kept.turn(lambda: None) for _ in range(3)] == [True, False, False]
    assert "disk full" in caplog.text
    kept.due_at = 0.0
    monkeypatch.setattr(module, "tend", lambda *_: fail(OwnershipLost("gone")))
    kept.turn(lambda: None)
    with pytest.raises(OwnershipLost):
        kept.turn(lambda: None)
    assert not kept.turn(lambda: None)


def test_days_are_set_for_all_and_for_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """As numbers and a JSON object; what is none is refused by name."""
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_DAYS", "400")
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_DAYS_OF", '{"steel": 30, "loans": 0}')
    settings = read_settings()
    assert [settings.archive_days_for(name) for name in ("steel", "loans", "x")] == [30, 0, 400]
    for bad in ("[1]", '{"steel": "a"}', '{"steel": -1}', "{"):
        monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_DAYS_OF", bad)
        with pytest.raises(ConfigurationError, match="ARCHIVE_DAYS_OF"):
            read_settings()
