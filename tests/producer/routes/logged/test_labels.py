"""POST /labels, as clients see it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.producer.app import create_app
from driftgauge.producer.commands.labels import labels
from driftgauge.shared.contract.events import Label, Prediction, partition_of
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.reference.schema import Feature, Schema
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

pytestmark = pytest.mark.anyio
CLASSES = Schema(
    (Feature("x", "numeric"), Feature("y", "numeric")), "categorical", classes=("no", "yes")
)
SALTS = salts_for("linear", 3)
CSV = {"Content-Type": "text/csv"}
WAIT = ("--wait", "0")


@pytest.fixture
def labelled(registry: ModelRegistry) -> ModelRegistry:
    """A regression and a classification with labels, and a regression without."""
    publish(registry, "linear", SCHEMA, rows(), labels=True, partitions=3, salts=SALTS)
    publish(registry, "classes", CLASSES, rows(), labels=True)
    publish(registry, "silent", SCHEMA, rows())
    return registry


def log(client: redis.Redis, key: str) -> list[tuple[bytes, int, Any]]:
    """Return type, number and content of each entry of a log."""
    kinds: dict[bytes, Any] = {b"p": Prediction, b"l": Label}
    entries: Any = client.xrange(key)
    return [
        (
            fields[b"t"],
            int(fields[b"s"]),
            msgspec.json.decode(fields[b"e"], type=kinds[fields[b"t"]]),
        )
        for _, fields in entries
    ]


def reasons(answer: httpx.Response) -> list[tuple[int, str]]:
    assert answer.status_code == 202, answer.text
    return [(one["index"], one["reason"]) for one in answer.json()["rejected"]]


@pytest.mark.usefixtures("labelled")
async def test_labels_go_where_their_predictions_are(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A label is in the log of its prediction's partition, numbered in one row with the predictions
    of its publisher.
    """
    async with serving(settings) as http:
        made = await http.post(
            "/events", json=[{"features": GOOD, "prediction": 1, "model": "linear"}] * 6
        )
        ids = made.json()["ids"]
        labels = [
            {"prediction_id": one, "label": place, "time": 7} for place, one in enumerate(ids)
        ]
        answer = await http.post("/labels?model=linear", json=labels)
        assert answer.json() == {"accepted": 6, "rejected": [], "event": "published"}
        one = await http.post(
            "/labels", json={"prediction_id": "x", "label": 2.5, "model": "linear"}
        )
        assert one.json()["accepted"] == 1
    for place, prediction in enumerate(ids):
        entries = log(client, keys.salted(SALTS).log("linear", partition_of(prediction, 3)))
        mine = [kind for kind, _, content in entries if content.id == prediction]
        assert mine == [b"p", b"l"]
        assert Label(prediction, float(place), 7) in [content for _, _, content in entries]
    for partition in range(3):
        numbers = [
            number for _, number, _ in log(client, keys.salted(SALTS).log("linear", partition))
        ]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.usefixtures("labelled")
