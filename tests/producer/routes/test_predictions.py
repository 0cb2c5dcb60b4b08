import csv
import io
from typing import Any

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.routes.predictions import file_name
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running, serving, until
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


async def posted(http: httpx.AsyncClient, *events: dict[str, Any]) -> None:
    answer = await http.post("/events", json=list(events))
    assert answer.status_code == 202, answer.text


def event(name: str, prediction: float, **more: Any) -> dict[str, Any]:
    return {"id": name, "features": {"x": 1, "y": 2}, "prediction": prediction, **more}


async def test_predictions_are_filtered_and_paged(settings: Settings) -> None:
    """JSON pages have what was posted, newest first; an empty filter, as forms send it, filters
    nothing.
    """
    async with serving(settings) as http:
        await posted(http, *(event(f"a{number}", number) for number in range(5)))
        found = (await http.get("/predictions?limit=2&least=&version=&since=")).json()
        assert [one["id"] for one in found["predictions"]] == ["a4", "a3"]
        assert found["predictions"][0]["features"] == {"x": 1, "y": 2}
        found = (await http.get(f"/predictions?limit=3&cursor={found['next']}")).json()
        assert [one["id"] for one in found["predictions"]] == ["a2", "a1", "a0"]
        found = (await http.get("/predictions?least=2&most=3")).json()
        assert [one["prediction"] for one in found["predictions"]] == [3, 2]
        for until in ("2020-01-01T00:00Z", "2020-01-01T02:00%2B02:00", "1577836800000"):
            found = (await http.get(f"/predictions?until={until}")).json()
            assert found["predictions"] == []
        for wrong in ("since=yesterday", "least=x", "least=nan", "limit=0", "format=pdf"):
            problem(await http.get(f"/predictions?{wrong}"), 422)
        said = problem(await http.get("/predictions?until=2020-01-01T00:00"), 422)
        assert "with its zone" in said["errors"][0]["message"]
        problem(await http.get("/predictions?cursor=x"), 400)
        problem(await http.get("/predictions?model=no"), 404)


async def test_a_csv_has_all_filtered_rows(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The download has more rows than a page, the features by name, and a name without anything
    strange in it.
    """
    async with serving(settings) as http:
        for start in range(0, 1200, 400):
            await posted(
                http, *(event(f"a{start + number}", start + number) for number in range(400))
            )
        client.xadd(keys.log("linear", 0), {"t": "l", "e": '{"id":"a1150","label":7.5,"time":1}'})
        answer = await http.get("/predictions?format=csv&least=100")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="predictions_linear_20'
    )
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["id"] for row in found] == [f"a{number}" for number in range(1199, 99, -1)]
    assert [float(row["prediction"]) for row in found] == list(range(1199, 99, -1))
    assert {(row["feature x"], row["feature y"]) for row in found} == {("1.0", "2.0")} or found[0][
        "feature x"
    ] == "1"
    assert [row["label"] for row in found if row["label"]] == ["7.5"]


async def test_versions_with_other_features_share_one_table(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A row of another version has its features in the columns of their names; of a version nobody
    knows it has none.
    """
    frame = rows().rename(columns={"x": "w"})[["y", "w"]]
    other = type(SCHEMA)((SCHEMA.features[1], type(SCHEMA.features[0])("w", "numeric")))
    publish(linear, "linear", other, frame)
    async with running(create_app(settings)) as http:
        await until(lambda: client.exists(keys.versions("linear")))
        for version, values in (
            ("1.0.0", [1.0, 2.0]),
            ("2.0.0", [3.0, 4.0]),
            ("9.0.0", [5.0, 6.0]),
        ):
            made = Prediction(version, version, 1, list(values), 0.0)
            client.xadd(keys.log("linear", 0), {"t": "p", "e": encode(made)})
        found = csv.DictReader(
            io.StringIO((await http.get("/predictions?format=csv")).text, newline="")
        )
    assert [(row["version"], row["feature y"], row["feature w"]) for row in found] == [
        ("9.0.0", "", ""),
        ("2.0.0", "3.0", "4.0"),
        ("1.0.0", "2.0", ""),
    ]


def test_file_name() -> None:
    """A download's name says model and moment."""
    assert len(file_name("steel", "csv")) == len("predictions_steel_20251120_201500.csv")
