"""Downloads of the archive: all predictions with their labels, whatever happens to the process that
writes them.
"""

import asyncio
import csv
import io
import json
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.confined import Ended
from driftgauge.producer.exporting import child
from driftgauge.shared.archive.exporting import FORMS
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.hostile import FORMULA
from tests.producer.conftest import api_process, running, until
from tests.producer.reading.predictions.world import MODEL, NOON, World
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


@pytest.fixture
def world(client: redis.Redis, keys: Keys, settings: Settings, tmp_path: Path) -> World:
    client.sadd(keys.models, MODEL)
    return World(client, keys, settings, tmp_path / "archive")


async def published(world: World) -> None:
    await until(lambda: world.client.exists(world.keys.versions(MODEL)))


async def test_a_download_has_every_prediction_of_archive_and_log(world: World) -> None:
    """In each form as many as were counted, once each, with the last label; a filter chooses among
    both.
    """
    for place in range(30):
        world.predict(f"a{place}", float(place))
    for value in (7.0, 8.0):
        world.add(Label("a3", value, NOON))
    world.archive(25)
    world.trim(10)
    world.count()
    async with running(create_app(world.settings)) as http:
        await published(world)
        for form in FORMS:
            answer = await http.get(f"/predictions?format={form}")
            rows = read(form, answer)
            assert [row["id"] for row in rows] == [f"a{place}" for place in range(30)]
            assert [float(row["label"]) for row in rows if row["label"]] == [8.0]
            assert f".{form}" in answer.headers["content-disposition"]
        for query, places in (
            (f"least=4&most=9&since={NOON + 4000}&until={NOON + 7000}", [4, 5]),
            ("id=a27", [27]),
            ("version=2.0.0", []),
            ("prediction=--id", []),
        ):
            answer = await http.get(f"/predictions?format=csv&{query}")
            assert [row["id"] for row in read("csv", answer)] == [f"a{one}" for one in places]


def read(form: str, answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    if form == "parquet":
        rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(answer.content)).to_pylist()
        return rows
    if form == "csv":
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_no_cell_is_run_by_a_spreadsheet(world: World) -> None:
    """A formula that came as an id has a quote before it; a number keeps its minus."""
    for name in ("=1+1", FORMULA):
        world.add(Prediction(name, "1.0.0", NOON, [-1.5, 2.0], -2.5))
    world.archive(1)
    world.count()
    async with running(create_app(world.settings)) as http:
        await published(world)
        found = read("csv", await http.get("/predictions?format=csv"))
    assert [row["id"] for row in found] == ["'=1+1", f"'{FORMULA}"]
    assert {(row["x"], row["prediction"]) for row in found} == {("-1.5", "-2.5")}


async def test_the_page_leads_to_the_downloads(world: World, settings: Settings) -> None:
    """With the filters that are set; without an archive there is CSV alone."""
    async with running(create_app(world.settings)) as http:
        text = (await http.get("/dashboard/log?least=2", headers={"Accept": "text/html"})).text
        for form in FORMS:
            assert f"/predictions?model=linear&amp;format={form}&amp;least=2" in text
    async with running(create_app(settings)) as http:
        text = (await http.get("/dashboard/log", headers={"Accept": "text/html"})).text
        assert "format=csv" in text
        assert "format=parquet" not in text
        said = problem(await http.get("/predictions?format=parquet"), 422)
        assert "DRIFTGAUGE_ARCHIVE_URL" in said["detail"]


async def test_what_cannot_begin_is_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that no command can get; an export that says what is wrong; and more exports at a
    time than are allowed.
    """
    async with running(create_app(world.settings)) as http:
        problem(await http.get("/predictions?format=csv&prediction=%00"), 422)
        waiting = threading.Event()

        async def slow(*_: object) -> AsyncGenerator[bytes | Ended, None]:
            while not waiting.is_set():  # noqa: ASYNC110  it is polled by one test
                await asyncio.sleep(0.01)
            yield Ended(65, b"", "driftgauge: planted\n")

        monkeypatch.setattr(child, "stream", slow)
        asked = [
            asyncio.create_task(http.get("/predictions?format=csv")) for _ in range(child.MOST)
        ]
        await asyncio.sleep(0.1)
        said = problem(await http.get("/predictions?format=csv"), 503)
        assert "ask again when one is done" in said["detail"]
        waiting.set()
        for answer in await asyncio.gather(*asked):
            assert "planted" in problem(answer, 503)["detail"]
        assert "planted" in problem(await http.get("/predictions?format=csv"), 503)["detail"]


async def test_a_download_that_is_not_whole_breaks_off(world: World, tmp_path: Path) -> None:
    """A damaged file costs itself; the client is told by its connection, since an answer began."""
    for place in range(2):
        world.predict(f"a{place}")
        world.archive()
    world.count()
    world.damage()
    with api_process(world.settings, tmp_path) as (url, _):
        address = f"{url}/predictions?model={MODEL}&format=csv"
        got: list[bytes] = []
        with pytest.raises(httpx.RemoteProtocolError):
            await take(address, got)
    assert b'"a1"' in b"".join(got)


async def take(address: str, got: list[bytes]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, http.stream("GET", address) as answer:
        async for block in answer.aiter_bytes():
            got.append(block)  # noqa: PERF401  what came before the error is looked at


async def test_who_leaves_ends_the_export(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process ends, its temporary files go, and the next one begins."""
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setenv("TMPDIR", str(files))
    world.archive_many(60_000)
    with api_process(world.settings, tmp_path) as (url, process):
        address = f"{url}/predictions?model={MODEL}&format=jsonl"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def left() -> tuple[list[str], list[Path]]:
            return children.read_text().split(), list(files.iterdir())

        for _ in range(child.MOST + 1):
            async with (
                httpx.AsyncClient(trust_env=False, timeout=60) as http,
                http.stream("GET", address) as answer,
            ):
                assert answer.status_code == 200
                await anext(answer.aiter_bytes())
                assert all(left())
            await until(lambda: not any(left()))
