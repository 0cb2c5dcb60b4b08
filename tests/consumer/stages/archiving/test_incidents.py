"""Every transition of an incident is in the archive once, whatever happens between two steps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import redis

from driftgauge.consumer.stages.archiving import stream as module
from driftgauge.consumer.stages.archiving.incidents import Incidents
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.settings import Settings
from tests.consumer.notifying.messages import ALERTS, NOON, incident
from tests.integration.plant import MODEL, settings_of, wait_for

Make = Callable[..., Follower]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archive")


@pytest.fixture
def make(redis_url: str, keys: Keys, store: FolderStore) -> Iterator[Make]:
    """Return a function that makes the stage anew, as a new worker would."""
    found: list[Follower] = []

    def made(seconds: float = 1e-9) -> Follower:
        for one in found:
            one.close()
        given = settings_of(redis_url, keys, archive_seconds=seconds, lease_ms=60_000)
        settings = Settings(**given)
        client = raw_reads(connect(redis_url))
        sink = Incidents(settings, MODEL, store)
        found.append(Follower(client, settings, keys, MODEL, keys.incidents(MODEL), sink))
        assert found[-1].checkpoint.acquire()
        found[-1].load()
        return found[-1]

    yield made
    for one in found:
        one.close()
        one.client.close()


def add(client: redis.Redis, keys: Keys, first: int, number: int = 1, **more: Any) -> None:
    for place in range(first, first + number):
        event = cloud_event(incident(model=MODEL, number=place, **more))
        client.xadd(keys.incidents(MODEL), {"e": event})


def rows(store: FolderStore) -> list[dict[str, Any]]:
    told: list[str] = []
    batches = list(scan(store, "incidents", Range(MODEL), told.append))
    assert not told
    return pa.Table.from_batches(batches).to_pylist() if batches else []  # type: ignore[no-any-return]  # pyarrow has no types


def numbers(store: FolderStore) -> list[int]:
    return [row["number"] for row in rows(store)]


def archive(stage: Follower, client: redis.Redis, keys: Keys) -> None:
    """Archive the whole stream."""
    last = client.xrevrange(keys.incidents(MODEL), count=1)[0][0]

    def done() -> bool:
        stage.turn()
        return client.hget(stage.checkpoint.key, "offset") == last

    wait_for(done, "the archive")


def test_a_transition_is_a_row_with_its_cause_and_alerts(
    make: Make, client: redis.Redis, keys: Keys, store: FolderStore
) -> None:
    """Its times are times, its alerts a list that can be unnested; what cannot be read is left
    out.
    """
    add(client, keys, 1)
    client.xadd(keys.incidents(MODEL), {"e": "{"})
    client.xadd(keys.incidents(MODEL), {"x": "y"})
    add(client, keys, 2, since=10**18)
    add(client, keys, 10**30)
    archive(make(), client, keys)
    (row,) = rows(store)
    assert (row["id"], row["number"], row["change"]) == ("6b3108a1eb9f83ec", 1, "opened")
    assert (row["cause"], row["feature"], row["rule"]) == ("feature", "load", "psi")
    assert row["headline"].startswith("Since 20 Nov 12:01 UTC load reads")
    assert row["time"].timestamp() * 1000 == NOON + 60_000
    assert (row["notify"], row["muted"], row["features"]) == (True, False, ["load"])
    assert [alert["fingerprint"] for alert in row["alerts"]] == [one.fingerprint for one in ALERTS]
    assert row["alerts"][0]["ended"].timestamp() * 1000 == NOON + 1000
    (entry_id, _), *_ = client.xrange(keys.incidents(MODEL))
    assert f"{int(row['entry_time'].timestamp() * 1000)}-{row['entry_number']}" == entry_id.decode()


def test_they_wait_for_their_time_or_their_number(
    make: Make, client: redis.Redis, keys: Keys, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of them are no file each; many are not kept in memory."""
    monkeypatch.setattr(Incidents, "most", 5)
    stage = make(seconds=3600.0)
    add(client, keys, 1, 3)
    stage.turn()
    assert not rows(store)
    add(client, keys, 4, 3)
    stage.turn()
    assert numbers(store) == [1, 2, 3, 4, 5, 6]
    add(client, keys, 7)
    stage.turn()
    archive(make(), client, keys)
    assert numbers(store) == [1, 2, 3, 4, 5, 6, 7]
    assert len(list(Path(store.where()).glob("incidents/*/*/*.parquet"))) == 2


class Killed(Exception):
    pass


def die(*_: Any) -> None:
    raise Killed


@pytest.mark.parametrize("where", ["write_groups", "write_head", "commit"])
def test_a_process_that_dies_between_two_steps_leaves_none_twice(
    make: Make,
    client: redis.Redis,
    keys: Keys,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """After the plan, the files or the head: the next owner writes the same cut, although more
    came meanwhile.
    """
    add(client, keys, 1, 4)
    stage = make()
    with monkeypatch.context() as patch:
        if where == "commit":
            commit = stage._commit
            patch.setattr(stage, "_commit", lambda done: die() if done.offset else commit(done))
        else:
            patch.setattr(module, where, die)
        with pytest.raises(Killed):
            archive(stage, client, keys)
    add(client, keys, 5, 3)
    archive(make(), client, keys)
    assert numbers(store) == [1, 2, 3, 4, 5, 6, 7]


def test_a_redis_that_went_back_gives_no_transition_twice(
    make: Make, client: redis.Redis, keys: Keys, store: FolderStore
) -> None:
    """What it lost of the last seconds is judged again, and written to the stream again."""
    stage = make()
    add(client, keys, 1, 2)
    archive(stage, client, keys)
    names = stage.checkpoint.key, keys.incidents(MODEL)
    kept = {name: client.dump(name) for name in names}
    add(client, keys, 3, 2)
    archive(stage, client, keys)
    assert numbers(store) == [1, 2, 3, 4]
    stage.checkpoint.release()
    for name, packed in kept.items():
        client.delete(name)
        client.restore(name, 0, packed)  # type: ignore[arg-type]  # bytes
    stage = make()
    assert numbers(store) == [1, 2]
    add(client, keys, 3, 4)
    archive(stage, client, keys)
    assert numbers(store) == [1, 2, 3, 4, 5, 6]


def test_a_lost_checkpoint_is_found_again_in_the_archive(
    make: Make, client: redis.Redis, keys: Keys, store: FolderStore
) -> None:
    """Without its key in Redis the next owner goes on where the archive ends."""
    stage = make()
    add(client, keys, 1, 2)
    archive(stage, client, keys)
    client.delete(stage.checkpoint.key)
    add(client, keys, 3)
    archive(make(), client, keys)
    assert numbers(store) == [1, 2, 3]


def test_a_store_that_fails_loses_none(
    make: Make, client: redis.Redis, keys: Keys, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait in their stream."""

    def full(*_: Any) -> bool:
        raise OSError(28, "No space left on device")

    add(client, keys, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "create", full)
        with pytest.raises(DriftgaugeError, match="No space"):
            archive(make(), client, keys)
    archive(make(), client, keys)
    assert numbers(store) == [1, 2]
