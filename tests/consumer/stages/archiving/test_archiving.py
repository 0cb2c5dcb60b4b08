"""What was counted is in the archive, each row once, whatever happens between two steps."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.stages.archiving import stream as stream_module
from driftgauge.shared.archive import writing
from driftgauge.shared.archive.store import FolderStore, open_store
from driftgauge.shared.contract.events import LABEL, Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from tests.consumer.builders import event, raw, tick
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, append, events
from tests.shared.storage.bucket import bucket

ROW = [0.5, 1.0, 7.0, 0.0, None, "city1"]
DAY_MS = 86_400_000


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


def add(world: World, entries: list[Entry]) -> None:
    append(world.client, world.log, entries, with_ids=False)


def some(number: int, first: int = 1) -> list[Entry]:
    """Make events; no two of all have the same id."""
    return events(first, number, int(time.time() * 1000) - 20 * number, first=first)


def label(number: int, of: str, value: float, time_ms: int) -> Entry:
    found = raw(f"{time_ms}-0", number, encode(Label(of, value, time_ms)), b"labels")
    found[1][1] = LABEL
    return found


def test_all_that_is_counted_is_archived_with_its_values(world: World) -> None:
    """Each prediction is a row: with its id, time, features by name, prediction and place in the
    log.
    """
    now = int(time.time() * 1000)
    add(world, [event(now, 1, ROW, latency_ms=2.5), event(now + 1, 2, ROW, prediction=None)])
    world.count()
    world.archive()
    first, second = world.rows().to_pylist()
    assert {name: first[name] for name in ("id", "version", "smooth", "absent", "city")} == {
        "id": "1",
        "version": "1.0.0",
        "smooth": 0.5,
        "absent": None,
        "city": "city1",
    }
    assert (first["prediction"], second["prediction"], first["latency_ms"]) == (0.5, None, 2.5)
    assert int(first["time"].timestamp() * 1000) == now
    last, _ = world.client.xrevrange(world.log, count=1)[0]
    place = f"{int(second['entry_time'].timestamp() * 1000)}-{second['entry_number']}"
    assert place == last.decode()


def test_what_is_not_counted_is_not_archived(world: World) -> None:
    """Repeated numbers and ids, unknown versions and what does not fit the schema are left out,
    however the log is cut.
    """
    now = int(time.time() * 1000)
    good = [event(now + place, 10 + place, ROW) for place in range(5)]
    mine = {"id": "mine", "client_id": True}
    add(
        world,
        [
            *good,
            good[2],
            event(now, 30, ROW, publisher=b"a", **mine),
            event(now, 31, ROW, publisher=b"b", **mine),
            event(now, 32, ROW, version="9.9.9"),
            event(now, 33, ["text", *ROW[1:]]),
            raw("0-0", 34, b"{"),
            tick(now),
            label(1, "10", 0.5, now),
            label(1, "10", 0.5, now),
        ],
    )
    world.count()
    world.archiver(archive_rows=2)
    world.archive()
    assert world.ids() == Counter({"10": 1, "11": 1, "12": 1, "13": 1, "14": 1, "mine": 1})
    assert world.ids("labels") == Counter({"10": 1})
    assert world.events == 6


def test_what_is_counted_later_stays_in_the_log_until_then(world: World) -> None:
    """The archive never goes beyond counting."""
    add(world, some(10))
    world.archiving.turn()
    assert not world.rows().num_rows
    world.count()
    add(world, some(5, first=11))
    world.archive()
    assert world.rows().num_rows == 10


def test_a_worker_that_dies_before_the_first_cut_loses_nothing(world: World) -> None:
    """What it had counted is archived by the next one, also where nothing had been refused."""
    add(world, some(10))
    world.count()
    world.counting.load()
    world.archiver()
    add(world, some(5, first=100))
    world.count()
    world.archive()
    assert world.rows().num_rows == world.events == 15


@pytest.mark.parametrize("where", ["plan", "files", "manifests", "head"])
def test_a_process_that_dies_between_two_steps_leaves_no_row_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """After the plan, some files, the manifests or the head: the next owner writes the same cut,
    although more was counted by then.
    """
    now = int(time.time() * 1000)
    late = [event(now - place * DAY_MS, 900 + place, ROW) for place in range(3)]
    add(world, [*some(40), *late])
    world.count()

    class Killed(Exception):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if where == "plan":
            patch.setattr(stream_module, "write_groups", die)
        elif where == "files":
            patch.setattr(writing, "change_manifest", die)
        elif where == "manifests":
            patch.setattr(stream_module, "write_head", die)
        else:
            commit = world.archiving.checkpoint.commit

            def once(fields: Any, outputs: Any) -> None:
                if b'"plan"' not in fields[b"state"]:
                    raise Killed
                commit(fields, outputs)

            patch.setattr(world.archiving.checkpoint, "commit", once)
        with pytest.raises(Killed):
            world.archive()
    add(world, some(60, first=100))
    world.count()
    world.archiver()
    world.archive()
    assert max(world.ids().values()) == 1
    assert world.rows().num_rows == world.events == 103
    assert world.archiving.archived.missing == 0


def test_a_process_that_slept_through_its_lease_adds_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up in the middle of writing, when another has written the same cut and further
    ones: its file and its manifest change nothing.
    """
    add(world, some(30))
    world.count()
    late: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(stream_module, "write_groups", lambda *given: late.append(given))
        patch.setattr(stream_module, "write_head", lambda *_: None)
        patch.setattr(world.archiving, "_offset", world.archiving._offset)
        commit, commits = world.archiving.checkpoint.commit, []

        def first(fields: Any, outputs: Any) -> None:
            commits.append(fields)
            if len(commits) > 1:
                raise TimeoutError
            commit(fields, outputs)

        patch.setattr(world.archiving.checkpoint, "commit", first)
        with pytest.raises(TimeoutError):
            world.archive()
    add(world, some(20, first=100))
    world.count()
    world.archiver()
    world.archive()
    before = world.rows()
    store, model, partition, span, groups, _ = late[0]
    writing.write_groups(store, model, partition, span, groups, lambda: None)
    assert world.rows().equals(before)
    assert world.rows().num_rows == 50