async def test_each_is_rejected_by_its_own_reason(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """What is wrong with one label is said of it, and the others are taken."""
    bad: Sequence[Any] = [
        7,
        {"prediction_id": "", "label": "yes", "model": "classes"},
        {"prediction_id": "a", "label": ["yes"], "model": "classes"},
        {"prediction_id": "a", "label": {}, "model": "classes"},
        {"prediction_id": "a", "label": "1", "model": "linear"},
        {"prediction_id": "a", "model": "linear"},
        {"prediction_id": "a", "label": 1, "model": "nobody"},
        {"prediction_id": "a", "label": 1, "model": "silent"},
        {"prediction_id": "a", "label": 1, "model": "linear", "time": "2025-11-20", "more": 1},
        {"prediction_id": "a", "label": 1},
        {"prediction_id": "a", "label": "yes", "model": "classes"},
    ]
    two_faults = (
        "time must be Unix milliseconds or an ISO 8601 time with its zone; more is not a field of "
        "this request; use "
        "prediction_id, label, time, model"
    )
    async with serving(settings) as http:
        answer = await http.post("/labels", json=bad)
        assert reasons(answer) == [
            (0, "must be an object"),
            (1, "prediction_id must be a string of 1 to 128 characters"),
            (2, "label must be a string, not a list"),
            (3, "label must be a string, not an object"),
            (4, "label must be a number, not a string"),
            (5, "label is missing"),
            (
                6,
                "There is no model 'nobody' in production. "  # noqa: ISC004  one sentence
                "The models are: classes, linear, silent.",
            ),
            (7, "labels are off for silent 1.0.0: register a version with --labels"),
            (8, two_faults),
            (9, "There are several models, so name one as `model`: classes, linear, silent."),
        ]
        assert answer.json()["accepted"] == 1
        assert answer.json()["rejected"][2]["prediction_id"] == "a"
    assert [content.label for _, _, content in log(client, keys.log("classes", 0))] == ["yes"]


@pytest.mark.usefixtures("labelled")
async def test_csv(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """A table has a line for each label; a bad line is named and harms no other; a bad header
    refuses all.
    """
    table = "prediction_id,label,time\na,1.5,1763666100000\nb,x,\n\nc\nd,-2,2025-11-20T20:15:00+01:00\ne,,\nf,nan,\n"  # noqa: E501  input as it comes
    async with serving(settings) as http:
        answer = await http.post("/labels?model=linear", content=table, headers=CSV)
        assert [(one["line"], one["reason"]) for one in answer.json()["rejected"]] == [
            (3, "label must be a number, not a string"),
            (5, "has 1 cells, the header 3"),
            (7, "label is missing"),
            (8, "label must be a finite number, not NaN or infinity"),
        ]
        refused = await http.post("/labels", content="prediction_id,truth,truth\n", headers=CSV)
        assert refused.status_code == 422
        assert [fault["field"] for fault in refused.json()["errors"]] == [
            "/header/truth",
            "/header/truth",
            "/header/label",
        ]
        assert (await http.post("/labels", content=b"\xff", headers=CSV)).status_code == 400
        assert (await http.post("/labels", content=b"{", headers={})).status_code == 400
        assert (
            await http.post("/labels", content=b"{}", headers={"Content-Type": "text/plain"})
        ).status_code == 415
        assert (
            await http.post("/labels", content=b'{"label": NaN}', headers={})
        ).status_code == 400
    found = [
        content
        for p in range(3)
        for _, _, content in log(client, keys.salted(SALTS).log("linear", p))
    ]
    assert sorted((one.id, one.label, one.time) for one in found) == [
        ("a", 1.5, 1763666100000),
        ("d", -2.0, 1763666100000),
    ]


@pytest.mark.usefixtures("labelled")
async def test_bounds(settings: Settings) -> None:
    """A request has a bounded size and number of labels; without room in the queue none of it is
    taken.
    """
    tight = settings.model_copy(
        update={"events_max_rows": 2, "events_max_bytes": 500, "queue_events": 2, "redis_url": None}
    )
    app = create_app(
        tight.model_copy(update={"redis_url": "redis://127.0.0.1:1", "ack_timeout_ms": 1})
    )
    label = {"prediction_id": "a", "label": 1, "model": "linear"}
    async with running(app) as http:
        assert (await http.post("/labels", json=[label] * 3)).status_code == 413
        assert (await http.post("/labels", content=b" " * 501)).status_code == 413
        app.state.parts.publisher._lanes.queued += 1
        answer = await http.post("/labels", json=[label] * 2)
        assert answer.status_code == 503
        assert sum(app.state.parts.publisher.dropped.values()) == 2
        app.state.parts.publisher._lanes.queued -= 1


@pytest.mark.usefixtures("labelled")
async def test_labels_are_spooled_while_redis_is_away(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """What an API accepted without Redis, the next one sends from the spool, still as labels."""
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    async with running(create_app(away)) as http:
        answer = await http.post(
            "/labels", json={"prediction_id": "a", "label": "yes", "model": "classes"}
        )
        assert answer.json()["event"] == "spooled"
        made = await http.post(
            "/events", json={"features": GOOD, "prediction": "no", "model": "classes", "id": "a"}
        )
        assert made.json()["event"] == "spooled"
    async with serving(settings):
        await until(lambda: client.xlen(keys.log("classes", 0)) == 2)
    assert [(kind, number) for kind, number, _ in log(client, keys.log("classes", 0))] == [
        (b"l", 1),
        (b"p", 2),
    ]


def test_import_of_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """A missing file, a missing column and an absent API are said in one line, with what was
    accepted before.
    """
    file = tmp_path / "labels.csv"
    file.write_text("id,label\na,1\n")
    run = CliRunner()
    missing = run.invoke(labels, ["import", str(tmp_path / "none.csv"), "--model", "linear"])
    assert "There is no file" in str(missing.exception)
    column = run.invoke(labels, ["import", str(file), "--model", "linear"])
    assert "lacks these columns: 'prediction_id'" in str(column.exception)
    nobody = [
        "import",
        str(file),
        "--model",
        "linear",
        "--id-column",
        "id",
        "--url",
        "http://127.0.0.1:1",
    ]
    absent = run.invoke(labels, nobody)
    assert "No API at http://127.0.0.1:1" in str(absent.exception)
    assert "0 labels were accepted before" in str(absent.exception)


@pytest.mark.usefixtures("labelled")
@pytest.mark.long
def test_import_of_a_large_file(
    settings: Settings,
    client: redis.Redis,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file of more than one part is posted row by row in its order; a rejected row is named by
    its number and its reason, and the exit code says that there was one.
    """
    lines = [
        f"{place},id{place},{'yes' if place % 3 else 'no'},2025-11-20 20:15"
        for place in range(4500)
    ]
    lines[4100] = "x,id4100,,"
    lines[4200] = "x,id4200,perhaps,2025-11-20 20:15"
    lines[10] = "short"
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(["row,order,truth,known", *lines]) + "\n")
    monkeypatch.delenv("DRIFTGAUGE_API_KEY", raising=False)
    with api_process(settings, tmp_path) as (url, _):
        columns = ["--id-column", "order", "--label-column", "truth", "--time-column", "known"]
        done = CliRunner().invoke(
            labels,
            ["import", str(file), "--model", "classes", *columns, "--url", url, "--json", *WAIT],
        )
    assert done.exit_code == 1
    told = msgspec.json.decode(done.stdout)
    assert (told["accepted"], told["rejected"]) == (4498, 2)
    assert told["became"] is None, "no worker has counted them"
    assert told["first"] == [
        [11, "has 1 cells, the header 4"],
        [4101, "label is missing"],
    ]
    found = [content for _, _, content in log(client, keys.log("classes", 0))]
    assert [one.id for one in found] == [
        f"id{place}" for place in range(4500) if place not in {10, 4100}
    ]
    assert {one.time for one in found} == {1763669700000}
    assert found[0].label == "no"
