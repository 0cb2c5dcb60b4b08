"""Labels with real workers on a real Redis: what is joined in the end, and what a commit leaves
behind.
"""

import signal
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import redis
from sklearn.metrics import mean_absolute_error

from driftgauge.consumer.counting.entries.client_ids import digest_of
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.running.settled import counting_policy
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.events import Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Delta, Pane
from driftgauge.shared.performance import Sums
from driftgauge.shared.performance.exact import value_of
from driftgauge.shared.settings import Settings
from tests.consumer.builders import event, tick, traffic
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    counters,
    end,
    settings_of,
    wait_for,
    worker_process,
)

LABELLED = msgspec.structs.replace(
    PUBLISHED, manifest=msgspec.structs.replace(PUBLISHED.manifest, labels=True)
)
LAYOUT = CellMap(LABELLED.schema, LABELLED.reference, labels=True).layout
EVENTS = 3000
KILLS = 3
DAY_MS = 86_400_000


def publish(client: redis.Redis, keys: Keys) -> None:
    client.hset(keys.versions(MODEL), "1.0.0", LABELLED.pack())
    client.sadd(keys.models, MODEL)


def label(ms: int, number: int, of: str, value: float) -> Entry:
    payload = encode(Label(of, value, ms))
    return f"{ms}-{number}".encode(), [
        b"t",
        b"l",
        b"p",
        b"labels",
        b"s",
        str(number).encode(),
        b"e",
        payload,
    ]


def labelled_log(
    seed: int, start_ms: int
) -> tuple[list[Entry], dict[str, tuple[int, float, float]]]:
    """Draw predictions and their labels: delayed at random, so shuffled; 10 % missing, 5 % doubled,
    3 % corrected, some before their prediction.

    Returns
    -------
    list[Entry], dict[str, tuple[int, float, float]]
        The log; and of each joined row: number of the prediction, prediction, last label.
    """
    random = np.random.default_rng(seed)
    rows, predictions = traffic(random, EVENTS), random.normal(size=EVENTS).tolist()
    timed: list[tuple[int, str, Any]] = []
    joined = {}
    for place, prediction in enumerate(predictions):
        ms, name = start_ms + 20 * place, f"id{place}"
        timed.append((ms, "p", place))
        if random.random() < 0.1:
            continue
        truth = prediction + float(random.normal())
        told = ms + int(random.exponential(15_000)) - int(random.random() < 0.05) * 3000
        timed.append((told, name, truth))
        if random.random() < 0.05:
            timed.append((told + int(random.exponential(5000)), name, truth))
        elif random.random() < 0.03:
            truth += 1
            timed.append((told + 1 + int(random.exponential(5000)), name, truth))
        joined[name] = (place + 1, prediction, truth)
    timed.sort(key=lambda one: one[0])
    log = []
    for number, (ms, kind, content) in enumerate(timed, start=1):
        if kind == "p":
            features, made = rows[content], predictions[content]
            log.append(event(ms, number, features, id=f"id{content}", prediction=made))
        else:
            log.append(label(ms, number, kind, content))
    last = timed[-1][0]
    return [*log, tick(last + 700_000, 0), tick(last + 700_001, 0)], joined


def panes_of(client: redis.Redis, keys: Keys) -> list[pane.PaneEntry]:
    entries: Any = client.xrange(keys.panes(MODEL, 0))
    return [pane.decode(fields[b"b"]) for _, fields in entries]


def told_sums(entries: list[pane.PaneEntry]) -> dict[int, Sums]:
    """Add up the deltas by pane."""
    total: dict[int, Sums] = {}
    for entry in entries:
        for one in entry.revised if isinstance(entry, Delta) else ():
            found = Sums.unpack(one.sums)
            total[one.pane] = total[one.pane] + found if one.pane in total else found
    return total


def dealt_with(client: redis.Redis, keys: Keys) -> int:
    found = counters(client, keys)
    labels = found.labels
    return found.events + labels.joined + labels.repeated + labels.corrected + labels.early


