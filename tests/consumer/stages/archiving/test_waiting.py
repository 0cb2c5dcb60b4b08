"""What waits to be archived is exported with the archive: each counted prediction once."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.kept.export import export
from driftgauge.consumer.stages.archiving import waiting as waiting_module
from driftgauge.shared.contract.events import LABEL, Label, encode
from driftgauge.shared.contract.keys import Keys
from tests.consumer.builders import event, raw
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, append

ROW = [0.5, 1.0, 7.0, 0.0, None, "city1"]


@pytest.fixture
def world(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(made.folder))
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    yield made
    made.close()


def add(world: World, first: int, number: int) -> None:
    """Log predictions, one of them twice, and a label of the first prediction of all."""
    now = int(time.time() * 1000)
    found = [event(now + place, first + place, ROW) for place in range(number)]
    label = raw(f"{now}-0", first, encode(Label("1", float(first), now)), b"labels")
    label[1][1] = LABEL
    append(world.client, world.log, [*found, found[0], label], with_ids=False)


def exported(*more: str) -> list[dict[str, object]]:
    given = [MODEL, "--format", "jsonl", "--with-log", *more]
    found = CliRunner().invoke(export, given, catch_exceptions=False)
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_rows_that_wait_are_exported_with_the_archive(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first cut, between two cuts and behind the last one: all that is counted, with the
    last label, and what was repeated once.
    """
    monkeypatch.setattr(waiting_module, "PART_ROWS", 3)
    add(world, 1, 10)
    assert exported() == []
    world.count()
    for archived in (False, True):
        if archived:
            world.archive()
        rows = exported()
        assert Counter(row["id"] for row in rows) == Counter(str(place) for place in range(1, 11))
        assert [row["label"] for row in rows if row["id"] == "1"] == [1.0]
    add(world, 11, 10)
    world.count()
    rows = exported()
    assert Counter(row["id"] for row in rows) == Counter(str(place) for place in range(1, 21))
    assert [row["label"] for row in rows if row["id"] == "1"] == [11.0]
    assert len(exported("--id", "13", "--id", "3", "--id", "99")) == 2
    assert len(CliRunner().invoke(export, [MODEL, "--format", "jsonl"]).stdout.splitlines()) == 10


def test_a_cut_that_comes_meanwhile_is_not_exported_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is archived after it was seen how far the archive goes, and before its files are read."""
    add(world, 1, 10)
    world.count()
    groups = waiting_module.Waiting.groups

    def archived_meanwhile(self: waiting_module.Waiting) -> Iterator[object]:
        yield from groups(self)
        world.archive()

    monkeypatch.setattr(waiting_module.Waiting, "groups", archived_meanwhile)
    for _ in range(2):
        assert Counter(row["id"] for row in exported()) == Counter(
            str(place) for place in range(1, 11)
        )
