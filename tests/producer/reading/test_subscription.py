import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.reading.positions import read_vector, write_vector
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio

Block = dict[str, str]


@contextlib.asynccontextmanager
async def following(
    url: str, query: str = "", last: str | None = None, kind: str = "alert"
) -> AsyncIterator[AsyncIterator[Block]]:
    """Open the stream of a kind of events; the iterator gives its blocks."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http,
        http.stream("GET", f"/{kind}s/stream{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield blocks(answer.aiter_lines())


async def blocks(lines: AsyncIterator[str]) -> AsyncIterator[Block]:
    block: Block = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            block[name] = block[name] + "\n" + value if name in block else value
        elif block:
            yield block
            block = {}


def alert(client: redis.Redis, keys: Keys, model: str, text: str) -> None:
    client.xadd(keys.alerts(model), {"e": text})


async def take(stream: AsyncIterator[Block], events: int) -> list[Block]:
    with anyio.fail_after(60):
        found: list[Block] = []
        while len(found) < events:
            block = await anext(stream)
            if block.get("event") in {"alert", "incident"}:
                found.append(block)
        return found


@pytest.mark.usefixtures("linear")
async def test_one_model_resumes_without_loss(api: str, client: redis.Redis, keys: Keys) -> None:
    """From now; after a cut, even one before the first event, from where the subscriber stood:
    nothing is lost.
    """
    alert(client, keys, "linear", '{"n":0}')
    async with following(api, "?model=linear") as stream:
        opening = await anext(stream)
    assert "data" not in opening
    alert(client, keys, "linear", '{"n":1}')
    alert(client, keys, "linear", '{\n"n":2}\r')
    async with following(api, "?model=linear", opening["id"]) as stream:
        first, second = await take(stream, 2)
    assert (first["data"], second["data"]) == ('{"n":1}', '{\n"n":2}')
    async with following(api, "?model=linear&last_event_id=" + first["id"]) as stream:
        assert await take(stream, 1) == [second]


@pytest.mark.usefixtures("linear")
async def test_incidents_are_followed_apart_from_alerts(
    api: str, client: redis.Redis, keys: Keys
) -> None:
    """Their stream has them alone, and resumes as that of the alerts does."""
    async with following(api, "?model=linear", kind="incident") as stream:
        opening = await anext(stream)
        alert(client, keys, "linear", '{"alert":1}')
        client.xadd(keys.incidents("linear"), {"e": '{"n":1}'})
        (first,) = await take(stream, 1)
    assert (first["event"], first["data"]) == ("incident", '{"n":1}')
    client.xadd(keys.incidents("linear"), {"e": '{"n":2}'})
    async with following(api, "?model=linear", opening["id"], "incident") as stream:
        assert [block["data"] for block in await take(stream, 2)] == ['{"n":1}', '{"n":2}']


@pytest.mark.usefixtures("linear")
async def test_all_models_by_a_vector(api: str, client: redis.Redis, keys: Keys) -> None:
    """The vector resumes each model where it stood; a model that comes later is followed from its
    beginning.
    """
    client.sadd(keys.models, "linear", "early")
    alert(client, keys, "early", "old")
    async with following(api) as stream:
        opening = await anext(stream)
        alert(client, keys, "linear", "a")
        (first,) = await take(stream, 1)
        alert(client, keys, "late", "b")
        client.sadd(keys.models, "late")
        alert(client, keys, "early", "c")
        assert {block["data"] for block in await take(stream, 2)} == {"b", "c"}
    assert read_vector(opening["id"]).keys() == {"linear", "early"}
    async with following(api, "", first["id"]) as stream:
        assert {block["data"] for block in await take(stream, 2)} == {"b", "c"}
    async with following(api, "", write_vector({})) as stream:
        assert {block["data"] for block in await take(stream, 4)} == {"old", "a", "b", "c"}


@pytest.mark.parametrize(
    ("query", "last"),
    [
        ("?model=linear", "$"),
        ("?model=linear", "1-0\u00b2"),
        ("?model=linear", "99999999999999999999-0"),
        ("", "1-0"),
        ("", "!!!"),
        ("", write_vector({"Bad Name": "1-0"})),
        ("", write_vector({"linear": "$"})),
    ],
)
@pytest.mark.usefixtures("linear")
async def test_a_malformed_position_is_refused(settings: Settings, query: str, last: str) -> None:
    """An id that the stream never sent is 400; an unknown model 404."""
    async with running(create_app(settings)) as http:
        headers = {"Last-Event-ID": last.encode("latin-1")}
        problem(await http.get(f"/alerts/stream{query}", headers=headers), 400)
        problem(await http.get("/alerts/stream?model=nobody"), 404)


async def test_survives_the_loss_of_redis(
    linear: ModelRegistry, settings: Settings, tmp_path: Path
) -> None:
    """A subscription outlives a crash of Redis and goes on where it stood."""
    keys = Keys(settings.key_prefix)
    publish(linear, "other", SCHEMA, rows())
    with EmbeddedRedis(tmp_path / "redis") as server:
        app = create_app(settings.model_copy(update={"redis_url": server.url}))
        async with running(app):
            subscription = await app.state.parts.subscriptions.open("linear", None)
            stream = subscription.blocks()
            assert b"id: 0-0" in await anext(stream)
            with connect(server.url) as client:
                alert(client, keys, "linear", "a")
                assert b"data: a" in await anext(stream)
                server.kill()
                server.start()
            with connect(server.url) as client:
                alert(client, keys, "linear", "b")
            with anyio.fail_after(60):
                assert b"data: b" in await anext(stream)
            await stream.aclose()