@pytest.mark.long
def test_kill_9_changes_no_join(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A worker killed with kill -9 again and again while labels come delayed, shuffled, doubled,
    corrected and not at all joins each exactly once: every pane's sums are those of exactly its
    joined rows.
    """
    publish(client, keys)
    log, joined = labelled_log(11, int(time.time() * 1000) - 2_000_000)
    append(client, keys.log(MODEL, 0), log)
    settings = settings_of(redis_url, keys, pane_seconds=600)
    random = np.random.default_rng(5)
    killed_at = []
    for progress in random.integers(100, 1500, KILLS).tolist():
        worker = worker_process(settings, tmp_path / "worker.log")
        least = min(dealt_with(client, keys) + progress, len(log) - 2)
        wait_for(
            lambda at=least: dealt_with(client, keys) >= at, f"{least} entries", pause_s=0.0005
        )
        end(worker, signal.SIGKILL)
        killed_at.append(dealt_with(client, keys))
    assert sum(at < len(log) - 2 for at in killed_at) >= 2, (
        "the worker was too quick to be killed at work"
    )
    worker = worker_process(settings, tmp_path / "worker.log")
    wait_for(
        lambda: (
            sum(sums.rows for sums in told_sums(panes_of(client, keys)).values()) >= len(joined)
        ),
        "all joins",
    )
    assert end(worker) == 0
    assert "Traceback" not in (tmp_path / "worker.log").read_text()

    found = counters(client, keys)
    assert (found.events, found.labels.joined, found.dead) == (EVENTS, len(joined), 0)
    assert found.labels.corrected > 0
    assert found.labels.repeated > 0
    entries = panes_of(client, keys)
    ends = [entry.total for entry in entries if isinstance(entry, Pane)]
    by_pane: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for place, prediction, truth in joined.values():
        by_pane[bisect_left(ends, place) + 1].append((prediction, truth))
    sums = told_sums(entries)
    assert sums.keys() == by_pane.keys()
    assert LAYOUT is not None
    for number, rows in by_pane.items():
        predictions, truths = np.array(rows).T
        assert sums[number] == Sums.of(LAYOUT, predictions, truths)
    total = sum((one.total("abs_e") for one in sums.values()), 0)
    everything = np.array([row for rows in by_pane.values() for row in rows])
    mae = float(value_of(total)) / len(joined)
    assert mae == pytest.approx(mean_absolute_error(everything[:, 1], everything[:, 0]), rel=1e-12)
    day = (int(log[0][0].split(b"-")[0])) // DAY_MS
    assert (
        client.hlen(keys.pending(MODEL, 0, day)) + client.hlen(keys.pending(MODEL, 0, day + 1))
        == EVENTS
    )


Start = Callable[..., CountingStage]


@pytest.fixture
def start(client: redis.Redis, redis_url: str, keys: Keys) -> Iterator[Start]:
    """Return a function that starts a stage as a new worker would."""
    publish(client, keys)
    started: list[CountingStage] = []

    def make(**more: Any) -> CountingStage:
        for before in started:
            before.checkpoint.release()
        settings = Settings(**settings_of(redis_url, keys, lease_ms=60_000, **more))
        own = raw_reads(connect(redis_url, single_connection_client=True))
        found = CountingStage(own, settings, MODEL, counting_policy(settings, 0, 1))
        assert found.checkpoint.acquire()
        started.append(found)
        found.load()
        return found

    yield make
    for found in started:
        found.close()


def count_all(stage: CountingStage, client: redis.Redis, keys: Keys, entries: int) -> None:
    def done() -> bool:
        stage.turn()
        stage.finish()
        return dealt_with(client, keys) + counters(client, keys).labels.expired >= entries

    wait_for(done, f"{entries} entries")


def said(ms: int, number: int, of: str) -> Entry:
    return event(ms, number, [0.0, 1.0, 7.0, 0.0, None, "city1"], id=of, prediction=1.0)


def test_what_waits_outlives_the_worker(client: redis.Redis, keys: Keys, start: Start) -> None:
    """The next worker joins a label to a prediction that the last one counted, and a prediction to
    a label that it held; the keys expire by themselves, and an early label's is gone when it is
    joined.
    """
    now = int(time.time() * 1000)
    day, log = now // DAY_MS, keys.log(MODEL, 0)
    append(client, log, [said(now, 1, "a"), label(now, 2, "b", 2.0)])
    count_all(start(), client, keys, 2)
    assert (client.hlen(keys.pending(MODEL, 0, day)), client.hlen(keys.early(MODEL, 0, day))) == (
        1,
        1,
    )
    assert client.ttl(keys.pending(MODEL, 0, day)) > 14 * 86_400
    assert client.ttl(keys.early(MODEL, 0, day)) > 0
    append(client, log, [label(now + 1, 3, "a", 2.0), said(now + 1, 4, "b")])
    count_all(start(), client, keys, 4)
    found = counters(client, keys).labels
    assert (found.joined, found.early, found.waiting) == (2, 0, 2)
    assert not client.exists(keys.early(MODEL, 0, day))


def test_past_days_are_deleted(client: redis.Redis, keys: Keys, start: Start) -> None:
    """When a day is over by the wait, its hash is deleted in the commit that counts what was left
    in it.
    """
    then = int(time.time() * 1000) - 3 * DAY_MS
    append(client, keys.log(MODEL, 0), [said(then, 1, "a")])
    count_all(start(label_wait_hours=20), client, keys, 1)
    assert client.exists(keys.pending(MODEL, 0, then // DAY_MS))
    append(client, keys.log(MODEL, 0), [said(then + 2 * DAY_MS, 2, "b")])
    count_all(start(label_wait_hours=20), client, keys, 2)
    assert not client.exists(keys.pending(MODEL, 0, then // DAY_MS))
    assert counters(client, keys).labels.unlabelled == 1


def test_a_foreign_value_is_named_and_passed_over(
    client: redis.Redis, keys: Keys, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody else wrote among the waiting predictions and labels is named in the log, once,
    and stops nothing.
    """
    now = int(time.time() * 1000)
    append(client, keys.log(MODEL, 0), [said(now, 1, "a")])
    count_all(start(), client, keys, 1)
    client.hset(keys.early(MODEL, 0, now // DAY_MS), "x", "y")
    client.hset(keys.pending(MODEL, 0, now // DAY_MS), digest_of("a"), b"\xc1")
    append(client, keys.log(MODEL, 0), [label(now + 1, 2, "a", 1.0), said(now + 2, 3, "b")])
    count_all(start(), client, keys, 3)
    said_of = (record.getMessage() for record in caplog.records)
    named = [line for line in said_of if "did not write" in line]
    assert len(named) == 2
    assert keys.early(MODEL, 0, now // DAY_MS) in named[0]


def test_labels_alone_let_time_pass(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While only labels come the owner still appends ticks, so that panes close and other
    partitions are not held up.
    """
    monkeypatch.setattr("driftgauge.consumer.stages.counting.IDLE_TICK_S", 0.05)
    now = int(time.time() * 1000)
    stage = start()
    append(client, keys.log(MODEL, 0), [said(now, 1, "a")])
    numbers = iter(range(2, 10_000))

    def ticked() -> bool:
        append(client, keys.log(MODEL, 0), [label(now, next(numbers), "a", 2.0)], with_ids=False)
        stage.turn()
        stage.finish()
        return any(isinstance(entry, pane.Watermark) for entry in panes_of(client, keys))

    wait_for(ticked, "a tick")
