"""A worker's own metrics, of real work on a real Redis."""

import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import numpy as np
import redis

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.metrics.port import Port, Teller
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.access.listening import listen
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import FIELD, PaneEntry, encode
from driftgauge.shared.metrics.figures import Figures
from driftgauge.shared.settings import Settings
from tests.consumer.judging import builders
from tests.exposition import Metrics, parse
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    stage_thread,
    wait_for,
    worker_thread,
)


def total(metrics: Metrics, name: str, **labels: str) -> float:
    found = [one for family in metrics.values() for one in family.samples if one.name == name]
    return sum(one.value for one in found if labels.items() <= one.labels.items())


def test_what_a_worker_did(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """It owns the stages of the model, has committed, failed on nothing and is not behind; it is
    ready; and it left the figures of the window and the latencies that /metrics of the API shows.
    """
    publish(client, keys)
    start_ms = int(time.time() * 1000) - 60_000
    append(client, keys.log(MODEL, 0), events(1, 2000, start_ms))
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with (
        worker_thread(settings_of(redis_url, keys)) as worker,
        httpx.Client(base_url=url, trust_env=False, verify=False) as http,  # noqa: S501  plain HTTP
    ):
        port = Port(listener, Teller(worker.standing, KeyRing(Path("no/keys.json"))))
        port.start()
        try:
            wait_for(lambda: arrived(client, keys) == 2000 and judged_all(client, keys), "events")
            wait_for(lambda: http.get("/readyz").status_code == 200, "the worker to be ready")
            metrics = parse(http.get("/metrics").text)
        finally:
            port.close()
    of = {"stage": "counting", "model": MODEL}
    assert total(metrics, "driftgauge_stage_commits_total", **of) > 0
    assert total(metrics, "driftgauge_stage_commits_total", stage="judging", model=MODEL) > 0
    assert total(metrics, "driftgauge_stage_seconds_total", **of) > 0
    assert total(metrics, "driftgauge_stage_spell_duration_seconds_count", stage="counting") > 0
    assert total(metrics, "driftgauge_takeovers_total", stage="counting") >= 1
    assert total(metrics, "driftgauge_stage_failures_total", reason="fault") == 0
    assert total(metrics, "driftgauge_worker_redis_up") == 1
    assert total(metrics, "driftgauge_worker_models") == 1
    figures = msgspec.json.decode(client.hget(keys.figures(MODEL), "1.0.0"), type=Figures)
    assert (figures.rows, figures.of_features) == (2000, len(figures.features))
    assert {one.name for one in figures.features} >= {"smooth", "prediction"}
    traffic = counters(client, keys).traffic["1.0.0"]
    assert traffic.sources == {"online": 2000}
    assert (sum(traffic.latency), traffic.latency_us) == (2000, 2_000_000)


def test_the_figures_of_a_version_end_with_it(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Judging deletes what /metrics shows of a version when it retires, in the commit that ends its
    alerts; its latest window stays for the pages.
    """
    for name, found in builders.PUBLISHED.items():
        client.hset(keys.versions(MODEL), name, found.pack())
    made = builders.Stream(np.random.default_rng(0)).panes(12).panes(10, version="2.0.0")
    made.panes(1, version="2.0.0", seconds=3600)
    *first, last = made.entries
    settings = Settings(**settings_of(redis_url, keys))
    stage = JudgingStage(raw_reads(connect(redis_url)), settings, MODEL, 1, JudgingPolicy())

    def write(entries: Sequence[tuple[str, PaneEntry]]) -> None:
        for entry_id, entry in entries:
            client.xadd(keys.panes(MODEL, 0), {FIELD: encode(entry)}, id=entry_id)

    write(first)
    with stage_thread(stage, redis_url):
        wait_for(lambda: judged_all(client, keys), "the first panes to be judged")
        assert set(client.hkeys(keys.figures(MODEL))) == {b"1.0.0", b"2.0.0"}
        write([last])
        wait_for(lambda: judged_all(client, keys), "the last one")
    assert client.hkeys(keys.figures(MODEL)) == [b"2.0.0"]
    assert set(client.hkeys(keys.brief(MODEL))) == {b"1.0.0", b"2.0.0"}
    stage.client.close()