@pytest.mark.parametrize("fields", ["as before", "gone"])
def test_a_redis_that_lost_the_plan_of_a_cut_loses_no_row(
    world: World, monkeypatch: pytest.MonkeyPatch, fields: str
) -> None:
    """The machine fails in the middle of a cut, and Redis comes back without its last second: the
    files that were written are removed, and the cut that comes again, longer, is archived whole.
    """
    add(world, some(20))
    world.count()
    world.archive()
    key = world.keys.archive(MODEL, 0)
    kept: Any = world.client.dump(key)
    add(world, some(20, first=100))
    world.count()

    def fail(*_: Any) -> None:
        raise OSError("power")

    with monkeypatch.context() as patch:
        patch.setattr(stream_module, "write_head", fail)
        with pytest.raises(DriftgaugeError, match="power"):
            world.archive()
    assert world.rows().num_rows == 40
    world.archiving.checkpoint.release()
    world.client.delete(key)
    if fields == "as before":
        world.client.restore(key, 0, kept)
    world.archiver()
    assert world.rows().num_rows == 20
    add(world, some(10, first=200))
    world.count()
    world.archive()
    assert max(world.ids().values()) == 1
    assert world.rows().num_rows == world.events == 50


def test_a_redis_that_went_back_gives_no_row_twice(world: World) -> None:
    """Redis comes back as it was some seconds ago: what is sent again gets new ids, and the rows
    that were archived meanwhile are removed.
    """
    add(world, some(20))
    world.count()
    world.archive()
    keys = [world.keys.archive(MODEL, 0), world.keys.count(MODEL, 0), world.log]
    kept = {key: world.client.dump(key) for key in (*keys, world.keys.panes(MODEL, 0))}
    add(world, some(20, first=100))
    world.count()
    world.archive()
    assert world.rows().num_rows == 40
    world.archiving.checkpoint.release()
    for key, packed in kept.items():
        world.client.delete(key)
        if packed is not None:
            world.client.restore(key, 0, packed)
    world.counting.load()
    world.archiver()
    assert world.rows().num_rows == 20
    add(world, some(25, first=100))
    world.count()
    world.archive()
    assert max(world.ids().values()) == 1
    assert world.rows().num_rows == world.events == 45


def test_a_lost_checkpoint_is_found_again_in_the_archive(world: World) -> None:
    """Without its key in Redis the next owner goes on where the archive ends."""
    add(world, some(20))
    world.count()
    world.archive()
    world.client.delete(world.keys.archive(MODEL, 0))
    add(world, some(10, first=100))
    world.count()
    world.archiver()
    world.archive()
    assert max(world.ids().values()) == 1
    assert world.rows().num_rows == 30


