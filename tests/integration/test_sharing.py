"""Several workers and partitions on a real Redis: even parts, quick replacement, no zombie
commits.
"""

import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    end,
    events,
    settings_of,
    wait_for,
    worker_process,
    worker_thread,
)

PARTITIONS = 5
LEASE_MS = 1500
LONG_LEASE_MS = 30_000
"""Of a worker that is told to stop: its successor must not wait for it to end."""
STAGES = PARTITIONS + 1


@pytest.fixture
def salted(client: redis.Redis, keys: Keys) -> Keys:
    """Publish a model of several partitions; give its keys."""
    salts = salts_for(MODEL, PARTITIONS)
    manifest = new_manifest(MODEL, "1.0.0", "regression", partitions=PARTITIONS, salts=salts)
    client.hset(
        keys.versions(MODEL),
        "1.0.0",
        PublishedVersion(manifest, PUBLISHED.schema, PUBLISHED.reference).pack(),
    )
    client.sadd(keys.models, MODEL)
    return keys.salted(salts)


def fill(client: redis.Redis, keys: Keys, number: int, first: int = 1) -> None:
    for partition in range(PARTITIONS):
        found = events(partition, number, int(time.time() * 1000) - 20 * number, first=first)
        append(client, keys.log(MODEL, partition), found, with_ids=False)


def counted(client: redis.Redis, keys: Keys) -> list[Counters]:
    packed: list[Any] = [
        client.hget(keys.count(MODEL, partition), "counters") for partition in range(PARTITIONS)
    ]
    return [msgspec.json.decode(found, type=Counters) if found else Counters() for found in packed]


def events_counted(client: redis.Redis, keys: Keys) -> int:
    return sum(found.events for found in counted(client, keys))


def owners(client: redis.Redis, keys: Keys) -> list[bytes | None]:
    """Return the tokens of all leases."""
    names = [
        keys.judge_owner(MODEL),
        *(keys.owner(MODEL, partition) for partition in range(PARTITIONS)),
    ]
    return [client.get(name) for name in names]  # type: ignore[misc]


def epochs(client: redis.Redis, keys: Keys) -> int:
    """How often a lease was taken."""
    names = [
        keys.judge_epoch(MODEL),
        *(keys.epoch(MODEL, partition) for partition in range(PARTITIONS)),
    ]
    return sum(int(client.get(name) or 0) for name in names)  # type: ignore[arg-type]


def part(worker: Any) -> int:
    return len(worker.sharing._owned)


def test_workers_share_evenly_and_settle(
    client: redis.Redis, redis_url: str, keys: Keys, salted: Keys
) -> None:
    """A second worker gets half of the stages, then no lease changes hands any more; when it goes
    they come back.
    """
    settings = settings_of(redis_url, keys, lease_ms=LEASE_MS)
    with worker_thread(settings) as first:
        wait_for(lambda: all(owners(client, salted)), "all leases")
        with worker_thread(settings) as second:
            wait_for(
                lambda: (part(first), part(second)) == (3, 3) and all(owners(client, salted)),
                "even parts",
            )
            taken, since = epochs(client, salted), time.monotonic()
            wait_for(lambda: time.monotonic() - since > 3 * LEASE_MS / 1000, "some leases' time")
            assert epochs(client, salted) == taken, "leases change hands without need"
            fill(client, salted, 200)
            wait_for(lambda: events_counted(client, salted) == 200 * PARTITIONS, "all events")
        wait_for(
            lambda: part(first) == STAGES and all(owners(client, salted)), "all stages to come back"
        )
    assert not any(owners(client, salted))
    assert [found.duplicates for found in counted(client, salted)] == [0] * PARTITIONS


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_worker_that_goes_is_replaced(
    number: signal.Signals,
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    salted: Keys,
    tmp_path: Path,
) -> None:
    """One killed is replaced when its leases end, one told to stop before they would; every event
    is counted once.
    """
    settings = settings_of(
        redis_url, keys, lease_ms=3000 if number == signal.SIGKILL else LONG_LEASE_MS
    )
    process = worker_process(settings, tmp_path / "worker.log")
    wait_for(lambda: all(owners(client, salted)), "all leases")
    fill(client, salted, 300)
    with worker_thread(settings) as other:
        wait_for(lambda: part(other) == 3, "half of the stages")
        fill(client, salted, 300, first=301)
        gone = time.monotonic()
        end(process, number)
        wait_for(lambda: part(other) == STAGES and all(owners(client, salted)), "the other half")
        took = time.monotonic() - gone
        wait_for(lambda: events_counted(client, salted) == 600 * PARTITIONS, "all events")
    if number == signal.SIGTERM:
        assert took < LONG_LEASE_MS / 1000
    assert [
        (found.events, found.duplicates, found.missing) for found in counted(client, salted)
    ] == [(600, 0, 0)] * PARTITIONS


@pytest.mark.long
def test_a_worker_that_slept_through_its_leases_cannot_commit(
    client: redis.Redis, redis_url: str, keys: Keys, salted: Keys, tmp_path: Path
) -> None:
    """Stopped by SIGSTOP beyond the lease and waked up again, a worker finds the others' commits
    and doubles nothing.
    """
    settings = settings_of(redis_url, keys, lease_ms=1000)
    process = worker_process(settings, tmp_path / "worker.log")
    wait_for(lambda: all(owners(client, salted)), "all leases")
    before = owners(client, salted)
    fill(client, salted, 2000)
    process.send_signal(signal.SIGSTOP)
    with worker_thread(settings):
        wait_for(
            lambda: all(
                now and now != was for now, was in zip(owners(client, salted), before, strict=True)
            ),
            "others",
        )
        process.send_signal(signal.SIGCONT)
        fill(client, salted, 500, first=2001)
        wait_for(lambda: events_counted(client, salted) >= 2500 * PARTITIONS, "all events")
        assert end(process) == 0
    assert [
        (found.events, found.duplicates, found.missing) for found in counted(client, salted)
    ] == [(2500, 0, 0)] * PARTITIONS
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
