"""The worker on a real Redis: what it does when models, neighbours, servers and signals come and
go.
"""

import logging
import signal
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.stages import counting as counting_stage
from driftgauge.consumer.stages import judging as judging_stage
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import FORMAT, OLDEST_FORMAT, Keys
from driftgauge.shared.contract.pane import Block, Pane, encode, pack_counts
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.settings import Settings
from tests.consumer.judging import builders
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    counters,
    end,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)


def now_ms() -> int:
    return int(time.time() * 1000)


def test_from_the_log_to_an_alert(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """Events become counts, panes, a firing alert, a snapshot and a current state, and the group
    shows the progress.
    """
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 6000, now_ms() - 200_000, shift_from=3000))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 6000 and judged_all(client, keys), "6,000 events")
    alerts = [msgspec.json.decode(fields[b"e"]) for _, fields in client.xrange(keys.alerts(MODEL))]
    firing = [alert["data"] for alert in alerts if alert["type"] == "driftgauge.alert.firing"]
    assert {alert["feature"] for alert in firing if not alert["segment"]} == {"smooth"}
    assert not [
        alert
        for alert in firing
        if alert["segment"] and (alert["notify"] or not alert["inhibited_by"])
    ]
    assert {alert["rule"] for alert in firing} >= {"adwin", "psi"}
    current = msgspec.json.decode(client.hget(keys.current(MODEL), "1.0.0"))
    assert current["severity"] == "critical"
    assert client.xlen(keys.snapshots(MODEL)) >= len({alert["snapshot"] for alert in firing})
    group: Any = client.xinfo_groups(keys.log(MODEL, 0))[0]
    last: Any = client.xrevrange(keys.log(MODEL, 0), count=1)[0][0]
    assert (group["name"], group["last-delivered-id"]) == (b"monitor", last)


def test_dead_letters_written_by_hand(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """Whatever somebody XADDs to the log stops nothing: each is one dead letter with reason, id and
    its own fields.
    """
    publish(client, keys)
    log = keys.log(MODEL, 0)
    good = events(1, 3, now_ms() - 1000)
    client.xadd(log, {"hello": "world"})
    client.xadd(log, {"t": "p", "p": "me", "s": "1", "e": "{"})
    client.xadd(log, {"t": "p", "p": "me", "s": "99999999999999999999999", "e": b"\xff"})
    client.execute_command(
        "XADD", log, "*", b"t", b"p", b"p", b"me", b"s", b"2", b"e", b'{"zz":' + b"[" * 99_999
    )
    client.execute_command("XADD", log, "*", b"\xff", b"\x00", b"\xff", b"\x01")
    append(client, log, good, with_ids=False)
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 8, "all entries")
    found = counters(client, keys)
    assert (found.events, found.dead) == (3, 5)
    dead: Any = client.xrange(keys.dead(MODEL, 0))
    ids = [entry_id for entry_id, _ in client.xrange(log)][:5]
    assert [fields[b"entry_id"] for _, fields in dead] == ids
    assert all(fields[b"reason"] for _, fields in dead)
    assert dead[0][1][b"hello"] == b"world"


def test_two_workers_share_without_counting_twice(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Of two workers one owns a partition; when it goes the other takes over, and every event is
    counted once.
    """
    publish(client, keys)
    entries = events(1, 4000, now_ms() - 100_000)
    append(client, keys.log(MODEL, 0), entries[:2000])
    with worker_thread(settings_of(redis_url, keys)):
        with worker_thread(settings_of(redis_url, keys)):
            wait_for(lambda: arrived(client, keys) == 2000, "the first half")
        append(client, keys.log(MODEL, 0), entries[2000:])
        wait_for(lambda: arrived(client, keys) == 4000, "the second half")
    assert counters(client, keys).events == 4000
    assert counters(client, keys).duplicates == 0


def test_a_stolen_lease_is_noticed(
    client: redis.Redis, redis_url: str, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker whose lease somebody else has stops writing at once, and goes on from the checkpoint
    when it is free.
    """
    caplog.set_level(logging.INFO, "driftgauge.worker")
    publish(client, keys)
    entries = events(1, 2000, now_ms() - 50_000)
    append(client, keys.log(MODEL, 0), entries[:1000])
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 1000, "the first half")
        client.set(keys.owner(MODEL, 0), "thief", px=700)
        append(client, keys.log(MODEL, 0), entries[1000:])
        wait_for(lambda: "Another worker owns" in caplog.text, "the loss to be noticed")
        assert counters(client, keys).events == 1000
        wait_for(lambda: arrived(client, keys) == 2000, "the second half")
    assert counters(client, keys).events == 2000


