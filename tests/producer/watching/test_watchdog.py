import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis
from sklearn.linear_model import LinearRegression

from driftgauge.consumer.commands.told.alerts import alert_line
from driftgauge.consumer.worker import Worker
from driftgauge.producer.app import create_app
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.watching.incidents import incident_of
from driftgauge.producer.watching.watchdog import Watchdog
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.fault import FOLLOWERS, StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.losses import Held, Holdings, Hole
from driftgauge.shared.policies.agreed import FileState, Origin, Refusal
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.exposition import parse, value
from tests.producer.conftest import (
    GOOD,
    SCHEMA,
    api_process,
    publish,
    rows,
    running,
    serving,
    until,
)
from tests.producer.pipeline import Written

pytestmark = pytest.mark.anyio


class Clock:
    """Redis's time as the test wants it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


@asynccontextmanager
async def watchdogs(
    settings: Settings, clock: Callable[[], int], count: int = 3
) -> AsyncIterator[list[Watchdog]]:
    made = [Watchdog(settings, Counter(), Refusals(), {"linear"}, clock) for _ in range(count)]
    try:
        yield made
    finally:
        for watchdog in made:
            await watchdog.close()


async def look(made: list[Watchdog]) -> None:
    await asyncio.gather(*(watchdog.check() for watchdog in made))


@pytest.fixture
def written(linear: ModelRegistry, client: redis.Redis, keys: Keys) -> Written:
    published = linear.load("linear", "1.0.0")
    client.hset(keys.versions("linear"), "1.0.0", published.pack())
    return Written(client, keys)


@contextmanager
def worker(settings: Settings) -> Iterator[None]:
    made = Worker(settings)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield
    finally:
        made.stop.set()
        thread.join()


@pytest.mark.usefixtures("linear")
async def test_three_apps_raise_one_alert_and_a_worker_resolves_it(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Without a worker three API processes raise one alert; when a worker counts, it is resolved,
    once.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05, "blind_worker_seconds": 0.5})
    written = Written(client, keys)
    async with serving(changed) as http, serving(changed), serving(changed):
        assert (await http.post("/predict", json={"features": GOOD})).json()["event"] == "published"
        await until(written.transitions)
        stop = time.monotonic() + 0.5
        await until(lambda: time.monotonic() > stop)  # the others have had many looks by now
        assert written.transitions() == ["blind.no_worker firing"]
        shown = (await http.get("/alerts?model=linear")).json()["alerts"]
        assert [alert["data"]["rule"] for alert in shown] == ["blind.no_worker"]
        with worker(changed):
            await until(lambda: len(written.transitions()) > 1)
            health = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
            assert (
                health["events"],
                health["partitions"][0]["owned"],
                health["judging"]["owned"],
            ) == (1, True, True)
        assert written.transitions() == ["blind.no_worker firing", "blind.no_worker resolved"]
    assert len({alert.fingerprint for alert in written.alerts()}) == 1


@pytest.mark.usefixtures("linear")
async def test_a_worker_that_fails_is_shown_everywhere(
    settings: Settings, written: Written, client: redis.Redis, keys: Keys
) -> None:
    """What a worker fails on stands in an alert, in /readyz, in /health and on the Overview, with
    the entry and the reason as text, and is gone when it goes on.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})
    now = time.time_ns() // 1_000_000
    fault = StageFault("counting linear.0", "KeyError: '<b>7'", "5-0", 4, now, now)
    key = keys.count("linear", 0)

    async def reasons(http: Any) -> list[str]:
        found: list[str] = (await http.get("/readyz")).json()["reasons"]
        return [one for one in found if "fails" in one]

    async with serving(changed) as http:
        client.hset(key, mapping={"fault": msgspec.json.encode(fault)})
        await until(written.transitions)
        assert written.transitions() == ["blind.stage_fails firing"]
        (said,) = await reasons(http)
        assert said.startswith("linear: The worker fails on this model: counting linear.0 at entry")
        page = (await http.get("/", headers={"Accept": "text/html"})).text
        assert "KeyError: &#39;&lt;b&gt;7" in page
        health = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
        assert health["partitions"][0]["fault"]["entry"] == "5-0"
        over = msgspec.structs.replace(fault, over=True)
        client.hset(key, mapping={"fault": msgspec.json.encode(over)})
        await until(lambda: len(written.transitions()) > 1)
        assert written.transitions()[1] == "blind.stage_fails resolved"
        assert not await reasons(http)
        health = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
        assert health["partitions"][0]["fault"] is None
        assert health["followers"] == {name: {"fault": None} for name in (*FOLLOWERS, "archive")}
        follower = StageFault("reporting linear", "OSError: no space left", "", 4, now, now)
        client.hset(keys.follower("linear", "reports"), "fault", msgspec.json.encode(follower))
        await until(lambda: len(written.transitions()) > 2)
        (said,) = await reasons(http)
        assert "reporting linear, 4 times: OSError: no space left" in said
        page = (await http.get("/", headers={"Accept": "text/html"})).text
        assert "OSError: no space left" in page
        health = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
        assert health["followers"]["reports"]["fault"]["tries"] == 4
        over = msgspec.structs.replace(follower, over=True)
        client.hset(keys.follower("linear", "reports"), "fault", msgspec.json.encode(over))
        await until(lambda: len(written.transitions()) > 3)
        store = StageFault("archiving linear.0", "the archive is full", "", 5, now, now)
        client.hset(keys.archive("linear", 0), "fault", msgspec.json.encode(store))
        await until(lambda: len(written.transitions()) > 4)
        (said,) = await reasons(http)
        assert "archiving linear.0, 5 times: the archive is full" in said


