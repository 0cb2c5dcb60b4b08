"""Exactly once: what a worker that is killed again and again has counted in the end."""

import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane
from tests.consumer.builders import CountingPolicy, cell_map, count, raw
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

EVENTS = 20_000
KILLS = 5
VERSIONS = {"1.0.0": cell_map(PUBLISHED)}


def stream_of(client: redis.Redis, key: str) -> list[Any]:
    return list(client.xrange(key))  # type: ignore[arg-type]


def log_entries(client: redis.Redis, keys: Keys) -> list[tuple[bytes, list[bytes]]]:
    return [
        (entry_id, [part for pair in fields.items() for part in pair])
        for entry_id, fields in stream_of(client, keys.log(MODEL, 0))
    ]


@pytest.mark.long
def test_kill_9_changes_nothing(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A worker killed with kill -9 at five instants of 20,000 events counts every cell and raises
    every alert as one that was never disturbed: no event is lost, none counted twice, no alert
    repeated.
    """
    random = np.random.default_rng(42)
    publish(client, keys)
    start_ms = int(time.time() * 1000) - EVENTS * 20
    log = events(1, EVENTS, start_ms, shift_from=12_000)
    log.insert(5000, raw(f"{start_ms + 20 * 4999}-5000000", 999_999, b"{", b"other"))
    for place in sorted(
        random.choice(np.arange(100, EVENTS), 20, replace=False).tolist(), reverse=True
    ):
        entry_id, fields = log[place]
        log.insert(place + 1, (entry_id + b"1", fields))  # sent twice
    append(client, keys.log(MODEL, 0), log)
    settings = settings_of(redis_url, keys)

    killed_at = []
    for progress in random.integers(1, 2500, KILLS).tolist():
        worker = worker_process(settings, tmp_path / "worker.log")
        least = min(arrived(client, keys) + progress, len(log))
        wait_for(lambda at=least: arrived(client, keys) >= at, f"{least} events", pause_s=0.0005)
        end(worker, signal.SIGKILL)
        killed_at.append(arrived(client, keys))
    assert sum(at < len(log) for at in killed_at) >= 3, (
        "the worker was too quick to be killed at work"
    )
    worker = worker_process(settings, tmp_path / "worker.log")
    wait_for(
        lambda: arrived(client, keys) >= len(log) and judged_all(client, keys), "the end of the log"
    )
    assert end(worker) == 0
    wait_for(lambda: judged_all(client, keys), "judging")
    assert "Traceback" not in (tmp_path / "worker.log").read_text()

    found = counters(client, keys)
    assert (found.events, found.duplicates, found.dead) == (EVENTS, 20, 1)
    assert client.xlen(keys.dead(MODEL, 0)) == 1
    entries = log_entries(client, keys)
    batch = count(entries, VERSIONS, CountingPolicy(expected_events_per_day=5000))
    fields: dict[bytes, bytes] = client.hgetall(keys.count(MODEL, 0))  # type: ignore[assignment]
    counted = [pane.decode(entry[b"b"]) for _, entry in stream_of(client, keys.panes(MODEL, 0))]
    assert counted == [entry for _, _, entry in batch.panes]
    assert {
        name: value
        for name, value in fields.items()
        if name not in {b"format", b"commit", b"checksum", b"offset"}
    } == batch.fields
    assert (
        sum(entry.events for entry in counted if isinstance(entry, Pane)) + (_open(batch) or 0)
        == EVENTS
    )

    twin = Keys(f"{keys.prefix}-twin")
    publish(client, twin)
    append(client, twin.log(MODEL, 0), entries)
    with worker_thread(settings_of(redis_url, twin)):
        wait_for(
            lambda: arrived(client, twin) >= len(log) and judged_all(client, twin),
            "the undisturbed run",
        )
        wait_for(lambda: _last(client, twin) >= _last(client, keys), "as many panes")
    alerts = [entry[b"e"] for _, entry in stream_of(client, keys.alerts(MODEL))]
    assert (
        alerts == [entry[b"e"] for _, entry in stream_of(client, twin.alerts(MODEL))][: len(alerts)]
    )
    assert {msgspec.json.decode(alert)["data"]["state"] for alert in alerts} >= {"firing"}
    snapshots = [entry[b"e"] for _, entry in stream_of(client, keys.snapshots(MODEL))]
    assert (
        snapshots
        == [entry[b"e"] for _, entry in stream_of(client, twin.snapshots(MODEL))][: len(snapshots)]
    )
    assert len({msgspec.json.decode(alert)["id"] for alert in alerts}) == len(alerts)
    assert JudgingPolicy().window_events == 2000


def _open(batch: Any) -> int:
    state = batch.state(VERSIONS)
    return state.pane.events if state.pane else 0


def _last(client: redis.Redis, keys: Keys) -> tuple[int, ...]:
    last: Any = client.xrevrange(keys.panes(MODEL, 0), count=1)
    return tuple(map(int, last[0][0].split(b"-"))) if last else (0, 0)
