"""One counting stage on a real Redis, driven turn by turn: what its commits leave behind."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from driftgauge.consumer.counting.entries.client_ids import KEPT_BYTES
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.running.settled import counting_policy
from driftgauge.consumer.stages import counting as counting_stage
from driftgauge.consumer.stages import reader, room
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.stage import Pace, raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import KINDS, UNCOUNTED, Request, Response, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, OwnershipLost
from driftgauge.shared.settings import Settings
from tests.consumer.builders import event
from tests.integration.plant import MODEL, append, counters, events, publish, settings_of, wait_for

HOUR_MS = 3_600_000

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
        found.load()
        started.append(found)
        return found

    yield make
    for found in started:
        found.close()


def count_all(stage: CountingStage, client: redis.Redis, keys: Keys, entries: int) -> None:
    def done() -> bool:
        stage.turn()
        stage.finish()
        found = counters(client, keys)
        return found.events + found.dead + found.duplicates >= entries

    wait_for(done, f"{entries} entries")


def test_a_long_read_is_counted_in_parts_that_fit_the_lease(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long an entry takes, as with thousands of columns, no part takes longer than the
    lease, else it would be lost and read again for ever; each entry is counted once.
    """
    sizes: list[int] = []
    whole = counting_stage.advance

    def slow(state: Any, batch: Any, *more: Any) -> Any:
        sizes.append(len(batch.entry_ms))
        time.sleep(len(batch.entry_ms) / 1000)  # what thousands of columns take
        return whole(state, batch, *more)

    monkeypatch.setattr(counting_stage, "advance", slow)
    append(client, keys.log(MODEL, 0), events(1, 300, int(time.time() * 1000)))
    stage = start()
    pace = Pace(lease_ms=80)
    pace.slow_down()
    monkeypatch.setattr(stage, "_pace", pace)
    count_all(stage, client, keys, 300)
    assert counters(client, keys).events == sum(sizes) == 300
    assert sizes[:3] == [32, 16, 8]
    assert max(sizes[3:]) <= 8


