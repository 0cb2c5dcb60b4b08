"""Pages as the server renders them: their first content, filters, and who may see and do what."""

import io
import json
import re
from typing import Any

import httpx
import pyarrow as pa
import pytest
import redis
from pyarrow import ipc, parquet
from sklearn.linear_model import LinearRegression

from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.gates import Gates
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving
from tests.producer.routes.judged.test_alerts import X, alert, hold_open, write
from tests.producer.routes.test_predict import problem
from tests.producer.routes.test_reading import cloud_event, snapshot

pytestmark = pytest.mark.anyio
HTML = {"Accept": "text/html"}
PAGES = ("incidents", "alerts", "models", "batch", "log", "reports")


async def shown(http: httpx.AsyncClient, path: str, **headers: str) -> str:
    answer = await http.get(f"/dashboard/{path}", headers={**HTML, **headers})
    assert answer.status_code == 200, answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


@pytest.mark.parametrize(
    ("page", "next_step"),
    [
        ("incidents", "driftgauge models register"),
        ("alerts", "driftgauge models register"),
        ("models", "driftgauge models register"),
        ("batch", "promote it"),
        ("log", "driftgauge models register"),
        ("reports", "driftgauge worker"),
    ],
)
async def test_an_empty_page_says_what_to_do_next(
    settings: Settings, page: str, next_step: str
) -> None:
    """Without models and events each page is there, and names the next step."""
    async with running(create_app(settings)) as http:
        assert next_step in await shown(http, page)


