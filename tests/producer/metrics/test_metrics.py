"""/metrics of the API: what it tells of itself and of the pipeline."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.metrics.process import add_requests
from driftgauge.producer.metrics.scrapes import Found, exposed
from driftgauge.producer.metrics.table import PROCESS
from driftgauge.producer.reading.model_state import Backlog, ModelState, PartitionState
from driftgauge.producer.watching.meter import PREDICT, Meter
from driftgauge.shared.contract.counters import Counters, LabelCounts, VersionTraffic
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import STATUS, RouteFailure, RouteStatus
from driftgauge.shared.contract.snapshot_parts import Brief
from driftgauge.shared.metrics.text import MEDIA_TYPES, Exposition
from driftgauge.shared.settings import Settings
from tests.exposition import Metrics, parse, read, value
from tests.producer.conftest import GOOD, running, serving, until
from tests.producer.pipeline import Written

pytestmark = pytest.mark.anyio


async def scrape(http: httpx.AsyncClient) -> Metrics:
    answer = await http.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES["text"])
    return parse(answer.text)


def test_values_as_prometheus_reads_them() -> None:
    """Large counts stay exact, floats keep their digits, booleans are 0 and 1."""
    backlog = Backlog(entries=2**53, seconds=0.1)
    metrics = read(exposed(Found(up=True, readable=False, models=[state(backlog)]), 9, 9))
    assert value(metrics, "driftgauge_lag_entries") == 2**53
    assert value(metrics, "driftgauge_lag_seconds") == 0.1
    assert value(metrics, "driftgauge_redis_up") == 1
    assert value(metrics, "driftgauge_pipeline_readable") == 0


def state(backlog: Backlog, counters: Counters | None = None, **more: Any) -> ModelState:
    partition = PartitionState(
        0,
        counters or Counters(),
        {},
        owned=True,
        offset="0-0",
        backlog=backlog,
        dead_letters=0,
        judged=None,
        panes_behind=None,
    )
    return ModelState("plant", 10_000, (partition,), judging_owned=True, firing={}, **more)


def test_the_latency_is_a_histogram_of_cumulated_buckets() -> None:
    """Each bucket counts what took at most its bound, under the spelling that OpenMetrics asks for
    too, so that no series changes its name with the format; sum and count are there.
    """
    meter = Meter()
    for seconds in (0.001, 0.0011, 0.3, 7.0):
        meter.count({"type": "http", "route": SimpleNamespace(path=PREDICT)}, 200, seconds)
    text = Exposition(PROCESS)
    add_requests(text, meter)
    histogram = read(text)["driftgauge_predict_duration_seconds"]
    assert histogram.type == "histogram"
    buckets = {s.labels["le"]: s.value for s in histogram.samples if s.name.endswith("_bucket")}
    assert list(buckets)[-4:] == ["1.0", "2.5", "5.0", "+Inf"]
    assert [buckets[bound] for bound in ("0.001", "0.0025", "0.25", "0.5", "+Inf")] == [
        1,
        2,
        2,
        3,
        4,
    ]
    rest = {s.name: s.value for s in histogram.samples if "le" not in s.labels}
    assert rest == {
        "driftgauge_predict_duration_seconds_count": 4,
        "driftgauge_predict_duration_seconds_sum": pytest.approx(7.3021),
    }


def test_the_events_of_a_version_by_source() -> None:
    """The sources add up to what was counted, also where an earlier release counted a part without
    them; a version that is not judged any more has no series.
    """
    traffic = {
        "1.0.0": VersionTraffic({"online": 5, "shadow": 2}),
        "2.0.0": VersionTraffic({"online": 1}),
    }
    counters = Counters(events=19, versions={"0.9.0": 8, "1.0.0": 10, "2.0.0": 1}, traffic=traffic)
    model = state(Backlog(), counters, judged=frozenset({"1.0.0"}), ended=frozenset({"0.9.0"}))
    metrics = read(exposed(Found(up=True, readable=True, models=[model]), 9, 9))
    samples = metrics["driftgauge_events_counted"].samples
    assert {(s.labels["version"], s.labels["source"]): s.value for s in samples} == {
        ("1.0.0", "online"): 5,
        ("1.0.0", "shadow"): 2,
        ("1.0.0", "unknown"): 3,
        ("2.0.0", "online"): 1,
    }


def test_the_latencies_of_predictions_are_summed_over_partitions() -> None:
    """A version has one histogram, however many partitions it has."""
    one = [0] * 5 + [2] + [0] * 11
    partition = state(
        Backlog(), Counters(versions={"1.0.0": 2}, traffic={"1.0.0": VersionTraffic({}, one, 9000)})
    ).partitions[0]
    model = replace(state(Backlog()), partitions=(partition, replace(partition, partition=1)))
    metrics = read(exposed(Found(up=True, readable=True, models=[model]), 9, 9))
    name = "driftgauge_prediction_latency_seconds"
    assert value(metrics, f"{name}_count", model="plant", version="1.0.0") == 4
    assert value(metrics, f"{name}_sum") == pytest.approx(0.018)
    assert value(metrics, f"{name}_bucket", le="0.00291") == 0
    assert value(metrics, f"{name}_bucket", le="0.00718") == 4


@pytest.mark.usefixtures("linear")
async def test_the_pipeline_in_metrics(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """What is counted, missing, dead, waiting, owned and firing is there, by model, partition and
    version.
    """
    settings = settings.model_copy(
        update={"watchdog_seconds": 0.05, "blind_worker_seconds": 0, "dead_letters_per_hour": 1}
    )
    written = Written(client, keys)
    written.count(
        written.publish(3),
        events=3,
        versions={"1.0.0": 2, 'x"\n': 1},
        duplicates=1,
        dead=2,
        missing=5,
        labels=LabelCounts(joined=7, early=2, untold=4, untold_open=1),
    )
    brief = Brief("linear", "1.0.0", 1, "critical", "", 0, {"critical": 1})
    client.hset(keys.brief("linear"), mapping={"1.0.0": msgspec.json.encode(brief), "2.0.0": b"{"})
    written.publish(2)
    where = {"model": "linear", "partition": "0"}
    async with serving(settings) as http:
        await until(written.transitions)
        metrics = await scrape(http)
        assert (
            value(metrics, "driftgauge_redis_up")
            == value(metrics, "driftgauge_pipeline_readable")
            == 1
        )
        assert value(metrics, "driftgauge_events_counted_total", version="1.0.0", **where) == 2
        assert value(metrics, "driftgauge_events_counted_total", version='x"\n', **where) == 1
        counted = [
            "duplicates_total",
            "dead_letters_total",
            "sequences_missing",
            "lag_entries",
            "owner_present",
        ]
        assert [value(metrics, f"driftgauge_{name}", **where) for name in counted] == [
            1,
            2,
            5,
            2,
            0,
        ]
        assert value(metrics, "driftgauge_labels_total", outcome="joined", **where) == 7
        assert value(metrics, "driftgauge_labels_waiting", kind="label", **where) == 2
        assert value(metrics, "driftgauge_labels_untold", pane="closed", **where) == 4
        assert value(metrics, "driftgauge_labels_untold", pane="open", **where) == 1
        assert value(metrics, "driftgauge_oldest_uncounted_seconds", **where) >= 0
        assert (
            value(
                metrics,
                "driftgauge_alerts_firing",
                model="linear",
                version="1.0.0",
                severity="critical",
            )
            == 1
        )
        assert (
            value(
                metrics,
                "driftgauge_alerts_firing",
                model="linear",
                version="1.0.0",
                severity="warning",
            )
            == 0
        )
        assert value(metrics, "driftgauge_blind", model="linear", rule="no_worker") == 1
        assert value(metrics, "driftgauge_blind", model="linear", rule="lost") == 0


@pytest.mark.usefixtures("linear")
async def test_requests_in_metrics(settings: Settings) -> None:
    """Requests are counted by route, never by the path that a client made up; predictions have a
    latency.
    """
    async with serving(settings) as http:
        for _ in range(3):
            await http.post("/predict", json={"features": GOOD})
        await http.post("/predict", json={})
        for number in range(50):
            await http.get(f"/made-up/{number}")
        metrics = await scrape(http)
    assert value(metrics, "driftgauge_http_requests_total", route="/predict", status="200") == 3
    assert value(metrics, "driftgauge_http_requests_total", route="/predict", status="422") == 1
    assert value(metrics, "driftgauge_http_requests_total", status="404") == 50
    assert len(metrics["driftgauge_http_requests"].samples) == 3
    assert metrics["process_resident_memory_bytes"].samples
    assert value(metrics, "driftgauge_predict_duration_seconds_count") == 4
    assert value(metrics, "driftgauge_predict_duration_seconds_bucket", le="+Inf") == 4
    assert value(metrics, "driftgauge_events_published_total") == 3


@pytest.mark.usefixtures("linear")
async def test_metrics_without_redis(settings: Settings, tmp_path: Path) -> None:
    """Without Redis and room on disk the process's own metrics are there, dropped events too, and
    Redis is 0.
    """
    changed = {"redis_url": f"unix://{tmp_path}/none.sock", "queue_events": 2, "spool_max_bytes": 1}
    app = create_app(settings.model_copy(update=changed))
    async with running(app) as http:
        for _ in range(5):
            await http.post("/predict", json={"features": GOOD})
        metrics = await scrape(http)
    assert (
        value(metrics, "driftgauge_redis_up")
        == value(metrics, "driftgauge_publisher_connected")
        == 0
    )
    assert value(metrics, "driftgauge_events_queued") == 2
    assert value(metrics, "driftgauge_events_dropped_total", reason="spool_full") == 3
    # what has not happened stands at 0, so that its first event is an increase
    assert value(metrics, "driftgauge_events_dropped_total", reason="queue_full") == 0
    assert value(metrics, "driftgauge_connections_refused_total", reason="slow_head") == 0
    assert "driftgauge_lag_entries" not in metrics


@pytest.mark.usefixtures("linear")
async def test_the_routes_of_notifications(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """How many messages each route sent, and whether it fails; what cannot be read is left out."""
    failure = RouteFailure(since=1, at=2, reason="away")
    status = RouteStatus(
        sent=3, retried=2, waiting=1, overdue=1_000, last_sent=5_000, failure=failure
    )
    client.sadd(keys.routes, "on-call", "new", "torn")
    client.hset(keys.route("on-call"), STATUS, msgspec.json.encode(status))
    client.hset(keys.route("torn"), STATUS, b"{")
    async with serving(settings) as http:
        metrics = await scrape(http)
    sent = metrics["driftgauge_notifications"].samples
    assert {(one.labels["route"], one.labels["outcome"]): one.value for one in sent} == {
        ("on-call", "sent"): 3,
        ("on-call", "refused"): 0,
        ("on-call", "retried"): 2,
        **{("new", outcome): 0 for outcome in ("sent", "refused", "retried")},
    }
    assert value(metrics, "driftgauge_notifications_waiting", route="on-call") == 1
    assert value(metrics, "driftgauge_notifications_failing", route="on-call") == 1
    assert value(metrics, "driftgauge_notifications_failing", route="new") == 0
    assert value(metrics, "driftgauge_notifications_overdue_seconds", route="on-call") > 1e6
    success = metrics["driftgauge_notification_success_timestamp_seconds"].samples
    assert [(one.labels["route"], one.value) for one in success] == [("on-call", 5.0)]