def test_client_ids_outlive_the_worker(client: redis.Redis, keys: Keys, start: Start) -> None:
    """A retry that the next worker reads is not counted twice: the ids were committed with the
    counts, and they expire.
    """
    now = int(time.time() * 1000)
    row = events(1, 1, now)[0]
    first, again, other = (
        event(
            now + place,
            1,
            [0.0, 1.0, 7.0, 0.0, None, "city1"],
            publisher=publisher,
            id=name,
            client_id=True,
        )
        for place, (name, publisher) in enumerate([("mine", b"a"), ("mine", b"b"), ("yours", b"c")])
    )
    append(client, keys.log(MODEL, 0), [first])
    count_all(start(), client, keys, 1)
    append(client, keys.log(MODEL, 0), [again, other])
    count_all(start(), client, keys, 3)
    assert (counters(client, keys).events, counters(client, keys).duplicates) == (2, 1)
    stored = keys.ids(MODEL, 0, now // HOUR_MS)
    assert client.strlen(stored) == 2 * KEPT_BYTES
    assert client.ttl(stored) > 0
    assert row


def test_what_an_earlier_count_left_beside_the_checkpoint_is_forgotten(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint is deleted, and the log counted anew by two workers one after the other: what
    the first one has not reached when the second takes over is not known as counted before, be it
    by a client's id, by a label or by the mark of two halves.
    """
    now, row = int(time.time() * 1000), [0.0, 1.0, 7.0, 0.0, None, "city1"]
    log = keys.log(MODEL, 0)
    halves = [
        Request("half", "1.0.0", now, row, now),  # type: ignore[arg-type]  # a row of values
        Response("half", now, 0.5),
    ]
    append(client, log, [event(now, 1, row, id="a", client_id=True)])
    append(client, log, [event(now + 1, 2, row, id="b", client_id=True)])
    for number, half in enumerate(halves, start=3):
        fields: dict[Any, Any] = {"t": KINDS[type(half)], "p": "api", "s": number}
        client.xadd(log, fields | {"e": encode(half)}, id=f"{now + number}-0")
    count_all(start(), client, keys, 3)
    assert counters(client, keys).exchanges.paired == 1
    client.delete(keys.count(MODEL, 0), keys.panes(MODEL, 0))
    monkeypatch.setattr(reader, "READ_COUNT", 1)
    again = start()
    again.turn()
    again.finish()
    assert counters(client, keys).events == 1
    for _ in range(4):
        stage = start()
        stage.turn()
        stage.finish()
    found = counters(client, keys)
    assert found.events >= 3
    assert (found.exchanges.paired, found.exchanges.repeated) == (1, 0)


def test_what_a_spool_held_for_hours_is_counted_once(
    client: redis.Redis, keys: Keys, start: Start
) -> None:
    """A client asked again through another API, and the first tries come three hours later, to
    another worker, which loads the ids of that hour alone. Much later nothing is left of them.
    """
    then, values = int(time.time() * 1000) - 9 * HOUR_MS, [0.0, 1.0, 7.0, 0.0, None, "city1"]
    log = keys.log(MODEL, 0)

    def tried(publisher: bytes, late: int, number: int) -> Entry:
        return event(
            then + late + number,
            number,
            values,
            publisher=publisher,
            id=f"r{number}",
            client_id=True,
            received=then,
        )

    append(client, log, [tried(b"second", 0, number) for number in range(1, 101)])
    count_all(start(), client, keys, 100)
    append(client, log, [tried(b"first", 3 * HOUR_MS, number) for number in range(1, 104)])
    stage = start()
    assert not stage._state.ids.hours
    count_all(stage, client, keys, 203)
    assert (counters(client, keys).events, counters(client, keys).duplicates) == (103, 100)
    assert client.exists(keys.ids(MODEL, 0, then // HOUR_MS))
    last = start(spool_max_age_hours=5)
    append(client, log, [event(then + 8 * HOUR_MS, 104, values)])
    count_all(last, client, keys, 204)
    assert not client.exists(keys.ids(MODEL, 0, then // HOUR_MS))


def test_trimming_waits_for_the_slowest_reader(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a registered reader has not read stays, however old it is; without one the log is
    trimmed behind counting.
    """
    monkeypatch.setattr(room, "READERS_CHECK_S", 0.0)
    log = keys.log(MODEL, 0)
    old = events(1, 1000, int(time.time() * 1000) - 10 * HOUR_MS)
    append(client, log, old)
    client.xgroup_create(log, "loader", id=old[499][0].decode())
    stage = start(log_retention_hours=1.0)
    count_all(stage, client, keys, 1000)
    append(client, log, events(2, 1, int(time.time() * 1000), first=1001))
    count_all(stage, client, keys, 1001)
    kept: Any = client.xrange(log, count=1)[0][0]
    assert kept <= old[499][0], "what the reader has not read is gone"
    assert kept > old[300][0], "nothing was trimmed"
    client.xgroup_destroy(log, "loader")
    append(client, log, events(3, 1, int(time.time() * 1000), first=1002))
    count_all(stage, client, keys, 1002)
    assert client.xlen(log) < 200


@pytest.mark.parametrize(
    ("archive", "lag_hours", "kept"), [(None, 72, 0), ("/nowhere", 72, 3000), ("/nowhere", 5, 0)]
)
def test_the_log_waits_for_an_archive_that_has_not_begun(
    client: redis.Redis,
    keys: Keys,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    archive: str | None,
    lag_hours: float,
    kept: int,
) -> None:
    """Where there is an archive, what is counted and old enough to go stays until it is archived,
    though no worker has begun to, or it has waited for as long as it may; else it goes.
    """
    monkeypatch.setattr(room, "READERS_CHECK_S", 0.0)
    log = keys.log(MODEL, 0)
    append(client, log, events(1, 3000, int(time.time() * 1000) - 10 * HOUR_MS))
    append(client, log, events(2, 1, int(time.time() * 1000), first=3001))
    stage = start(log_retention_hours=0, archive_url=archive, archive_lag_hours=lag_hours)
    count_all(stage, client, keys, 3001)
    assert kept <= client.xlen(log) < kept + 200, "the first page of a stream is trimmed as a whole"


def test_a_full_redis_waits_for_no_reader_but_for_counting(
    client: redis.Redis, keys: Keys, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Near `maxmemory` counted entries go though a reader has not read them, which is told once
    with its name, and so goes what is told of them; what was not counted stays, however full Redis
    is.
    """
    log, now = keys.log(MODEL, 0), int(time.time() * 1000)
    append(client, log, events(1, 1000, now - 60_000))
    client.xgroup_create(log, "loader", id="0")
    stage = start()
    count_all(stage, client, keys, 1000)
    append(client, log, events(2, 300, now, first=1001))
    for place in range(300):
        client.xadd(keys.uncounted(MODEL, 0), {UNCOUNTED: b""}, id=f"{place + 1}-0")
    used: Any = client.info("memory")
    client.config_set("maxmemory", int(used["used_memory"] / 0.85))
    try:
        for _ in range(30):
            stage.make_room()
    finally:
        client.config_set("maxmemory", 0)
    assert client.xlen(log) < 500
    assert client.xlen(keys.uncounted(MODEL, 0)) <= 200, "a stream is trimmed by pages"
    assert caplog.text.count("before loader could read it") == 1
    count_all(stage, client, keys, 1300)
    assert counters(client, keys).events == 1300


def test_panes_without_their_checkpoint_are_not_continued(
    client: redis.Redis, keys: Keys, start: Start
) -> None:
    """Whoever deletes a checkpoint is told what to do, instead of counting from the start beside
    panes that end later.
    """
    now = int(time.time() * 1000)
    append(client, keys.log(MODEL, 0), events(1, 1000, now - 60_000))
    count_all(start(), client, keys, 1000)
    assert client.xlen(keys.panes(MODEL, 0))
    client.delete(keys.count(MODEL, 0))
    with pytest.raises(BadData, match=r"only to 0.*the checkpoint was deleted"):
        start()


def test_events_wait_for_a_registration_that_is_gone(
    client: redis.Redis, keys: Keys, start: Start
) -> None:
    """While no version of a model is published any more, as after FLUSHALL, its events are not
    called unreadable: they are counted when the API has registered it again.
    """
    client.delete(keys.versions(MODEL))
    append(client, keys.log(MODEL, 0), events(3, 50, int(time.time() * 1000) - 5000))
    with pytest.raises(BadData, match="versions is gone"):
        count_all(start(), client, keys, 50)
    publish(client, keys)
    count_all(start(), client, keys, 50)
    found = counters(client, keys)
    assert (found.events, found.dead) == (50, 0)


def test_panes_of_a_worker_that_took_over_while_we_loaded_are_no_fault(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the lease expires between reading the checkpoint and looking at the panes, and another
    worker commits a pane in between, that is no damaged checkpoint: the lease is lost.
    """
    slow = start()
    fresh = slow.checkpoint.load

    def load_slowly() -> dict[bytes, bytes]:
        found = fresh()
        append(client, keys.log(MODEL, 0), events(4, 1000, int(time.time() * 1000) - 50_000))
        count_all(start(), client, keys, 1000)
        return found

    monkeypatch.setattr(slow.checkpoint, "load", load_slowly)
    with pytest.raises(OwnershipLost, match="Another worker owns"):
        slow.load()
    assert client.exists(keys.panes(MODEL, 0))


def due_in(stage: CountingStage) -> float:
    return stage.due_at - time.monotonic()


def test_a_silent_log_gets_few_ticks(
    client: redis.Redis, keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tick comes soon after an event; a log that was silent for an hour gets one in ten
    minutes, also from a new owner, and not all such logs at once.
    """
    hour_ago = int(time.time() * 1000) - 3_600_000
    append(client, keys.log(MODEL, 0), events(1, 10, hour_ago))
    stage = start(pane_seconds=86_400)
    count_all(stage, client, keys, 10)
    assert 0 < due_in(stage) <= counting_stage.IDLE_TICK_S
    longest = counting_stage.LONGEST_IDLE_S
    loaded = {round(due_in(start(pane_seconds=86_400)), 3) for _ in range(4)}
    assert all(longest / 2 - 1 <= due <= longest for due in loaded)
    assert len(loaded) > 1
    monkeypatch.setattr(counting_stage, "IDLE_TICK_S", 0.05)
    stage = start(pane_seconds=86_400)
    append(client, keys.log(MODEL, 0), events(2, 1, int(time.time() * 1000), first=11))
    count_all(stage, client, keys, 11)
    pauses: list[float] = []
    while len(pauses) < 3:
        wait_for(lambda: due_in(stage) <= 0, "the tick")
        stage.turn()
        stage.turn()
        stage.finish()
        pauses.append(due_in(stage))
    assert pauses == sorted(pauses)
    assert pauses[-1] > 10 * pauses[0]


def test_a_pane_closes_when_it_is_old_enough(client: redis.Redis, keys: Keys, start: Start) -> None:
    """However long a log was silent, a tick comes at the age at which the open pane closes, and
    soon if that has passed.
    """
    append(client, keys.log(MODEL, 0), events(1, 10, int(time.time() * 1000) - 100_000))
    count_all(start(pane_seconds=86_400), client, keys, 10)
    assert 15 < due_in(start(pane_seconds=120)) < 21
    assert due_in(start(pane_seconds=50)) <= counting_stage.IDLE_TICK_S


def test_a_model_without_events_gets_no_ticks(
    client: redis.Redis, keys: Keys, start: Start
) -> None:
    """Nobody waits for the time of a model that never had an event."""
    stage = start()
    assert stage.due_at == math.inf
    assert not client.xlen(keys.log(MODEL, 0))
