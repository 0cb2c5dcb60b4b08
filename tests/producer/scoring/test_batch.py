import asyncio
import csv
import gzip
import io
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
import redis
from click.testing import CliRunner
from sklearn.linear_model import LinearRegression

from driftgauge.producer.app import create_app
from driftgauge.producer.commands.predict import predict
from driftgauge.producer.commands.upload import statuses
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, ServiceUnavailable
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
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
from tests.producer.routes.logged.test_events import log
from tests.producer.routes.test_predict import Moody, problem

pytestmark = pytest.mark.anyio

CSV = {"Content-Type": "text/csv"}


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.usefixtures("linear")
async def test_each_row_is_answered_in_its_place_and_published(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Rows that fit are predicted and are events of source batch; the others are told with their
    line, and are none.
    """
    body = "y,x\n1,1\n2,s\n\n3,200\n4,4\n5\n"
    async with serving(settings) as http:
        answer = await http.post("/predict_batch", content=body, headers=CSV)
        found = table(answer)
        assert answer.headers["driftgauge-model"] == "linear"
        assert answer.headers["driftgauge-version"] == "1.0.0"
        listed = await http.post(
            "/predict_batch", json=[{"x": 1, "y": 1}, {"y": 1}, {"x": 4, "y": 4}]
        )
    assert [(row["row"], row["line"], row["status"]) for row in found] == [
        ("1", "2", "ok"),
        ("2", "3", "invalid"),
        ("3", "5", "invalid"),
        ("4", "6", "ok"),
        ("5", "7", "invalid"),
    ]
    assert [row["error"] for row in found[1:3]] == [
        "x must be a number, not a string",
        "x is above the declared maximum 100",
    ]
    document = listed.json()
    assert (document["model"], document["version"]) == ("linear", "1.0.0")
    assert document["summary"] == {"ok": 2, "invalid": 1, "published": 2}
    events = log(client, keys.log("linear", 0))
    assert [event.features for event in events] == [[1, 1], [4, 4]] * 2
    assert [event.prediction for event in events] == pytest.approx([3, 12] * 2)
    assert {event.source for event in events} == {"batch"}
    assert {event.latency_ms for event in events} == {None}
    assert [event.id for event in events[:2]] == [found[0]["id"], found[3]["id"]]
    assert [float(found[0]["prediction"]), float(found[3]["prediction"])] == [
        event.prediction for event in events[:2]
    ]
    assert [event.id for event in events[2:]] == [document["rows"][at]["id"] for at in (0, 2)]


async def test_blocks_are_answered_in_order(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A batch of many blocks is answered row by row in its order; a row that breaks the model fails
    alone.
    """
    publish(registry, "moody", SCHEMA, rows(), Moody())
    settings = settings.model_copy(update={"score_batch_rows": 7})
    async with serving(settings) as http:
        answer = await http.post(
            "/predict_batch",
            json={"rows": [{"x": at, "y": 0} for at in range(50)], "model": "moody"},
        )
    found = answer.json()["rows"]
    assert [row["row"] for row in found] == list(range(1, 51))
    assert [row["row"] - 1 for row in found if row["status"] == "failed"] == [13, 14]
    assert [row["prediction"] for row in found if row["status"] == "ok"] == [
        at for at in range(50) if at not in (13, 14)
    ]
    assert len(log(client, keys.log("moody", 0))) == 48


@pytest.mark.usefixtures("linear")
async def test_what_cannot_be_used_as_a_whole_is_refused_before_anything_is_scored(
    settings: Settings,
) -> None:
    """Wrong headers, forms, sizes and models are problems that say what to do, and nothing was
    scored.
    """
    app = create_app(settings.model_copy(update={"batch_max_rows": 3, "batch_max_bytes": 1000}))
    async with running(app) as http:

        async def refused(status: int, body: str, **headers: str) -> dict[str, Any]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return problem(
                await http.post("/predict_batch", content=body, headers={**CSV, **named}), status
            )

        faults = (await refused(422, "x,x,z\n1,1,1\n"))["errors"]
        assert [fault["field"] for fault in faults] == ["/header/x", "/header/z", "/header/y"]
        assert "DRIFTGAUGE_BATCH_MAX_ROWS" in (await refused(413, "x,y\n" + "1,1\n" * 4))["detail"]
        assert "DRIFTGAUGE_BATCH_MAX_BYTES" in (await refused(413, "x,y\n" + " " * 1000))["detail"]
        assert "line 2" in (await refused(400, 'x,y\n1,"2\n'))["detail"]
        assert "text/csv" in (await refused(415, "x,y\n", Content_Type="text/plain"))["detail"]
        assert "text/csv" in (await refused(406, "x,y\n1,1\n", Accept="image/png"))["detail"]
        problem(await http.post("/predict_batch?model=nobody", content="x,y\n", headers=CSV), 404)
        problem(await http.post("/predict_batch", json={"rows": [], "model": "nobody"}), 404)
        problem(await http.post("/predict_batch", content=b"[\xff]"), 400)
        assert app.state.parts.scorer.calls == 0
        assert (
            table(await http.post("/predict_batch", content="x,y\n" + "1,1\n" * 3, headers=CSV))[2][
                "row"
            ]
            == "3"
        )
        assert not list(settings.data_dir.glob("tmp*"))


@pytest.mark.usefixtures("linear")
async def test_batches_and_bodies_that_are_not_whole_are_bounded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of batches, and beyond the memory for large bodies, the next one is 503 and
    says so; when those before have ended, however they did, it is taken.
    """
    monkeypatch.setattr("driftgauge.producer.scoring.batch.MOST_BATCHES", 2)
    monkeypatch.setattr("driftgauge.producer.app.MOST_BODY_BYTES", 300_000)
    app = create_app(settings.model_copy(update={"events_max_bytes": 1 << 16}))
    go_on = asyncio.Event()

    async def slow(part: bytes) -> AsyncIterator[bytes]:
        yield part
        await go_on.wait()

    async with running(app) as http:

        async def batch(content: Any) -> int:
            return (await http.post("/predict_batch", content=content, headers=CSV)).status_code

        async def large(content: Any) -> int:
            return (await http.post("/predict", content=content)).status_code

        parts = app.state.parts
        waiting = [asyncio.create_task(batch(slow(b"x,y\n"))) for _ in range(2)]
        await until(lambda: parts.batches._open == 2)
        assert await batch("x,y\n1,1\n") == 503
        waiting += [asyncio.create_task(large(slow(b" " * 200_000)))]
        await until(lambda: parts.bodies.held == 200_000)
        assert await large(b" " * 200_000) == 503
        go_on.set()
        assert await asyncio.gather(*waiting) == [200, 200, 400]
        assert await batch("x,y\n1,1\n") == 200
        assert await large(b" " * 200_000) == 400
        assert await batch("x,z\n1,1\n") == 422
        assert (parts.batches._open, parts.bodies.held) == (0, 0)


@pytest.mark.usefixtures("linear")
async def test_the_answer_has_the_form_that_is_asked_for(settings: Settings) -> None:
    """CSV or JSON by Accept, whichever the body was; the body's form where any will do."""
    async with running(create_app(settings)) as http:
        for accept, kind in (
            ("application/json", "json"),
            ("text/csv", "csv"),
            ("*/*", "csv"),
            ("text/html,*/*;q=.1", "csv"),
        ):
            answer = await http.post(
                "/predict_batch", content="x,y\n1,1\n", headers={**CSV, "Accept": accept}
            )
            assert kind in answer.headers["content-type"]
        assert (await http.post("/predict_batch", json=[])).json() == {
            "model": "linear",
            "version": "1.0.0",
            "rows": [],
            "summary": {},
        }


@pytest.mark.usefixtures("linear")
async def test_single_requests_take_turns_with_a_batch(settings: Settings) -> None:
    """While a batch is scored, a single request waits for one block at most; and requests do not
    starve the batch.
    """
    app = create_app(settings.model_copy(update={"score_batch_rows": 4}))
    async with running(app) as http:
        scorer = app.state.parts.scorer
        served = app.state.parts.serving.choose(None)
        order: list[str] = []

        async def single(name: str) -> None:
            await scorer.score(served, [1.0, 1.0])
            order.append(name)

        async def block(name: str) -> None:
            await scorer.score_block(served, [[1.0, 1.0]] * 4)
            order.append(name)

        blocks = [asyncio.create_task(block(f"block {at}")) for at in range(4)]
        singles = [asyncio.create_task(single(f"single {at}")) for at in range(12)]
        await asyncio.gather(*blocks, *singles)
        assert order.index("single 0") < order.index("block 1")
        assert order.index("block 1") < order.index("single 11")
        answer, *_ = await asyncio.gather(
            http.post("/predict_batch", json=[GOOD] * 100),
            *(http.post("/predict", json={"features": GOOD}) for _ in range(20)),
        )
        assert answer.json()["summary"]["ok"] == 100


@pytest.mark.usefixtures("linear")
async def test_a_full_queue_is_told_and_leaves_room_for_single_predictions(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With neither Redis nor a spool a batch waits, then says dropped; half of the queue is kept
    for /predict.
    """
    monkeypatch.setattr("driftgauge.producer.scoring.batch.PATIENCE_S", 0.2)
    monkeypatch.setattr("driftgauge.producer.publishing.publisher.DRAIN_S", 0.1)
    away = {
        "redis_url": f"unix://{tmp_path}/none.sock",
        "queue_events": 20,
        "spool_max_bytes": 1,
        "ack_timeout_ms": 20,
    }
    app = create_app(settings.model_copy(update=away))
    async with running(app) as http:
        summary = (await http.post("/predict_batch", json=[GOOD] * 100)).json()["summary"]
        assert summary["ok"] == 100
        assert summary["dropped"] == 90
        assert app.state.parts.publisher.queued == 10
        assert (await http.post("/predict", json={"features": GOOD})).json()["event"] == "queued"


@pytest.mark.usefixtures("linear")
async def test_a_client_that_leaves_stops_its_batch(settings: Settings, tmp_path: Path) -> None:
    """When the client has gone, no further block is scored, while it sends or while it reads; the
    API goes on.
    """
    settings = settings.model_copy(update={"score_batch_rows": 1})
    with api_process(settings, tmp_path) as (url, _):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:

            async def published() -> int:
                return int((await http.get("/health")).json()["published"])

            async def cut_off() -> AsyncIterator[bytes]:
                yield b"x,y\n1,1\n"
                raise ConnectionAbortedError

            with pytest.raises(ConnectionAbortedError):
                await http.post("/predict_batch", content=cut_off(), headers=CSV)
            assert await published() == 0
            body = "x,y\n" + "1,1\n" * 50_000
            async with http.stream("POST", "/predict_batch", content=body, headers=CSV) as answer:
                async for part in answer.aiter_bytes():
                    if b"published" in part:
                        break
            before = await published()
            assert 0 < before < 50_000

            async def still() -> bool:
                seen = await published()
                await asyncio.sleep(0.2)
                return await published() == seen

            await until(still)
            assert await published() < 50_000
            assert (await http.post("/predict", json={"features": GOOD})).status_code == 200
        assert "rror" not in (tmp_path / "api.log").read_text()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
@pytest.mark.usefixtures("linear")
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc"
)
async def test_memory_does_not_grow_with_the_rows(
    settings: Settings, tmp_path: Path, client: redis.Redis, keys: Keys
) -> None:
    """100,000 rows pass, as CSV and as JSON, in the memory that 10,000 take: nothing is kept of a
    row that was answered.
    """
    settings = settings.model_copy(update={"ring_max_bytes": 1 << 20})
    with api_process(settings, tmp_path) as (url, process):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as http:

            async def send(number: int, *, as_csv: bool) -> None:
                body = (
                    "x,y\n" + "1.25,-3.5\n" * number
                    if as_csv
                    else json.dumps([{"x": 1.25, "y": -3.5}] * number)
                )
                headers = CSV if as_csv else {"Content-Type": "application/json"}
                found = 0
                async with http.stream(
                    "POST", "/predict_batch", content=body, headers=headers
                ) as answer:
                    async for part in answer.aiter_bytes():
                        found += part.count(b"\n")  # each answer ends a line
                assert found >= number

            for as_csv in (True, False):
                await send(10_000, as_csv=as_csv)
            before = resident_bytes(process.pid)
            await send(100_000, as_csv=True)
            await send(100_000, as_csv=False)
            grown = resident_bytes(process.pid) - before
    assert grown < 12 << 20  # the bodies have 1 and 3 MB, the events 30 MB
    assert client.xlen(keys.log("linear", 0)) == 220_000


@pytest.mark.usefixtures("linear")
def test_the_command_predicts_a_file(api: str, tmp_path: Path) -> None:
    """A file's features are sent, and its answers are a file, row for row; bad rows are counted,
    and told in it.
    """
    file, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    file.write_text(
        "note,x,y\n"
        + "".join(f'"a\nb",{at % 100},0\n' for at in range(600))
        + "ragged,1\n\nlast,s,1\n"
    )

    def run(*options: str) -> Any:
        return CliRunner().invoke(
            predict,
            [str(file), "--model", "linear", "--output", str(output), "--url", api, *options],
        )

    result = run()
    assert result.exit_code == 0, result.output
    assert "Predicted 600 rows" in result.output
    assert "Without a prediction: 2" in result.output
    assert "note" in result.output
    found = list(csv.DictReader(output.read_text().splitlines()))
    assert [float(row["prediction"]) for row in found[:600]] == pytest.approx(
        [2 * (at % 100) for at in range(600)]
    )
    assert [row["status"] for row in found[600:]] == ["invalid", "invalid"]
    assert json.loads(run("--json").stdout) == {"ok": 600, "invalid": 2}
    file.write_text("x\n1\n")
    output.write_text("as it was")
    result = run()
    assert isinstance(result.exception, BadData)
    assert "/header/y" in str(result.exception)
    file.unlink()
    assert "no file" in str(run().exception)
    assert output.read_text() == "as it was"
    assert not list(tmp_path.glob(".out*"))


def test_the_command_says_that_nothing_answers(tmp_path: Path) -> None:
    """Without an API the error says how to start one."""
    (tmp_path / "rows.csv").write_text("x\n1\n")
    arguments = [
        str(tmp_path / "rows.csv"),
        "--model",
        "m",
        "--output",
        str(tmp_path / "o"),
        "--url",
        "http://127.0.0.1:9",
    ]
    result = CliRunner().invoke(predict, arguments)
    assert isinstance(result.exception, ServiceUnavailable)
    assert "driftgauge serve" in str(result.exception)


async def test_a_batch_is_scored_by_one_version(
    registry: ModelRegistry, settings: Settings
) -> None:
    """A promotion in the midst of a batch changes nothing for it: all its rows are of the version
    that its answer names.
    """
    frame = rows()
    publish(registry, "linear", SCHEMA, frame, LinearRegression().fit(np.zeros((2, 2)), [1, 1]))
    app = create_app(settings.model_copy(update={"score_batch_rows": 2}))
    async with running(app) as http:
        serving_of = app.state.parts.serving
        scorer = app.state.parts.scorer
        score_block = scorer.score_block

        async def promoting(served: Any, block: Any) -> Any:
            if scorer.calls == 3:
                publish(
                    registry,
                    "linear",
                    SCHEMA,
                    frame,
                    LinearRegression().fit(np.zeros((2, 2)), [2, 2]),
                )
                await serving_of.refresh()
            return await score_block(served, block)

        scorer.score_block = promoting
        document = (await http.post("/predict_batch", json=[GOOD] * 20)).json()
        assert serving_of.choose(None).version == "2.0.0"
    assert document["version"] == "1.0.0"
    assert {row["prediction"] for row in document["rows"]} == {1.0}


def test_dropped_events_are_counted_beside_the_statuses(tmp_path: Path) -> None:
    """Whoever predicts a file learns that events were dropped, though every row has its
    prediction.
    """
    path = tmp_path / "out.csv"
    path.write_text("row,status,event\n1,ok,published\n2,ok,dropped\n3,invalid,\n")
    assert statuses(path) == {"ok": 2, "invalid": 1, "dropped": 1}


ROWS = [{"x": 1.5, "y": 2.0, "order": "o-1", "when": "2025-11-20 20:15"}] * 2


def body_of(kind: str) -> tuple[bytes, str]:
    """The same two rows in each form, with the content type that says so."""
    frame = pd.DataFrame(ROWS).assign(order=["o-1", "o-2"])
    if kind == "parquet":
        return frame.to_parquet(), "application/vnd.apache.parquet"
    if kind == "lines":
        return frame.to_json(orient="records", lines=True).encode(), "application/x-ndjson"
    if kind == "json":
        return frame.to_json(orient="records").encode(), "application/json"
    return frame.to_csv(index=False, sep=kind).encode(), "text/csv"


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("kind", [",", ";", "\t", "lines", "json", "parquet"])
async def test_ids_and_times_of_rows_in_every_form(
    kind: str, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A batch in any form may give its predictions' ids and times, in columns that its address
    names; it is published with them, and answered with the ids.
    """
    body, content_type = body_of(kind)
    columns = {"id_column": "order", "time_column": "when"}
    async with serving(settings) as http:
        answer = await http.post(
            "/predict_batch",
            params=columns,
            content=body,
            headers={"Content-Type": content_type, "Accept": "application/json"},
        )
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json()["rows"]] == ["o-1", "o-2"]
    events: Any = client.xrange(keys.log("linear", 0))
    found = [msgspec.json.decode(fields[b"e"], type=Prediction) for _, fields in events]
    assert {one.time for one in found} == {1763669700000}
    assert all(one.client_id and one.prediction == pytest.approx(5.0) for one in found)
    assert all(one.received is not None and one.received > one.time for one in found)


@pytest.mark.usefixtures("linear")
async def test_ids_and_times_that_cannot_be_used(settings: Settings) -> None:
    """A named column that is absent is a fault of the header, a bad id or time one of its row."""
    columns = {"id_column": "order", "time_column": "when"}
    async with serving(settings) as http:

        async def post(text: str) -> httpx.Response:
            return await http.post(
                "/predict_batch", params=columns, content=text.encode(), headers=CSV
            )

        absent = await post("x,y,order\n1,2,a\n")
        assert absent.json()["errors"] == [{"field": "/header/when", "message": "is missing"}]
        bad = csv.DictReader(io.StringIO((await post("x,y,order,when\n1,2,,noon\n")).text))
        [row] = list(bad)
    assert row["status"] == "invalid"
    assert "order must be an id of 1 to 128 characters" in row["error"]
    assert "when must be a time: a number since 1970, or ISO 8601" in row["error"]


@pytest.mark.usefixtures("linear")
async def test_a_torn_file_is_refused(settings: Settings) -> None:
    """JSON lines are refused by line, and what is no Parquet as such, before anything is scored."""
    async with serving(settings) as http:
        lines = await http.post(
            "/predict_batch",
            content=b'{"x": 1, "y": 2}\n{"x": 1,\n',
            headers={"Content-Type": "application/x-ndjson"},
        )
        parquet = await http.post(
            "/predict_batch",
            content=b"x,y\n1,2\n",
            headers={"Content-Type": "application/vnd.apache.parquet"},
        )
        swapped = await http.post("/predict_batch", content=body_of("parquet")[0], headers=CSV)
        packed = await http.post("/predict_batch", content=gzip.compress(b"x,y\n"), headers=CSV)
        unnamed = await http.post("/predict_batch", content=b"x,y,,\n1,2,,\n", headers=CSV)
    assert (lines.status_code, parquet.status_code) == (400, 400)
    assert "line 2 is no JSON object" in lines.json()["detail"]
    assert "sent as Parquet, but this looks like CSV" in parquet.json()["detail"]
    assert "sent as CSV, but this looks like Parquet" in swapped.json()["detail"]
    assert "compressed by gzip; unpack it first" in packed.json()["detail"]
    assert [fault["field"] for fault in unnamed.json()["errors"]] == ["/header/3", "/header/4"]


@pytest.mark.usefixtures("linear")
def test_the_command_predicts_any_file_with_its_own_ids(
    api: str, client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Parquet is predicted as CSV is; with --id-column the predictions have the rows' own ids, by
    which labels find them, and with --time-column their times.
    """
    file, output = tmp_path / "rows", tmp_path / "out.csv"
    file.write_bytes(body_of("parquet")[0])
    columns = ["--id-column", "order", "--time-column", "when"]
    arguments = [str(file), "--model", "linear", "--output", str(output), "--url", api]
    result = CliRunner().invoke(predict, [*arguments, *columns])
    assert result.exit_code == 0, result.output
    assert [row["id"] for row in csv.DictReader(output.read_text().splitlines())] == ["o-1", "o-2"]
    events: Any = client.xrange(keys.log("linear", 0))
    assert {msgspec.json.decode(fields[b"e"])["time"] for _, fields in events} == {1763669700000}
    result = CliRunner().invoke(predict, [*arguments, "--id-column", "none"])
    assert "has no column none; it has: x, y, order, when" in str(result.exception)


@pytest.mark.usefixtures("linear")
def test_the_answers_name_the_lines_of_the_file(api: str, tmp_path: Path) -> None:
    """Whatever line breaks the columns have that stay out, and whatever lines are empty, a row is
    named by its line in the file.
    """
    file, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    file.write_text('note;x;y\n"a\nb";1;2\n\n"c";s;2\n')
    arguments = [str(file), "--model", "linear", "--output", str(output), "--url", api]
    assert CliRunner().invoke(predict, arguments).exit_code == 0
    found = list(csv.DictReader(output.read_text().splitlines()))
    assert [(row["line"], row["status"]) for row in found] == [("2", "ok"), ("5", "invalid")]