@pytest.mark.usefixtures("linear")
async def test_a_refused_policy_file_is_a_reason(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """While a worker refuses its changed policy file /readyz says so, with line and reason; the API
    goes on serving, and what a dead worker told is forgotten.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})

    async def reasons(http: Any) -> list[str]:
        told = await http.get("/readyz")
        assert told.status_code == 200
        found: list[str] = told.json()["reasons"]
        return [one for one in found if "policy" in one]

    async with serving(changed) as http:
        now = time.time_ns() // 1_000_000
        state = FileState(
            Origin(now, "ab", "web-1:/p.toml"), now, Refusal(3, "is <b>loud</b>", now)
        )
        client.hset(keys.policy_files, "w", msgspec.json.encode(state))  # type: ignore[arg-type]
        await until(lambda: reasons(http))
        (words,) = await reasons(http)
        assert "web-1:/p.toml is refused, line 3: is <b>loud</b>. The one before goes on" in words
        old = msgspec.structs.replace(state, told=now - 600_000)
        client.hset(keys.policy_files, "w", msgspec.json.encode(old))  # type: ignore[arg-type]

        async def over() -> bool:
            return not await reasons(http)

        await until(over)


@pytest.mark.usefixtures("linear")
async def test_readiness_to_monitor_is_another_question_than_readiness_to_serve(
    settings: Settings,
) -> None:
    """Without a worker an API serves, so /readyz is 200, degraded; /readyz?monitoring is 503 with
    the reason, and /health degraded. With one all three are well. Before the first look, and for
    those who may not read, nothing is promised and nothing told.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05, "blind_worker_seconds": 0.2})
    async with running(create_app(changed)) as http:
        assert (await http.get("/readyz?monitoring")).status_code == 503

        async def monitored() -> bool:
            return (await http.get("/readyz?monitoring")).status_code == 200

        await until(monitored)
        assert (await http.get("/readyz?monitoring=true")).json() == {
            "status": "ready",
            "reasons": [],
        }
        await http.post("/predict", json={"features": GOOD})

        async def blind() -> bool:
            return not await monitored()

        await until(blind)
        found = await http.get("/readyz?monitoring")
        assert found.json()["status"] == "degraded"
        assert found.json()["reasons"][0].startswith("linear: No worker")
        serves = await http.get("/readyz")
        assert (serves.status_code, serves.json()) == (200, found.json())
        assert (await http.get("/health")).json()["status"] == "degraded"
        stranger = await http.get("/readyz?monitoring", headers={"Host": "evil.example"})
        assert (stranger.status_code, stranger.json()) == (503, {"status": "degraded"})
        with worker(changed):
            await until(monitored)
            assert (await http.get("/health")).json()["status"] == "ok"
        document = (await http.get("/openapi.json")).json()["paths"]["/readyz"]["get"]
        assert "503" in document["responses"]
        assert {one["name"] for one in document["parameters"]} == {"verbose", "monitoring"}
        assert (await http.get("/readyz?monitoring=perhaps")).status_code == 422


