"""Traces and metrics of a real API process and a real worker, as a collector gets them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from tests.integration.plant import wait_for
from tests.producer.conftest import api_process, publish_linear, settings_in
from tests.shared.otel.sink import Collector, Received, collector

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "congo=t61"}
OWN = "11111111111111111111111111111111-2222222222222222"
PERSON = "planted@example.org"
VALUE = 73.15625
SERVER, PRODUCER, CONSUMER = 2, 4, 5
"""Kinds of spans in OTLP."""
FAILED = 2
"""Status of a span that failed."""
MODEL = "linear"


class Plant(NamedTuple):
    """The collector, and what the processes were sent."""

    sink: Collector
    client: redis.Redis
    log: str
    answers: dict[str, httpx.Response]

    def events(self) -> dict[str, Prediction]:
        entries: Any = self.client.xrange(self.log)
        found = [
            msgspec.json.decode(fields[b"e"], type=Prediction)
            for _, fields in entries
            if fields[b"t"] == b"p"
        ]
        return {one.id: one for one in found}


@pytest.fixture(scope="module")
def plant(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder, keys = tmp_path_factory.mktemp("tracing"), Keys("test-tracing")
    publish_linear(ModelRegistry(folder / "registry"))
    settings = settings_in(folder, redis_server.url, keys.prefix)
    client = connect(redis_server.url)
    with collector() as sink, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
        with api_process(settings, folder) as (url, _):
            worker = _worker(folder / "worker.log", deployment.environment(settings))
            try:
                found = Plant(sink, client, keys.log(MODEL, 0), {})
                _send(found, url)
                wait_for(lambda: _linked(sink) >= {TRACE, OWN[:32]}, "the worker's turns")
                yield found
            finally:
                processes.stop(worker)
                client.close()


def _worker(log: Path, environment: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "driftgauge", "worker"]
    return processes.start(command, log, {**os.environ, **environment})


def _linked(sink: Collector) -> set[str]:
    return {link[:32] for turn in list(sink.spans) for link in turn.links}


def _send(plant: Plant, url: str) -> None:
    row = {"x": VALUE, "y": 2}
    with httpx.Client(base_url=url, trust_env=False) as http:

        def ask(name: str, path: str, document: Any, **headers: str) -> None:
            plant.answers[name] = http.post(path, json=document, headers=headers)

        ask("joined", "/predict", {"features": row, "id": PERSON}, **CALLER)
        ask("alone", "/predict", {"features": row})
        ask("hostile", "/predict", {"features": row}, traceparent="00-<script>-1-01")
        ask("unkept", "/predict", {"features": row}, traceparent=f"00-{'a' * 32}-{SPAN}-00")
        ask("refused", "/predict", {"features": {"x": PERSON}})
        trace, _, span = OWN.partition("-")
        event = {"features": row, "prediction": 1.5}
        own = {**event, "id": "own", "traceparent": f"00-{trace}-{span}-01"}
        odd = {**event, "id": "odd", "traceparent": {"a": [1]}}
        ask("events", "/events", [own, odd])
        http.get("/livez")
        http.get("/nowhere", params={"mail": PERSON})


def _only(plant: Plant, name: str, parent: str | None = None) -> Received:
    """Wait for the one span of a name, below another one."""

    def found() -> Received | None:
        spans = [
            one
            for one in list(plant.sink.spans)
            if one.name == name and (parent is None or one.parent == parent)
        ]
        assert len(spans) <= 1
        return spans[0] if spans else None

    one: Received = wait_for(found, f"the span {name} below {parent}")
    return one


def test_the_way_of_a_request_is_one_trace(plant: Plant) -> None:
    """The caller's trace goes on in the request, which was scored and published; the event carries
    the span of the request, and the worker's turn is linked with it.
    """
    assert plant.answers["joined"].status_code == 200
    request = _only(plant, "POST /predict", SPAN)
    assert (request.service, request.trace, request.kind) == ("driftgauge-api", TRACE, SERVER)
    assert request.state == "congo=t61"
    score, publish = (_only(plant, name, request.span) for name in ("score", "publish"))
    assert {score.trace, publish.trace} == {TRACE}
    assert publish.kind == PRODUCER
    assert publish.facts == {
        "driftgauge.model": MODEL,
        "driftgauge.events": 1,
        "driftgauge.outcome": "published",
    }
    carried = f"{TRACE}-{request.span}"
    assert plant.events()[PERSON].trace == carried
    turn = next(one for one in plant.sink.spans if carried in one.links)
    assert (turn.service, turn.name, turn.kind) == ("driftgauge-worker", "turn", CONSUMER)
    assert turn.facts["driftgauge.stage"] == f"counting {MODEL}.0"
    assert turn.parent == ""
    assert turn.trace != TRACE
    for step in ("read", "advance"):
        assert _only(plant, step, turn.span).trace == turn.trace


def test_commits_are_steps_of_turns(plant: Plant) -> None:
    """Each commit stands below a turn of its stage; judging has turns too."""

    def stages() -> set[str]:
        spans = {one.span: one for one in list(plant.sink.spans)}
        commits = [one for one in spans.values() if one.name == "commit"]
        turns = [spans[one.parent] for one in commits if one.parent in spans]
        return {one.facts["driftgauge.stage"] for one in turns}

    wait_for(lambda: stages() >= {f"counting {MODEL}.0", f"judging {MODEL}"}, "commits")


def test_hostile_callers_are_not_joined(plant: Plant) -> None:
    """What is no trace context begins a trace of our own, and refuses nothing."""
    assert plant.answers["hostile"].status_code == 200
    event = plant.events()[plant.answers["hostile"].json()["id"]]
    assert event.trace is not None
    wait_for(lambda: event.trace in {f"{o.trace}-{o.span}" for o in list(plant.sink.spans)}, "it")
    request = next(one for one in plant.sink.spans if event.trace == f"{one.trace}-{one.span}")
    assert request.parent == ""


def test_a_trace_that_the_caller_does_not_keep_is_not_kept(plant: Plant) -> None:
    """The default sampler follows the caller: no span, and nothing in the event."""
    assert plant.events()[plant.answers["unkept"].json()["id"]].trace is None
    assert not [one for one in plant.sink.spans if one.trace == "a" * 32]


def test_an_event_may_bring_its_own_trace(plant: Plant) -> None:
    """A `traceparent` of an event goes before that of the request; one that is none is ignored."""
    assert plant.answers["events"].json()["accepted"] == 2
    events = plant.events()
    assert events["own"].trace == OWN
    request = _only(plant, "POST /events")
    assert events["odd"].trace == f"{request.trace}-{request.span}"


def test_what_is_refused_is_a_trace_too(plant: Plant) -> None:
    """Its status stands in the span; a request that a client got wrong is no failure of ours, and
    a probe makes no span.
    """
    assert plant.answers["refused"].status_code == 422
    found = wait_for(
        lambda: [o for o in list(plant.sink.spans) if o.facts.get("http.route") == "other"], "404"
    )
    assert [(one.name, one.facts["http.response.status_code"]) for one in found] == [("GET", 404)]
    assert found[0].status != FAILED
    assert not [one for one in plant.sink.spans if "livez" in one.name]


def test_metrics_are_those_of_prometheus(plant: Plant) -> None:
    """API and worker send what `/metrics` shows: counters as monotonic sums, histograms with their
    buckets, each labelled as there.
    """
    api, worker = "driftgauge-api", "driftgauge-worker"
    metrics = plant.sink.metrics

    def sent(service: str, name: str) -> Any:
        return wait_for(lambda: metrics.get((service, name)), f"{name} of {service}")

    def published() -> bool:
        (point,) = sent(api, "driftgauge_events_published").sum.data_points
        return bool(point.as_double >= 6)

    def models() -> bool:
        (point,) = sent(worker, "driftgauge_worker_models").gauge.data_points
        return bool(point.as_double == 1)

    wait_for(published, "the events")
    wait_for(models, "the model")
    assert sent(api, "driftgauge_events_published").sum.is_monotonic
    latency = sent(api, "driftgauge_predict_duration_seconds")
    assert latency.unit == "s"
    point = latency.histogram.data_points[0]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert sum(point.bucket_counts) == point.count
    counted = sent(api, "driftgauge_events_counted").sum.data_points[0]
    assert {one.key for one in counted.attributes} >= {"model", "version"}


def test_nothing_of_a_person_is_sent(plant: Plant) -> None:
    """No id, no value, no query and no address is in what the collector got."""
    _only(plant, "POST /events")
    raw = plant.sink.raw
    assert PERSON.encode() not in raw
    assert str(VALUE).encode() not in raw
    assert msgspec.msgpack.encode(VALUE)[1:][::-1] not in raw  # a double in protobuf
    assert b"127.0.0.1" not in raw
