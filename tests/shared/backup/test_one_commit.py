"""What was saved of a slot belongs to one commit, whatever is written meanwhile."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.counting.state import Position
from driftgauge.consumer.judging.state import Progress
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.backup import backing_up
from driftgauge.shared.backup.records import Record
from driftgauge.shared.backup.writing import Chunks
from driftgauge.shared.connections.keyspace import Slot
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import OwnershipLost
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.shared.backup.conftest import put_back, save

LEASE_MS = 60_000


def during(monkeypatch: pytest.MonkeyPatch, happens: Callable[[str], None]) -> None:
    """Let something happen whenever a record has been read."""
    add = Chunks.add

    def adding(chunks: Chunks, record: Record) -> None:
        happens(record.key)
        add(chunks, record)

    monkeypatch.setattr(Chunks, "add", adding)


def counting(client: redis.Redis, keys: Keys) -> Checkpoint:
    made = Checkpoint(
        client, keys.count(MODEL, 0), keys.owner(MODEL, 0), keys.epoch(MODEL, 0), LEASE_MS
    )
    assert made.acquire()
    made.load()
    return made


def commit(checkpoint: Checkpoint, keys: Keys, number: int) -> None:
    """Commit a number to the checkpoint, to a hash beside it and to the panes."""

    def write(pipe: Any) -> None:
        pipe.hset(keys.pending(MODEL, 0, 1), "number", number)
        pipe.xadd(keys.panes(MODEL, 0), {"number": number}, id=f"{number}-0")

    checkpoint.commit({b"number": str(number).encode()}, write)


def numbers(client: redis.Redis, keys: Keys) -> set[bytes | None]:
    """Return the numbers that stand in the keys of a slot: one, if they are of one commit."""
    last: Any = client.xrevrange(keys.panes(MODEL, 0), count=1)
    hashes = keys.count(MODEL, 0), keys.pending(MODEL, 0, 1)
    return {*(client.hget(key, "number") for key in hashes), last[0][1][b"number"]}


def test_a_commit_in_the_middle_is_read_whole(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a stage commits while its slot is read, the slot is read again: checkpoint, keys beside it
    and panes are those of one commit.
    """
    checkpoint = counting(client, keys)
    commit(checkpoint, keys, 1)
    left = [2, 3]

    def happens(key: str) -> None:
        if key == keys.count(MODEL, 0) and left:
            commit(checkpoint, keys, left.pop(0))

    during(monkeypatch, happens)
    save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    assert left == []
    assert numbers(other, keys) == {b"3"}
    assert client.get(keys.owner(MODEL, 0)) == checkpoint.token


def test_a_stage_that_commits_all_the_time_stands_still(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If commits come faster than a slot can be read, its lease is taken, its worker cannot commit,
    and the lease is free when the slot was read.
    """
    checkpoint = counting(client, keys)
    commit(checkpoint, keys, 1)
    number, refused = 1, 0

    def happens(key: str) -> None:
        nonlocal number, refused
        if key == keys.count(MODEL, 0):
            try:
                commit(checkpoint, keys, number + 1)
                number += 1
            except OwnershipLost:
                refused += 1

    during(monkeypatch, happens)
    save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    assert (number, refused) == (4, 1)
    assert numbers(other, keys) == {b"4"}
    assert client.get(keys.owner(MODEL, 0)) is None


def test_a_key_that_a_commit_has_made_meanwhile_is_kept(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that is new since the keys were listed, such as that of the next day, and a checkpoint
    that was made since then, are part of the backup: with all else of their commits.
    """
    checkpoint = counting(client, keys)
    commit(checkpoint, keys, 1)
    client.xadd(keys.alerts(MODEL), {"e": "{}"})
    list_keys = backing_up.listed

    def listing(nodes: Nodes, names: Keys) -> list[Slot]:
        found = list_keys(nodes, names)
        checkpoint.commit({b"number": b"2"}, lambda pipe: pipe.set(keys.ids(MODEL, 0, 9), "x"))
        client.hset(keys.judge(MODEL), mapping={"format": "3", "commit": "1"})
        return found

    monkeypatch.setattr(backing_up, "listed", listing)
    save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    assert other.hget(keys.count(MODEL, 0), "number") == b"2"
    assert other.get(keys.ids(MODEL, 0, 9)) == b"x"
    assert other.hget(keys.judge(MODEL), "commit") == b"1"


def test_a_log_that_is_trimmed_too_far_is_read_again(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If events were counted and trimmed, because Redis is full, after the checkpoint was read that
    lacks them, the slot is read again: no event is in neither.
    """
    checkpoint, log = counting(client, keys), keys.log(MODEL, 0)
    ids: list[Any] = [client.xadd(log, {"t": "k"}) for _ in range(100)]
    checkpoint.commit({b"offset": ids[9]}, lambda _: None)
    left = [1]

    def happens(key: str) -> None:
        if key == log and left:
            left.pop()
            checkpoint.commit({b"offset": ids[49]}, lambda _: None)
            client.xtrim(log, minid=ids[50], approximate=False)

    during(monkeypatch, happens)
    save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    assert other.hget(keys.count(MODEL, 0), "offset") == ids[49]
    assert [entry_id for entry_id, _ in other.xrange(log)] == ids[50:]


def test_backups_under_load(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
) -> None:
    """Backups that are made while events come and are counted: in each, judging is not ahead of the
    panes, and a worker that goes on from it has counted every event once when all of them were sent
    again.
    """
    publish(client, keys)
    log = events(1, 4000, int(time.time() * 1000) - 100_000)
    stop = threading.Event()

    def feed() -> None:
        for start in range(0, len(log), 20):
            append(client, keys.log(MODEL, 0), log[start : start + 20], with_ids=False)
            stop.wait(0.01)

    feeding = threading.Thread(target=feed)
    with worker_thread(settings_of(redis_url, keys, pane_events=50)):
        feeding.start()
        for number in range(6):
            wait_for(lambda reached=600 * number: arrived(client, keys) >= reached, "some events")
            save(redis_url, keys, tmp_path / f"{number}")
        stop.set()
        feeding.join()
        wait_for(lambda: arrived(client, keys) == 4000 and judged_all(client, keys), "all")
    counted = []
    for number in range(6):
        put_back(other_server.url, keys, tmp_path / f"{number}", replace=True)
        counted.append(counters(other, keys).events)
        last: Any = other.xrevrange(keys.panes(MODEL, 0), count=1)
        state: Any = other.hget(keys.count(MODEL, 0), "state")
        judged: Any = other.hget(keys.judge(MODEL), "state")
        if state and last:
            position = msgspec.msgpack.decode(state, type=Position)
            assert EntryId.parse(last[0][0]) == EntryId(position.closed, position.written)
        if judged:
            reached = msgspec.json.decode(judged, type=Progress).offsets.get(0, "0-0")
            assert EntryId.parse(reached) <= EntryId.parse(last[0][0])
    assert counted == sorted(counted)
    assert len(set(counted)) > 3
    waiting = other.xlen(keys.log(MODEL, 0))
    with worker_thread(settings_of(other_server.url, keys, pane_events=50)):
        append(other, keys.log(MODEL, 0), log, with_ids=False)
        total = counted[-1] + waiting + 4000
        wait_for(lambda: arrived(other, keys) == total and judged_all(other, keys), "all again")
    found = counters(other, keys)
    assert (found.events, found.missing, found.dead) == (4000, 0, 0)