def test_killed_connections_lose_nothing(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """Connections that Redis closes in the middle of the work, 30 times, neither lose nor double an
    event.
    """
    publish(client, keys)
    entries = events(1, 6000, now_ms() - 150_000)
    mine = client.client_id()
    with worker_thread(settings_of(redis_url, keys)):
        for start in range(0, 6000, 200):
            append(client, keys.log(MODEL, 0), entries[start : start + 200])
            for found in client.client_list():
                if int(found["id"]) != mine:
                    client.client_kill_filter(_id=found["id"])
        wait_for(lambda: arrived(client, keys) == 6000, "all events")
    found = counters(client, keys)
    assert (found.events, found.duplicates, found.missing) == (6000, 0, 0)


def test_a_model_published_later_is_found(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """A worker needs no restart for a new model: it was running before the model existed."""
    with worker_thread(settings_of(redis_url, keys)):
        publish(client, keys)
        append(client, keys.log(MODEL, 0), events(1, 100, now_ms() - 5000))
        wait_for(lambda: arrived(client, keys) == 100, "the new model's events")
        publish(client, keys, "second")
        append(client, keys.log("second", 0), events(1, 50, now_ms() - 5000))
        wait_for(lambda: arrived(client, keys, "second") == 50, "the second model's events")


def test_sigterm_commits_and_hands_over_at_once(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """SIGTERM commits what was counted and gives the lease back, though it and the next commit are
    a minute away.
    """
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 700, now_ms() - 15_000))
    settings = settings_of(
        redis_url, keys, lease_ms=60_000, commit_ms=60_000, log_retention_hours=1000.0
    )
    process = worker_process(settings, tmp_path / "worker.log")
    wait_for(lambda: client.exists(keys.owner(MODEL, 0)), "the lease")
    # nothing tells from outside that the first entries were read before their commit: the group
    # shows that it was loaded
    wait_for(
        lambda: client.exists(keys.log(MODEL, 0)) and client.xinfo_groups(keys.log(MODEL, 0)),
        "the stage",
    )
    started = time.monotonic()
    assert end(process, signal.SIGTERM) == 0
    assert time.monotonic() - started < 30
    assert not client.exists(keys.owner(MODEL, 0))
    assert not client.exists(keys.judge_owner(MODEL))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 700, "all events")
    assert counters(client, keys).duplicates == 0


