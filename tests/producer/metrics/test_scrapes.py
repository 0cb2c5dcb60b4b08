"""A scrape of the API: what is in Redis, whatever the names, at a bounded cost."""

from typing import Any

import httpx
import pytest
import redis
import redis.asyncio

from driftgauge.producer.metrics.scrapes import AT_ONCE
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.metrics.text import MEDIA_TYPES
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests import hostile
from tests.exposition import check_by_promtool, parse, parse_openmetrics
from tests.producer.conftest import serving
from tests.producer.dashboard.snapshots import Judging, feature, snapshot

pytestmark = pytest.mark.anyio
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"


async def scrape(http: httpx.AsyncClient, accept: str = "") -> httpx.Response:
    answer = await http.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    return answer


@pytest.mark.usefixtures("linear")
async def test_hostile_names_in_both_formats(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A model that is made of hostile names is read by Prometheus's linter and by the parsers of
    both formats: no name ends a line, and no series comes twice.
    """
    hostile.write(client, keys)
    Judging(client, keys, "linear").current(snapshot(5, model="linear"))
    async with serving(settings) as http:
        plain, strict = await scrape(http), await scrape(http, ACCEPT)
    assert plain.headers["content-type"] == MEDIA_TYPES["text"]
    assert strict.headers["content-type"] == MEDIA_TYPES["openmetrics"]
    assert plain.headers["vary"] == "accept"
    check_by_promtool(plain.content)
    metrics = parse(plain.text)
    assert metrics.keys() <= parse_openmetrics(strict.text).keys()
    samples = [sample for family in metrics.values() for sample in family.samples]
    named = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(named) == len(set(named))
    features = {one.labels["feature"] for one in metrics["driftgauge_feature_psi"].samples}
    assert {hostile.SCRIPT, hostile.REVERSED, "x"} <= features


async def test_a_scrape_is_told_again_for_a_second(
    linear: ModelRegistry,
    settings: Settings,
    client: redis.Redis,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten scrapers cost one read, of one round trip for the windows of a hundred models."""
    published = linear.load("linear", "1.0.0").pack()
    names = [f"m{number}" for number in range(AT_ONCE + 20)]
    for name in names:
        client.hset(keys.versions(name), "1.0.0", published)
        Judging(client, keys, name).current(snapshot(5, [feature("x"), feature("y")], model=name))
    sent, clock = 0, 1000.0
    execute = redis.asyncio.client.Pipeline.execute

    async def counted(pipe: redis.asyncio.client.Pipeline, **how: bool) -> object:
        nonlocal sent
        sent += any(str(command[0][-1]).endswith(":figures") for command in pipe.command_stack)
        return await execute(pipe, **how)

    async with serving(settings) as http:
        monkeypatch.setattr(redis.asyncio.client.Pipeline, "execute", counted)
        monkeypatch.setattr("driftgauge.producer.metrics.scrapes.monotonic", lambda: clock)
        found = parse((await scrape(http)).text)
        assert sent == 2
        for _ in range(10):
            await scrape(http)
        assert sent == 2
        clock += 600
        await scrape(http)
        assert sent == 4
    assert len(found["driftgauge_feature_psi"].samples) == 200
    omitted = sum(one.value for one in found["driftgauge_features_omitted"].samples)
    assert omitted == 3 * len(names) - 200


@pytest.mark.usefixtures("linear")
async def test_what_others_wrote_hides_no_model(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A key of another type, and figures that cannot be read, cost their own model alone."""
    for name in ("linear", "spoilt", "torn"):
        Judging(client, keys, name).current(snapshot(5, model=name))
    client.delete(keys.figures("spoilt"))
    client.set(keys.figures("spoilt"), "mine")
    client.hset(keys.figures("torn"), "1.0.0", b"{")
    client.hset(keys.open_incidents("torn"), "x", b"[]")
    async with serving(settings) as http:
        metrics: Any = parse((await scrape(http)).text)
    assert {one.labels["model"] for one in metrics["driftgauge_feature_psi"].samples} == {"linear"}
    assert metrics["driftgauge_redis_up"].samples[0].value == 1
    assert metrics["driftgauge_pipeline_readable"].samples[0].value == 0