def test_what_the_log_could_not_keep_is_counted_as_missing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is shortened before the archive has read it: exactly those predictions are told."""
    add(world, some(20))
    world.count()
    world.archive()
    add(world, some(30, first=100))
    world.count()
    ids = [entry_id for entry_id, _ in world.client.xrange(world.log)]
    world.client.xtrim(world.log, minid=ids[27], approximate=False)
    world.archive()
    assert world.archiving.archived.missing == 7
    assert "7 predictions left the log before they could be archived" in caplog.text
    add(world, some(5, first=200))
    world.count()
    world.archive()
    assert world.archiving.archived.missing == 7
    assert world.rows().num_rows == world.events - 7


def test_the_log_waits_for_the_archive_but_not_for_ever(world: World) -> None:
    """The group that counting looks at before it trims stands where the archive is, and at most
    `archive_lag_hours` behind.
    """

    def group() -> int:
        found: Any = world.client.xinfo_groups(world.log)
        told = next(one for one in found if one["name"] == b"archive")
        return int(told["last-delivered-id"].split(b"-")[0])

    add(world, some(10))
    world.count()
    world.archiver(archive_seconds=3600.0)
    world.archiving.turn()
    assert group() == 0 or group() < int(time.time() * 1000) - 71 * 3_600_000
    assert world.counting._readers.by_name() == {"archive": group()}
    world.archiver(archive_seconds=3600.0, archive_lag_hours=1e-6)
    assert group() > int(time.time() * 1000) - 60_000
    world.archiver()
    world.archive()
    last, _ = world.client.xrevrange(world.log, count=1)[0]
    assert group() == int(last.split(b"-")[0])


def test_archiving_begins_where_it_is_known_what_was_counted(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """What an earlier release counted without noting its repetitions is not archived."""
    world = World(client, redis_url, keys, tmp_path)
    try:
        add(world, some(10))
        world.count()
        client.delete(keys.uncounted(MODEL, 0))
        client.delete(keys.archive(MODEL, 0))
        world.counting.load()
        add(world, some(5, first=100))
        world.count()
        world.archiver()
        world.archive()
        assert world.rows().num_rows == 5
    finally:
        world.close()


def test_a_cut_is_written_when_it_has_its_rows_or_its_age(world: World) -> None:
    """Whichever comes first: memory is bounded by the one, delay by the other."""
    world.archiver(archive_seconds=3600.0, archive_rows=10)
    add(world, some(9))
    world.count()
    for _ in range(3):
        assert not world.archiving.turn()
    assert not world.rows().num_rows
    add(world, some(16, first=100))
    world.count()
    while world.archiving.turn():
        pass
    assert world.rows().num_rows == 25
    add(world, some(3, first=200))
    world.count()
    assert not world.archiving.turn()
    assert world.rows().num_rows == 25
    world.archiver(archive_seconds=1e-9, archive_rows=10)
    world.archive()
    assert world.rows().num_rows == 28


def test_a_store_that_fails_delays_the_archive_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full or away, it stops counting never; once it answers, nothing is missing or twice."""

    def full(*_: Any) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "create", full)
        for first in (1, 100, 200):
            add(world, some(10, first=first))
            world.count()
            with pytest.raises(DriftgaugeError, match="No space"):
                world.archive()
            assert world.events == 10 * (1 + first // 100)
    world.archiver()
    world.archive()
    assert max(world.ids().values()) == 1
    assert world.rows().num_rows == 30
    assert world.archiving.archived.missing == 0


def test_object_storage_is_an_archive_too(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """The same rows, also when a cut is written again, in a bucket."""
    pytest.importorskip("moto", reason="no moto: pip install -e '.[test]'")
    with bucket() as url:
        world = World(client, redis_url, keys, tmp_path, open_store(f"{url}/archive"))
        try:
            add(world, some(10))
            world.count()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(stream_module, "write_head", full_bucket)
                with pytest.raises(DriftgaugeError, match="SlowDown"):
                    world.archive()
            world.archiver()
            world.archive()
            assert world.rows().num_rows == 10
        finally:
            world.close()


def full_bucket(*_: Any) -> None:
    raise OSError(None, "SlowDown")


def test_rows_lie_in_the_folder_of_their_day(world: World) -> None:
    """The date of a folder is that of the predictions' own times, so a range of days is found by
    its folders.
    """
    noon = int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS // 2
    add(world, [event(noon - day * DAY_MS, 1 + day, ROW) for day in range(3)])
    world.count()
    world.archive()
    found = sorted(path.parent.name for path in world.folder.glob("predictions/*/*/*.parquet"))
    assert len(set(found)) == 3
    assert world.rows(since=noon).num_rows == 1
    assert world.rows(since=noon - DAY_MS, until=noon).num_rows == 1
    assert world.rows(until=noon).num_rows == 2