def test_a_signal_finds_the_event_locked(redis_url: str, keys: Keys) -> None:
    """SIGTERM is obeyed even if it interrupts the main thread while that holds the lock of the
    event it waits for.
    """
    worker = Worker(Settings(**settings_of(redis_url, keys)))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.stop_on_signals()
        with worker.stop._cond:
            signal.raise_signal(signal.SIGTERM)
        assert worker.stop.wait(60)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_idle_log_gets_ticks_that_close_its_panes(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing comes any more, time still passes in the log, and the last pane closes."""
    monkeypatch.setattr(counting_stage, "IDLE_TICK_S", 0.2)
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 30, now_ms() - 700))
    with worker_thread(settings_of(redis_url, keys, pane_seconds=1)):
        wait_for(
            lambda: (
                client.xlen(keys.current(MODEL))
                if client.type(keys.current(MODEL)) == b"stream"
                else client.hget(keys.current(MODEL), "1.0.0")
            ),
            "the last pane to be judged",
        )
    current = msgspec.json.decode(client.hget(keys.current(MODEL), "1.0.0"))
    assert (current["window"]["rows"], current["severity"]) == (30, "insufficient_data")
    assert counters(client, keys).dead == 0


def test_a_frozen_clock_stalls_no_pane(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events whose time stands still close panes all the same, while they keep coming: a tick is
    due to a full pane.
    """
    monkeypatch.setattr(counting_stage, "FULL_PANE_TICK_S", 0.2)
    publish(client, keys)
    frozen = now_ms() - 86_400_000
    row = events(1, 1, frozen)[0][1]
    payload = row[7]
    number = 0
    with worker_thread(settings_of(redis_url, keys, pane_events=50)):

        def panes_come() -> bool:
            nonlocal number
            number += 1
            fields = [*row[:5], str(number).encode(), b"e", payload]
            client.execute_command("XADD", keys.log(MODEL, 0), "*", *fields)
            return bool(client.xlen(keys.panes(MODEL, 0)) >= 6)

        wait_for(panes_come, "panes of a frozen clock", pause_s=0.005)
        wait_for(lambda: counters(client, keys).events == number, "all events")
    assert counters(client, keys).dead == 0
    assert any(fields[b"t"] == b"k" for _, fields in client.xrange(keys.log(MODEL, 0)))


LONG_LEASE: Final = 60_000
"""Lease (ms) of stages that a test drives by hand: nobody renews it."""


def stage(redis_url: str, keys: Keys) -> CountingStage:
    settings = Settings(**settings_of(redis_url, keys, lease_ms=LONG_LEASE))
    return CountingStage(
        raw_reads(connect(redis_url, single_connection_client=True)),
        settings,
        MODEL,
        CountingPolicy(),
    )


def test_a_log_that_went_back_continues_behind_the_offset(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """When the server came back with an older log, new entries get ids behind the offset, so that
    none is passed over.
    """
    publish(client, keys)
    log = keys.log(MODEL, 0)
    future = now_ms() + 3_600_000
    append(client, log, events(1, 100, future))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 100, "the first events")
    offset = client.hget(keys.count(MODEL, 0), "offset")
    client.delete(log)
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(
            lambda: client.exists(log) and client.xinfo_stream(log)["last-generated-id"] >= offset,
            "XSETID",
        )
        append(client, log, events(2, 50, now_ms(), first=101), with_ids=False)
        wait_for(lambda: arrived(client, keys) == 150, "the events after it")
    assert counters(client, keys).events == 150


@pytest.mark.parametrize("name", ["log", "panes", "dead"])
def test_counting_refuses_keys_of_another_type(
    name: str, client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """A key that is not what it should be is refused before anything is written; the message names
    it.
    """
    key = getattr(keys, name)(MODEL, 0)
    client.set(key, "mine")
    found = stage(redis_url, keys)
    assert found.checkpoint.acquire()
    with pytest.raises(BadData, match=f"{key} is a string in Redis, not a stream"):
        found.load()
    assert client.get(key) == b"mine"
    found.client.close()


@pytest.mark.parametrize(
    ("name", "wanted"), [("alerts", "stream"), ("snapshots", "stream"), ("current", "hash")]
)
def test_judging_refuses_keys_of_another_type(
    name: str, wanted: str, client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """The same for judging: inside a transaction such an error would lose an alert."""
    key = getattr(keys, name)(MODEL)
    client.set(key, "mine")
    found = JudgingStage(
        connect(redis_url),
        Settings(**settings_of(redis_url, keys, lease_ms=LONG_LEASE)),
        MODEL,
        1,
        JudgingPolicy(),
    )
    with pytest.raises(BadData, match=f"{key} is a string in Redis, not a {wanted}"):
        found.load()
    found.client.close()


def test_panes_wait_for_a_registration_that_is_gone(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """While no version of a model is published any more, as after FLUSHALL, its panes are no fault
    of their own: judging says what is gone, and goes on when the API has registered it again.
    """
    started = now_ms() - 100_000
    cells = pack_counts(np.zeros(int(PUBLISHED.reference.offsets[-1]), dtype=np.int64))
    pane = Pane(0, 1, started, started, 5, 5, None, {"1.0.0": Block(5, cells, b"", {})})
    client.xadd(keys.panes(MODEL, 0), {"b": encode(pane)}, id="1-0")

    def judge() -> None:
        made = JudgingStage(
            raw_reads(connect(redis_url)),
            Settings(**settings_of(redis_url, keys, lease_ms=LONG_LEASE)),
            MODEL,
            1,
            JudgingPolicy(),
        )
        try:
            assert made.checkpoint.acquire()
            made.load()
            made.turn()
        finally:
            client.delete(keys.judge_owner(MODEL))
            made.close()

    with pytest.raises(BadData, match="versions is gone"):
        judge()
    assert not client.exists(keys.judge_dead(MODEL))
    publish(client, keys)
    judge()
    state: Any = client.hget(keys.judge(MODEL), "state")
    assert msgspec.json.decode(state)["judged"] == 1


def test_panes_that_went_back_are_reported_at_once(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """When a shard comes back with older panes, the judge's checkpoint says so once, though nothing
    new comes yet.
    """
    publish(client, keys)
    client.xadd(keys.panes(MODEL, 0), {"b": "x"}, id="3-0")
    client.hset(
        keys.judge(MODEL),
        mapping={"format": OLDEST_FORMAT, "commit": 4, "state": '{"offsets":{"0":"9-0"}}'},
    )
    for _ in range(2):
        found = JudgingStage(
            connect(redis_url),
            Settings(**settings_of(redis_url, keys, lease_ms=LONG_LEASE)),
            MODEL,
            1,
            JudgingPolicy(),
        )
        assert found.checkpoint.acquire()
        found.load()
        found.close()
        state: Any = client.hget(keys.judge(MODEL), "state")
        assert msgspec.json.decode(state)["rolled_back"] == {"0": 1}
    assert client.hget(keys.judge(MODEL), "commit") == b"6"  # one of them migrated it


def test_alerts_from_before_an_upgrade_are_told_as_incidents_once(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """A checkpoint of the former format, without incidents, whose alerts fire: loading it writes
    them to the stream and to the open ones in one commit, and loading it again writes nothing.
    """
    client.hset(keys.versions(MODEL), "1.0.0", builders.PUBLISHED["1.0.0"].pack())
    drifting = builders.Stream(np.random.default_rng(0)).panes(8).panes(6, shift=1.0)
    fields = builders.judge(drifting.entries).fields
    former = {name: one for name, one in fields.items() if not name.startswith(b"incident:")}
    client.hset(keys.judge(MODEL), mapping={**former, "format": OLDEST_FORMAT, "commit": 4})
    client.xadd(keys.panes(MODEL, 0), {"b": "x"}, id="14-0")
    for _ in range(2):
        found = JudgingStage(
            connect(redis_url),
            Settings(**settings_of(redis_url, keys, lease_ms=LONG_LEASE)),
            MODEL,
            1,
            JudgingPolicy(),
        )
        assert found.checkpoint.acquire()
        found.load()
        found.close()
        client.delete(keys.judge_owner(MODEL))
        ((_, event),) = client.xrange(keys.incidents(MODEL))
        assert list(client.hgetall(keys.open_incidents(MODEL)).values()) == [event[b"e"]]
        assert client.hget(keys.judge(MODEL), "commit") == b"6"  # one of them migrated it
    told = msgspec.json.decode(event[b"e"])
    assert told["type"] == "driftgauge.incident.opened"
    assert told["data"]["features"] == ["smooth"]
    assert client.hget(keys.judge(MODEL), "format") == FORMAT


def test_a_backlog_that_takes_longer_than_a_lease_is_judged(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the judging of all that waits takes, it goes on in parts that fit into the
    lease, and loses none.
    """
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 900, now_ms() - 500_000))
    settings = settings_of(redis_url, keys) | {"pane_events": 2, "lease_ms": 400}
    monkeypatch.setattr(
        judging_stage.JudgingStage,
        "turn",
        lambda stage: time.sleep(0.02) or stage.checkpoint.renew(),
    )
    with worker_thread(settings):
        wait_for(lambda: arrived(client, keys) == 900, "the panes")
    monkeypatch.undo()
    took = judging_stage.advance

    def slow(state: Any, entries: Any, *rest: Any) -> Any:
        time.sleep(0.08 * len(entries))
        return took(state, entries, *rest)

    monkeypatch.setattr(judging_stage, "advance", slow)
    assert client.xlen(keys.panes(MODEL, 0)) * 0.08 > 2 * 0.4
    with worker_thread(settings):
        wait_for(lambda: judged_all(client, keys), "all panes to be judged")


def test_redis_goes_away_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keys: Keys
) -> None:
    """While Redis is away the worker waits and says so once; when it is back with its append-only
    file it goes on.
    """
    caplog.set_level(logging.INFO, "driftgauge.worker")
    entries = events(1, 3000, now_ms() - 100_000)
    with EmbeddedRedis(tmp_path / "redis") as server:
        client = connect(server.url)
        publish(client, keys)
        append(client, keys.log(MODEL, 0), entries[:1500])
        with worker_thread(settings_of(server.url, keys)):
            wait_for(lambda: arrived(client, keys) == 1500, "the first half")
            server.stop()
            wait_for(lambda: "Redis does not answer" in caplog.text, "the worker to notice")
            waited = time.monotonic()
            wait_for(lambda: time.monotonic() - waited > 1.5, "several attempts")
            assert not any(record.levelno >= logging.ERROR for record in caplog.records)
            server.start()
            append(client, keys.log(MODEL, 0), entries[1500:])
            wait_for(lambda: arrived(client, keys) == 3000, "the second half")
        lost = [record for record in caplog.records if "Redis does not answer" in record.message]
        back = [record for record in caplog.records if "Redis answers again" in record.message]
        assert (len(lost), len(back)) == (1, 1)
        found = counters(client, keys)
        assert (found.events, found.duplicates) == (3000, 0)
        client.close()


def test_a_checkpoint_of_another_format_is_told_once(
    client: redis.Redis, redis_url: str, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """A stage that cannot start says why once, however often it tries; when the cause is gone it
    counts.
    """
    caplog.set_level(logging.INFO, "driftgauge.worker")
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 300, now_ms() - 10_000))
    client.hset(keys.count(MODEL, 0), mapping={"format": "99", "commit": "1"})
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: int(client.get(keys.epoch(MODEL, 0)) or 0) >= 3, "three attempts")
        assert sum("has format 99" in record.message for record in caplog.records) == 1
        client.delete(keys.count(MODEL, 0))
        wait_for(lambda: arrived(client, keys) == 300, "the events, once the checkpoint is gone")