@pytest.mark.usefixtures("linear")
async def test_alerts_open_and_past(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Open alerts, the history by model, state and severity; htmx gets the
    changing part alone.
    """
    hold_open(client, keys, X)
    write(
        client, keys, alert("x", "pending", 1), alert("x", "firing", 2), alert("y", "resolved", 3)
    )
    async with running(create_app(settings)) as http:
        text = await shown(http, "alerts")
        assert text.count(f'data-fingerprint="{X}"') == 1
        own = await shown(http, f"alerts/{X}")
        assert f'data-action="/alerts/{X}/acknowledge"' in own
        assert states(text) == ["resolved", "firing", "pending"]
        assert states(await shown(http, "alerts?state=firing&severity=&model=")) == ["firing"]
        assert states(await shown(http, "alerts?severity=critical&model=linear")) == []
        assert "Nothing in the history that fits these filters" in await shown(
            http, "alerts?severity=critical"
        )
        part = await shown(http, "alerts", **{"HX-Target": "alerts"})
        assert part.lstrip().startswith("<section")
        problem(await http.get("/dashboard/alerts?state=loud"), 422)
        problem(await http.get("/dashboard/alerts?model=no"), 404)


def states(text: str) -> list[str]:
    return re.findall(r'data-title="State"><span class="tag tag-([a-z]+)"', text)


@pytest.mark.usefixtures("linear")
async def test_one_alert(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Its life, newest first, its evidence in numbers, and what can be done; one that is not kept
    is 404.
    """
    write(client, keys, alert("x", "pending", 1), alert("x", "firing", 2, 2))
    async with running(create_app(settings)) as http:
        text = await shown(http, f"alerts/{X}")
        assert re.findall(r'<li class="edge-warning"><p><span class="tag tag-([a-z]+)"', text) == [
            "firing",
            "pending",
        ]
        for number in ("0.300", "0.200", "0.010", "5,000", "2,000"):
            assert f">{number}</data>" in text
        problem(await http.get(f"/dashboard/alerts/{'0' * 16}"), 404)


@pytest.mark.usefixtures("linear")
async def test_an_alert_that_another_release_wrote_is_left_out(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Entries that are no alerts break neither the list nor the page of one."""
    write(client, keys, alert("x", "firing", 1))
    for event in ("{", "[]", '{"data":5}', '{"data":{"fingerprint":"' + X + '"}}'):
        client.xadd(keys.alerts("linear"), {"e": event})
    async with running(create_app(settings)) as http:
        assert states(await shown(http, "alerts")) == ["firing"]
        assert "Evidence" in await shown(http, f"alerts/{X}")


async def test_models_with_their_checks(registry: ModelRegistry, settings: Settings) -> None:
    """Versions with stage, metrics and what their gates found; the way back; one that cannot be
    read says why.
    """
    frame = rows()
    fitted = LinearRegression().fit(frame.to_numpy(), frame["x"])
    lenient = Gates(min_reference_rows=500)
    for _ in range(2):
        publish(registry, "linear", SCHEMA, frame, fitted, gates=lenient, metrics={"mae": 0.125})
    publish(
        registry,
        "linear",
        SCHEMA,
        frame,
        fitted,
        stage="staging",
        gates=Gates(maximum={"mae": 0.1}),
    )
    publish(registry, "bikes", SCHEMA, frame)
    (registry.folder / "bikes" / "1.0.0" / "manifest.json").write_bytes(b"{")
    async with running(create_app(settings)) as http:
        assert (
            await http.post("/models/linear/versions/1.0.0/promote", json={"reason": "better"})
        ).status_code == 200
        text = await shown(http, "models")
        assert re.findall(r"<strong>([0-9.]+)</strong>", text) == [
            "1.0.0",
            "3.0.0",
            "2.0.0",
            "1.0.0",
        ]
        assert re.findall(r'data-title="Stage"><span class="tag tag-([a-z]+)"', text)[1:] == [
            "staging",
            "archived",
            "production",
        ]
        assert "Roll back to 2.0.0…" in text
        assert "needs mae ≤ 0.1" in text
        assert "tag-passed" in text
        assert ">0.125</data>" in text
        assert "manifest" in text
        assert "better" in text
        assert "bikes" not in (await shown(http, "models?model=linear")).replace(
            '<option value="bikes">bikes', ""
        )
        problem(await http.get("/dashboard/models?model=no"), 404)


@pytest.mark.usefixtures("linear")
async def test_the_log(settings: Settings) -> None:
    """Predictions newest first with their features by name; filters and paging are links that can
    be kept.
    """
    async with serving(settings) as http:
        for number in range(60):
            answer = await http.post("/predict", json={"features": GOOD, "id": f"row-{number}"})
            assert answer.status_code == 200
        text = await shown(http, "log")
        assert re.findall(r"<bdi>row-(\d+)</bdi>", text) == [
            str(number) for number in range(59, 9, -1)
        ]
        assert "<dt><bdi>x</bdi></dt>" in text
        older = re.search(r'href="(/dashboard/log\?[^"]*before=[^"]*)"', text)
        assert older is not None
        following = await http.get(older[1].replace("&amp;", "&"), headers=HTML)
        assert re.findall(r"<bdi>row-(\d+)</bdi>", following.text) == [
            str(number) for number in range(9, -1, -1)
        ]
        filtered = await shown(http, "log?model=linear&id=row-7&least=&most=")
        assert re.findall(r"<bdi>row-(\d+)</bdi>", filtered) == ["7"]
        assert "/predictions?model=linear&amp;format=csv&amp;id=row-7" in filtered
        assert "remove the filters" in await shown(http, "log?most=-5")


@pytest.mark.usefixtures("linear")
async def test_reports(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Reports newest first, in pages, each with its links; one that cannot be read is left out."""
    client.sadd(keys.models, "linear")
    for number in range(30):
        client.xadd(keys.snapshots("linear"), {"e": cloud_event(snapshot(number))})
    client.xadd(keys.snapshots("linear"), {"e": "{"})
    async with running(create_app(settings)) as http:
        text = await shown(http, "reports")
        assert reports_in(text) == [f"s{number}" for number in range(29, 4, -1)]
        older = re.search(r'href="(/dashboard/reports\?[^"]*before=[^"]*)"', text)
        assert older is not None
        assert reports_in((await http.get(older[1].replace("&amp;", "&"))).text) == [
            f"s{number}" for number in range(4, -1, -1)
        ]
        problem(await http.get("/dashboard/reports?before=x"), 400)


def reports_in(text: str) -> list[str]:
    return re.findall(r'href="/reports/(s\d+)\?format=html">Open', text)


def written(frame: pa.Table, form: str) -> bytes:
    """Write a table as Parquet, or in one of Arrow's two forms."""
    sink = io.BytesIO()
    if form == "parquet":
        parquet.write_table(frame, sink)
    else:
        opened = ipc.new_file if form == "arrow.file" else ipc.new_stream
        with opened(sink, frame.schema) as writer:
            writer.write_table(frame, max_chunksize=100)
    return sink.getvalue()


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("form", ["parquet", "arrow.file", "arrow.stream", "jsonl"])
async def test_a_file_of_any_form_is_checked(
    settings: Settings, client: redis.Redis, keys: Keys, form: str
) -> None:
    """Columns and first rows of JSON lines, Parquet and Arrow are shown with their faults, of a
    whole file and of a part of a large one; what is no such file is told.
    """
    kind = "application/" + ("x-ndjson" if form == "jsonl" else f"vnd.apache.{form}")
    good = pa.table({"y": [float(row) for row in range(5000)], "x": [1.0, None] * 2500})
    wrong = pa.table({"y": [1.0], "label": ["<b>"]})
    if form == "jsonl":
        whole = b"".join(json.dumps(row).encode() + b"\n" for row in good.to_pylist())
        other = json.dumps(wrong.to_pylist()[0]).encode()
    else:
        whole, other = written(good, form), written(wrong, form)
    part = whole[-20_000:] if form == "parquet" else whole[:20_000]
    async with serving(settings) as http:

        async def asked(body: bytes, more: str = "&whole=true") -> httpx.Response:
            address = f"/dashboard/batch/check?model=linear{more}"
            return await http.post(address, content=body, headers={"Content-Type": kind})

        for answer in (await asked(whole), await asked(part, "")):
            found = answer.json()
            assert (found["header"], found["faults"]) == (["y", "x"], [])
            rows = [(row["line"], row["cells"], len(row["errors"])) for row in found["rows"]]
            if answer.request.url.query.endswith(b"true") or form != "parquet":
                assert len(rows) == 10
                assert rows[:2] == [(1, ["0.0", "1.0"], 0), (2, ["1.0", ""], 1)]
            else:
                assert rows == []  # its columns stand at its end, its rows before
        bad = (await asked(other)).json()
        if form == "jsonl":
            assert len(bad["rows"][0]["errors"]) == 2
        else:
            assert [one["field"] for one in bad["faults"]] == ["/header/label", "/header/x"]
        problem(await asked(b"\xff\xfe nothing of that kind"), 400)
    assert not client.exists(keys.log("linear", 0))


@pytest.mark.usefixtures("linear")
async def test_a_model_that_is_only_monitored_explains_itself(
    registry: ModelRegistry, settings: Settings
) -> None:
    """The Batch page of a model without a model file says why it cannot predict, and what to do; it
    is no error. One that nobody knows is.
    """
    publish(registry, "bikes", SCHEMA, rows())
    async with running(create_app(settings)) as http:
        text = await shown(http, "batch?model=bikes")
        assert "bikes is only monitored here" in text
        assert "POST /events" in text
        assert 'type="file"' not in text
        assert 'value="linear"' in text, "one that predicts can be chosen"
        assert 'type="file"' in await shown(http, "batch?model=linear")
        problem(await http.get("/dashboard/batch?model=no"), 404)


@pytest.mark.usefixtures("linear")
async def test_a_file_is_checked_by_its_beginning(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Before anything is predicted: its columns, its first rows with their faults; nothing is
    published.
    """
    async with serving(settings) as http:

        async def check(body: str | bytes, more: str = "&whole=true") -> Any:
            answer = await http.post(f"/dashboard/batch/check?model=linear{more}", content=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        found = await check("y,x\n1,2\n3,z\n")
        assert (found["header"], found["faults"]) == (["y", "x"], [])
        assert [(row["line"], row["cells"], bool(row["errors"])) for row in found["rows"]] == [
            (2, ["1", "2"], False),
            (3, ["3", "z"], True),
        ]
        wrong = await check("y,label\n1,2\n")
        assert [fault["field"] for fault in wrong["faults"]] == ["/header/label", "/header/x"]
        assert [row["line"] for row in (await check("x,y\n1,2\n3,4\n5", ""))["rows"]] == [2, 3]
        assert len((await check("x,y\n" + "1,2\n" * 50, ""))["rows"]) == 10
        problem(
            await http.post(
                "/dashboard/batch/check?model=linear&whole=true", content=b"x,y\n\xff,1\n"
            ),
            400,
        )
        problem(await http.post("/dashboard/batch/check?model=linear&whole=true", content=b""), 400)
        problem(await http.post("/dashboard/batch/check?model=no", content=b"x"), 404)
    assert not client.exists(keys.log("linear", 0))


@pytest.mark.usefixtures("linear")
async def test_who_may_see_and_change(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """A page needs the scope read; what needs admin or predict is offered to nobody else."""
    hold_open(client, keys, X)
    write(client, keys, alert("x", "firing", 1))
    keyed = {
        scope: {"X-API-Key": create_key(settings.keys_path, scope, (scope,), None)}
        for scope in ("read", "label", "admin")
    }
    async with running(create_app(settings)) as http:
        for page in (*PAGES, f"alerts/{X}"):
            answer = await http.get(f"/dashboard/{page}", headers=HTML)
            assert (answer.status_code, answer.headers["location"][:12]) == (303, "/login?next=")
            problem(await http.get(f"/dashboard/{page}", headers=keyed["label"]), 403)
            assert (
                await http.get(f"/dashboard/{page}", headers={**HTML, **keyed["label"]})
            ).status_code == 403
            for_readers = await shown(http, page, **keyed["read"])
            assert "data-dialog" not in for_readers
            assert 'type="file"' not in for_readers
        assert "data-dialog" in await shown(http, f"alerts/{X}", **keyed["admin"])
        assert 'type="file"' in await shown(http, "batch", **keyed["admin"])
