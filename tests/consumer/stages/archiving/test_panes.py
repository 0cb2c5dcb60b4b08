"""The panes of a partition are in the archive, each once, with the counts of their cells."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import redis

from driftgauge.consumer.stages.archiving import stream
from driftgauge.consumer.stages.archiving.panes import Panes
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.querying import Query
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Block, NewReference, Pane, pack_counts, unpack_counts
from driftgauge.shared.settings import Settings
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, PUBLISHED, append, events, settings_of, wait_for

COLUMNS = [column.name for column in PUBLISHED.reference.columns]


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


@pytest.fixture
def make(world: World, redis_url: str, keys: Keys) -> Iterator[Callable[[], Follower]]:
    """Return a function that makes the stage anew, as a new worker would."""
    found: list[Follower] = []

    def made() -> Follower:
        for one in found:
            one.close()
        settings = Settings(**settings_of(redis_url, keys, archive_seconds=1e-9, lease_ms=60_000))
        client = raw_reads(connect(redis_url))
        versions = PublishedVersions(client, keys, MODEL)
        sink = Panes(client, settings, keys, MODEL, 0, world.store, versions)
        stream = keys.panes(MODEL, 0)
        found.append(Follower(client, settings, keys, MODEL, stream, sink, 0))
        assert found[-1].checkpoint.acquire()
        found[-1].load()
        found[-1].turn()
        return found[-1]

    yield made
    for one in found:
        one.close()
        one.client.close()


def count(world: World, number: int, first: int = 1) -> None:
    """Count events; every 250 are a pane."""
    now = int(time.time() * 1000) - 20 * number
    new = events(first, number, now, first=first)
    append(world.client, world.log, new, with_ids=False)
    world.count()


def archive(stage: Follower, world: World) -> None:
    """Archive the whole stream."""
    last = world.client.xrevrange(world.keys.panes(MODEL, 0), count=1)[0][0]

    def done() -> bool:
        stage.turn()
        return world.client.hget(stage.checkpoint.key, "offset") == last

    wait_for(done, "the archive")


def closed(world: World) -> list[Pane]:
    found: Any = world.client.xrange(world.keys.panes(MODEL, 0))
    entries = [pane.decode(fields[pane.FIELD]) for _, fields in found]
    return [one for one in entries if isinstance(one, Pane)]


def rows(world: World) -> list[dict[str, Any]]:
    told: list[str] = []
    batches = list(scan(world.store, "panes", Range(MODEL), told.append))
    assert not told
    return pa.Table.from_batches(batches).to_pylist() if batches else []  # type: ignore[no-any-return]  # pyarrow has no types


def check(world: World) -> None:
    """Check that the archive has the panes of Redis, cell by cell."""
    found = {(row["pane"], row["feature"]): row for row in rows(world)}
    assert len(found) == len(rows(world)) == len(closed(world)) * len(COLUMNS)
    for one in closed(world):
        of_pane = [found[one.number, name] for name in COLUMNS]
        block = one.blocks["1.0.0"]
        assert [count for row in of_pane for count in row["counts"]] == unpack_counts(
            block.cells
        ).tolist()
        (said,) = {(row["version"], row["reference"], row["rows"]) for row in of_pane}
        assert said == ("1.0.0", 0, block.rows)
        (times,) = {(row["time"].timestamp(), row["closed"].timestamp()) for row in of_pane}
        assert times == (one.start / 1000, one.end / 1000)


def test_a_pane_is_archived_cell_by_cell(world: World, make: Callable[[], Follower]) -> None:
    """A row for each of its columns has the counts of all of their cells."""
    stage = make()
    count(world, 1500)
    archive(stage, world)
    assert len(closed(world)) > 3
    check(world)


def test_cells_are_told_by_their_values(world: World, make: Callable[[], Follower]) -> None:
    """`panes` has the cells that have rows: a number's bounds, a category's name; the sum of a
    column is the number of rows.
    """
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
    stage = make()
    count(world, 1500)
    archive(stage, world)
    query = Query(world.store, Range(MODEL), print, memory_mb=500, seconds=60)

    def ask(sql: str) -> list[dict[str, Any]]:
        return [row for batch in query.run(sql) for row in batch.to_pylist()]

    counted = sum(one.blocks["1.0.0"].rows for one in closed(world))
    sums = ask("SELECT feature, sum(count) AS n FROM panes GROUP BY ALL")
    assert {row["feature"]: row["n"] for row in sums} == dict.fromkeys(COLUMNS, counted)
    (city,) = ask("SELECT sum(count) AS n FROM panes WHERE category = 'city1'")
    in_log = [row for _, fields in world.client.xrange(world.log) for row in [fields[b"e"]]]
    assert city["n"] == sum(b'"city1"' in row for row in in_log[:counted])
    (missing,) = ask("SELECT sum(count) AS n FROM panes WHERE feature = 'absent'")
    assert missing["n"] == counted
    assert ask("SELECT DISTINCT part FROM panes WHERE feature = 'absent'") == [{"part": "missing"}]
    assert not ask("SELECT * FROM panes WHERE low > high OR part IS NULL")
    (known,) = ask("SELECT sum(expected) AS n FROM cells WHERE feature = 'smooth'")
    assert known["n"] == PUBLISHED.reference.rows
    query.close()


class Killed(Exception):
    pass


def die(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize("where", ["write_groups", "write_head"])
def test_a_process_that_dies_between_two_steps_leaves_none_twice(
    world: World, make: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The next owner writes the same cut, although more panes were closed meanwhile."""
    stage = make()
    count(world, 800)
    with monkeypatch.context() as patch:
        patch.setattr(stream, where, die)
        with pytest.raises(Killed):
            archive(stage, world)
    count(world, 800, first=1000)
    archive(make(), world)
    check(world)