async def test_a_lag_that_grows_is_not_ready_to_monitor(
    settings: Settings, written: Written
) -> None:
    """A worker that owns the log and does not keep up makes /readyz?monitoring 503, with the
    reason, until it has caught up; the API serves all the while.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05, "blind_lag_seconds": 0.2})
    async with running(create_app(changed)) as http:
        written.client.set(written.keys.owner("linear", 0), "a worker")
        await http.post("/predict", json={"features": GOOD})

        async def monitored() -> bool:
            return (await http.get("/readyz?monitoring")).status_code == 200

        async def behind() -> bool:
            reasons = (await http.get("/readyz?monitoring")).json()["reasons"]
            return any(one.startswith("linear: The worker does not keep up") for one in reasons)

        await until(behind)
        assert not await monitored()
        assert (await http.get("/readyz")).status_code == 200
        written.client.delete(written.keys.owner("linear", 0))
        with worker(changed):
            await until(monitored)


async def test_another_takes_over(settings: Settings, written: Written) -> None:
    """The holder looks alone; when it is gone for longer than its lease, another goes on from what
    it remembered.
    """
    clock = Clock()
    written.publish()
    async with watchdogs(settings, clock, 2) as (first, second):
        await first.check()
        lease = written.client.hget(written.keys.watchdog("linear"), "lease")
        clock.ahead_ms += 14_000
        await second.check()
        assert written.client.hget(written.keys.watchdog("linear"), "lease") == lease
        clock.ahead_ms += 2_000
        await second.check()
        assert written.transitions() == ["blind.no_worker firing"]
        await first.check()
        assert written.transitions() == ["blind.no_worker firing"]


async def test_a_lease_of_the_future_is_taken(settings: Settings, written: Written) -> None:
    """When Redis's clock went back an hour, the dead holder's lease does not block the watch for an
    hour.
    """
    clock = Clock()
    written.publish()
    async with watchdogs(settings, clock, 2) as (first, second):
        clock.ahead_ms = 3_600_000
        await first.check()
        clock.ahead_ms = 0
        await second.check()
        clock.ahead_ms = 20_000
        await second.check()
        assert written.transitions() == ["blind.no_worker firing"]


async def test_dead_letters_and_missing_numbers(settings: Settings, written: Written) -> None:
    """What the counters say is raised once by three watchdogs, and resolved when it is over."""
    clock = Clock()
    async with watchdogs(settings, clock) as made:
        written.count(events=10)
        await look(made)
        written.count(events=10, dead=11)
        written.miss(Hole("a", 3, 4, 2))
        for _ in range(30):
            clock.ahead_ms += 5000
            await look(made)
        assert sorted(written.transitions()) == ["blind.dead_letters firing", "blind.lost firing"]
        written.count(events=12, dead=11)
        written.miss()
        clock.ahead_ms += 2 * 3_600_000
        await look(made)
        clock.ahead_ms += 61_000
        for _ in range(30):
            clock.ahead_ms += 5000
            await look(made)
        assert sorted(written.transitions())[1::2] == [
            "blind.dead_letters resolved",
            "blind.lost resolved",
        ]


async def test_what_any_process_dropped(settings: Settings, written: Written) -> None:
    """A process that does not hold the lease says what it dropped, and the holder raises it."""
    clock = Clock()
    counted: Counter[str] = Counter()
    async with watchdogs(settings, clock, 1) as (holder,):
        await holder.check()
        dropping = Watchdog(settings, counted, Refusals(), {"linear"}, clock)
        counted["queue full"] += 7
        await dropping.check()
        assert written.transitions() == []
        await holder.check()
        await dropping.check()
        await dropping.close()
        (alert,) = written.alerts()
        assert (alert.rule, alert.severity, alert.evidence.value) == (
            "blind.dropped",
            "critical",
            7,
        )
        assert "queue full" in alert.summary
        clock.ahead_ms += 2 * 86_400_000
        await holder.check()
        assert written.transitions() == ["blind.dropped firing", "blind.dropped resolved"]
        assert not [
            name
            for name in written.client.hkeys(written.keys.watchdog("linear"))
            if name.startswith(b"dropped")
        ]


async def test_what_was_dropped_is_told_again_where_redis_lost_it(
    settings: Settings, written: Written
) -> None:
    """If the slot of the model goes back by seconds, to before a process said what it dropped, it
    says so again, with the time of before.
    """
    clock, counted = Clock(), Counter[str]()
    async with watchdogs(settings, clock, 1) as (holder,):
        dropping = Watchdog(settings, counted, Refusals(), {"linear"}, clock)
        await holder.check()
        key = written.keys.watchdog("linear")
        before: Any = written.client.dump(key)
        counted["queue full"] += 7
        await dropping.check()
        (told,) = (
            packed
            for name, packed in written.client.hgetall(key).items()  # type: ignore[union-attr]  # redis-py's own type
            if name.startswith(b"dropped")
        )
        written.client.restore(key, 0, before, replace=True)
        clock.ahead_ms += 5000
        await dropping.check()
        await dropping.close()
        assert told in written.client.hvals(key)
        await holder.check()
        assert written.transitions() == ["blind.dropped firing"]


async def test_a_feed_of_which_two_processes_refuse_events(
    settings: Settings, written: Written
) -> None:
    """Refused events are told by each process; one alert says which field and why, silence is no
    second one, and it resolves when events are taken again.
    """
    clock = Clock()
    schema = SCHEMA
    ticks = [0, 0]
    told = [Refusals(lambda: ticks[0]), Refusals(lambda: ticks[1])]
    dogs = [Watchdog(settings, Counter(), one, {"linear"}, clock) for one in told]
    for refusals in told:
        refusals.take("linear", 2400)
        for _ in range(5):
            refusals.refuse("linear", schema, schema.positional({"x": "n/a", "y": 1})[1])
    await look(dogs)
    await look(dogs)
    (alert,) = written.alerts()
    assert (alert.rule, alert.severity, alert.state) == ("blind.refused", "critical", "firing")
    assert "10 of 4,810 events" in alert.summary
    assert "(x wrong type: 10)" in alert.summary
    clock.ahead_ms += 700_000
    ticks[:] = [700_000, 700_000]
    await look(dogs)
    assert len(written.alerts()) == 1
    told[1].take("linear", 1)
    await look(dogs)
    await look(dogs)
    assert written.transitions() == ["blind.refused firing", "blind.refused resolved"]
    assert len(written.client.hkeys(written.keys.refused("linear"))) == 2
    clock.ahead_ms += 3 * 3_600_000
    restarted = Watchdog(settings, Counter(), told[0], {"linear"}, clock)
    await restarted.check()
    assert len(written.client.hkeys(written.keys.refused("linear"))) == 1
    for dog in (*dogs, restarted):
        await dog.close()


@pytest.mark.usefixtures("linear")
async def test_a_refused_feed_is_told_of(settings: Settings, tmp_path: Path) -> None:
    """Two processes refuse all that is posted to them: an alert fires, and health, metrics and
    the model's page of both say so, with field and reason.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})
    other = changed.model_copy(update={"data_dir": tmp_path / "other"})
    rows = [{"features": {"x": "n/a", "y": 1}, "prediction": 1}] * 500
    async with serving(changed) as one, serving(other) as two:
        assert (await one.get("/health")).json()["status"] == "ok"
        for http in (one, two):
            assert (await http.post("/events", json=rows)).status_code == 422

        async def firing() -> bool:
            shown = (await one.get("/alerts?model=linear")).json()["alerts"]
            return [alert["data"]["rule"] for alert in shown] == ["blind.refused"]

        await until(firing)

        async def all_known() -> bool:
            health = (await two.get("/health?verbose=true")).json()
            return bool(health["pipeline"]["linear"]["refused"]["last_hour"] == 1000)

        await until(all_known)
        health = (await two.get("/health?verbose=true")).json()
        assert (health["status"], health["refused"]) == ("degraded", {"linear": 500})
        assert health["pipeline"]["linear"]["refused"]["fields"] == [
            {"field": "x", "reason": "wrong_type", "events": 1000}
        ]
        reasons = (await one.get("/readyz")).json()["reasons"]
        assert "linear: 500 of 500 events of the last hour were refused" in " ".join(reasons)
        metrics = parse((await one.get("/metrics")).text)
        assert value(metrics, "driftgauge_events_refused_total", model="linear") == 500
        series = {"model": "linear", "field": "x", "reason": "wrong_type"}
        assert value(metrics, "driftgauge_fields_refused_total", **series) == 500
        page = (await two.get("/dashboard/models/linear", headers={"Accept": "text/html"})).text
        assert "1,000 of 1,000 events of the last hour were refused (x wrong type: 1,000)" in page