def test_a_redis_that_went_back_gives_no_pane_twice(
    world: World, make: Callable[[], Follower]
) -> None:
    """Panes that Redis lost have their numbers given anew: the archive has those of Redis."""
    stage = make()
    count(world, 800)
    archive(stage, world)
    names = [world.keys.count(MODEL, 0), world.log, world.keys.panes(MODEL, 0)]
    kept = {name: world.client.dump(name) for name in (*names, stage.checkpoint.key)}
    count(world, 800, first=1000)
    archive(stage, world)
    before = len(rows(world))
    stage.checkpoint.release()
    for name, packed in kept.items():
        world.client.delete(name)
        world.client.restore(name, 0, packed)  # type: ignore[arg-type]  # bytes
    world.counting.load()
    stage = make()
    assert len(rows(world)) < before
    check(world)
    count(world, 1100, first=5000)
    archive(stage, world)
    check(world)


def test_a_redis_that_lost_the_plan_of_a_cut_loses_no_pane(
    world: World, make: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a cut that Redis does not know of any more are removed, and it comes again,
    longer.
    """
    stage = make()
    count(world, 800)
    archive(stage, world)
    kept: Any = world.client.dump(stage.checkpoint.key)
    before = len(rows(world))
    count(world, 800, first=1000)
    with monkeypatch.context() as patch:
        patch.setattr(stream, "write_head", die)
        with pytest.raises(Killed):
            archive(stage, world)
    assert len(rows(world)) > before
    stage.checkpoint.release()
    world.client.delete(stage.checkpoint.key)
    world.client.restore(stage.checkpoint.key, 0, kept)
    count(world, 800, first=2000)
    archive(make(), world)
    check(world)


def test_a_lost_checkpoint_leaves_what_is_archived(
    world: World, make: Callable[[], Follower]
) -> None:
    """Without its key in Redis the next owner goes on with the next pane."""
    stage = make()
    count(world, 800)
    archive(stage, world)
    before = rows(world)
    world.client.delete(stage.checkpoint.key)
    stage = make()
    archive(stage, world)
    assert rows(world) == before
    check(world)
    count(world, 800, first=801)
    archive(stage, world)
    assert len(rows(world)) > len(before)
    check(world)


def entry_of(number: int, version: str, cells: Any) -> bytes:
    block = Block(rows=1, cells=cells, latency=b"", sources={})
    now = int(time.time() * 1000)
    return pane.encode(Pane(0, number, now, now, 1, number, None, {version: block}))


def test_rows_have_the_reference_by_which_they_were_counted(
    world: World, make: Callable[[], Follower], caplog: pytest.LogCaptureFixture
) -> None:
    """A new reference holds from its entry on, whoever goes on from there; what does not fit a
    reference, or cannot be read, is told and left out.
    """
    stream = world.keys.panes(MODEL, 0)
    size = int(PUBLISHED.reference.offsets[-1])
    full = pack_counts(unpack_counts(b"B-" + bytes([1]) * size))
    stage = make()
    world.client.xadd(stream, {pane.FIELD: entry_of(1, "1.0.0", full)}, id="1-0")
    world.client.xadd(stream, {pane.FIELD: b"\xc1"}, id="1-1")
    world.client.xadd(stream, {pane.FIELD: entry_of(2, "1.0.0", full[:-1])}, id="2-0")
    world.client.xadd(stream, {pane.FIELD: entry_of(3, "9.9.9", full)}, id="3-0")
    change = NewReference(0, 1, 1, "1.0.0", 1, 0, "ann", "", undo=False)
    later = NewReference(0, 1, 1, "1.0.0", 2, 4, "ann", "", undo=False)
    world.client.xadd(stream, {pane.FIELD: pane.encode(change)}, id="3-1")
    world.client.xadd(stream, {pane.FIELD: entry_of(4, "1.0.0", full)}, id="4-0")
    world.client.xadd(stream, {pane.FIELD: pane.encode(later)}, id="4-1")
    archive(stage, world)
    world.client.xadd(stream, {pane.FIELD: entry_of(5, "1.0.0", full)}, id="5-0")
    archive(make(), world)
    assert sorted({row["pane"] for row in rows(world)}) == [1, 4]
    assert {row["reference"] for row in rows(world)} == {0}
    for said in ("1-1 cannot be read", "2-0 does not fit", "3-0 is of 9.9.9", "5-0 is of 1.0.0"):
        assert said in caplog.text