async def test_refused_labels_are_told_of(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Labels that nobody can use are a warning of their own, with the field and the reason."""
    estimator = LinearRegression().fit(rows().to_numpy(), rows()["x"])
    publish(registry, "linear", SCHEMA, rows(), estimator, labels=True)
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})
    written = Written(client, keys)
    bad = [{"prediction_id": f"p{number}", "label": "late"} for number in range(40)]
    async with serving(changed) as http:
        answer = await http.post("/labels", json=[*bad, {"prediction_id": 7, "label": 1.0}, "x"])
        assert (answer.status_code, len(answer.json()["rejected"])) == (202, 42)
        await until(written.alerts)
        (alert,) = written.alerts()
        assert (alert.rule, alert.severity) == ("blind.labels_refused", "warning")
        assert (
            "42 of 42 labels of the last hour were refused (label wrong type: 40" in alert.summary
        )
        health = (await http.get("/health?verbose=true")).json()
        assert (health["status"], health["refused_labels"]) == ("degraded", {"linear": 42})
        assert health["pipeline"]["linear"]["refused_labels"]["last_hour"] == 42
        metrics = parse((await http.get("/metrics")).text)
        series = {"model": "linear", "field": "prediction_id", "reason": "malformed"}
        assert value(metrics, "driftgauge_labels_refused_total", **series) == 1


def test_text_in_one_event_of_500_is_told_of(
    registry: ModelRegistry, settings: Settings, written: Written, tmp_path: Path
) -> None:
    """A real API, a feed whose field is text in one of 500 events: the others are counted as
    before, and the few are an alert with the field's name.
    """
    schema = Schema((Feature("speed", "numeric"),), prediction=None)
    publish(registry, "feed", schema, rows()[["x"]].set_axis(["speed"], axis=1))
    changed = settings.model_copy(update={"watchdog_seconds": 0.1})
    feed = Written(written.client, written.keys, "feed")
    with api_process(changed, tmp_path) as (url, process), httpx.Client(base_url=url) as http:
        for _ in range(10):
            events = [
                {"model": "feed", "features": {"speed": 50.0 if place else "n/a"}}
                for place in range(500)
            ]
            answer = http.post("/events", json=events)
            assert (answer.status_code, answer.json()["accepted"]) == (202, 499)
            (bad,) = answer.json()["rejected"]
            assert bad["index"] == 0
        log = tmp_path / "api.log"
        processes.wait_until(lambda: bool(feed.alerts()), process, "The API", log)
        (alert,) = feed.alerts()
        assert (alert.rule, alert.state) == ("blind.refused", "firing")
        assert " events of the last hour were refused (speed wrong type: " in alert.summary
        assert http.get("/health").json()["status"] == "degraded"
        assert written.client.xlen(written.keys.log("feed", 0)) == 4990


async def test_the_alert_is_judgings_contract(settings: Settings, written: Written) -> None:
    """Whoever reads alerts reads these: the same envelope, bytes and names; they say that a replay
    does not give them.
    """
    clock = Clock()
    written.publish()
    async with watchdogs(settings, clock, 1) as made:
        await look(made)
        clock.ahead_ms = 20_000
        await look(made)
    (alert,) = written.alerts()
    assert (alert.model, alert.feature, alert.version, alert.state) == ("linear", "", "-", "firing")
    assert alert.rule.startswith("blind.")
    assert "driftgauge worker" in alert_line(alert)
    entries: Any = written.client.xrange(written.keys.alerts("linear"))
    assert entries[0][1][b"e"] == cloud_event(alert)
    assert (
        msgspec.json.decode(entries[0][1][b"e"], type=CloudEvent).type == "driftgauge.alert.firing"
    )
    incident = incident_of(alert)
    assert incident is not None
    told: Any = written.client.xrange(written.keys.incidents("linear"))
    assert [fields[b"e"] for _, fields in told] == [cloud_event(incident)]
    kept: Any = written.client.hgetall(written.keys.open_incidents("linear"))
    assert kept == {incident.id.encode(): cloud_event(incident)}


async def test_a_transition_is_written_with_its_memory_or_not_at_all(
    settings: Settings, written: Written
) -> None:
    """An alert stream of another type is refused before anything is written; once it is right the
    alert comes, once.
    """
    clock = Clock()
    written.publish()
    written.client.set(written.keys.alerts("linear"), "stray")
    async with watchdogs(settings, clock, 1) as (watchdog,):
        await watchdog.check()
        clock.ahead_ms = 20_000
        with pytest.raises(Exception, match="not a stream"):
            await watchdog.check()
        written.client.delete(written.keys.alerts("linear"))
        await watchdog.check()
        await watchdog.check()
        assert written.transitions() == ["blind.no_worker firing"]


async def test_one_broken_model_does_not_hide_the_others(
    settings: Settings, written: Written
) -> None:
    """A model that cannot be read has an alert of its own that says so, and the other models are
    watched all the same.
    """
    clock = Clock()
    written.publish()
    broken = Written(written.client, written.keys, "a-broken-one")
    written.client.hset(written.keys.versions("a-broken-one"), "1.0.0", b"no gzip")
    async with watchdogs(settings, clock, 1) as (watchdog,):
        for _ in range(2):
            await watchdog.check()
            clock.ahead_ms += 20_000
    assert written.transitions() == ["blind.no_worker firing"]
    (alert,) = broken.alerts()
    assert (alert.rule, alert.state) == ("blind.stage_fails", "firing")
    assert "{a-broken-one}:versions holds no published version" in alert.summary


@pytest.mark.usefixtures("linear")
async def test_redis_away_and_back(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without Redis the watchdog says so once and hurts nobody; when Redis comes it watches."""
    server = EmbeddedRedis(tmp_path / "redis")
    changed = {"redis_url": server.url, "watchdog_seconds": 0.05, "blind_worker_seconds": 0.1}
    app = create_app(settings.model_copy(update=changed))
    try:
        with caplog.at_level(logging.WARNING):
            async with running(app) as http:
                await until(lambda: app.state.parts.watchdog.fault)
                answer = await http.post("/predict", json={"features": GOOD})
                assert answer.json()["event"] == "spooled"
                assert "Redis does not answer" in (await http.get("/readyz")).text
                await asyncio.to_thread(server.start)
                await until(lambda: not app.state.parts.watchdog.fault)

                async def raised() -> bool:
                    return bool((await http.get("/alerts")).json()["alerts"])

                await until(raised)
        assert caplog.text.count("The watchdog fails") == 1
    finally:
        server.stop()


@pytest.mark.usefixtures("linear")
async def test_what_an_api_has_spooled_is_waited_for(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Numbers that are missing in Redis are no loss while an API process has them in its spool: it
    says so, and health tells them apart. When it has them no more, what is still missing is lost.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05, "loss_after_seconds": 0.3})
    log, written = keys.log("linear", 0), Written(client, keys)
    app = create_app(changed)
    async with running(app) as http:
        await until(lambda: app.state.parts.publisher.connected)

        async def missing() -> Any:
            found = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
            return found["missing"]

        async def post(events: int) -> list[str]:
            sent = [await http.post("/predict", json={"features": GOOD}) for _ in range(events)]
            return [answer.json()["event"] for answer in sent]

        assert await post(1) == ["published"]
        (lane,) = app.state.parts.publisher._lanes
        lane.delay_s, lane.retry_at = 1.0, math.inf  # as if Redis refused what is written there
        assert await post(3) == ["spooled"] * 3

        def held() -> list[Held]:
            packed: Any = client.hvals(keys.held("linear"))
            return [one for told in packed for one in msgspec.json.decode(told, type=Holdings).held]

        await until(lambda: [(one.log, one.first, one.last) for one in held()] == [(log, 2, 4)])
        (own,) = held()
        written.miss(Hole(own.publisher, 2, 6, 5))
        await until(lambda: "blind.lost firing" in written.transitions())
        (alert,) = [one for one in written.alerts() if one.rule == "blind.lost"]
        assert alert.summary.startswith("2 events are lost")
        assert await missing() == {"waiting": 3, "held_by_nobody": 2}
        address = f"/dashboard/alerts/{alert.fingerprint}"
        page = (await http.get(address, headers={"Accept": "text/html"})).text
        assert f"acknowledge-{alert.fingerprint}" in page
        assert f"silence-{alert.fingerprint}" not in page
        acknowledge = f"/alerts/{alert.fingerprint}/acknowledge"
        assert (await http.post(acknowledge, json={"note": "seen"})).status_code == 202
        await until(lambda: "blind.lost resolved" in written.transitions())
        lane.accept()
        await until(lambda: client.xlen(log) == 4)
        await until(lambda: not client.hvals(keys.held("linear")))
        assert await missing() == {"waiting": 0, "held_by_nobody": 5}
