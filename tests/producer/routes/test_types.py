"""Types of a version that was registered from a file, as clients of the API see them."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import redis

from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.tables.format import TableFormat
from tests.exposition import parse, value
from tests.producer.conftest import serving

pytestmark = pytest.mark.anyio
ROWS = 300


@pytest.fixture
def plant(registry: ModelRegistry, tmp_path: Path) -> None:
    """A classifier that is only monitored: codes, booleans, times and numbers with a mark."""
    random = np.random.default_rng(8)
    path = tmp_path / "reference.csv"
    pd.DataFrame(
        {
            "site": random.choice(["007", "010", "102"], ROWS),
            "code": random.choice([1, 2, 3], ROWS),
            "paid": random.choice(["True", "False"], ROWS),
            "load": [f"{one:.2f}" if one > -1 else "?" for one in random.normal(size=ROWS)],
            "since": random.integers(1_700_000_000, 1_700_100_000, ROWS),
            "at": np.arange(ROWS) + 1_700_100_000,
            "pred": random.choice([0, 1], ROWS),
            "truth": random.choice([0, 1], ROWS),
        }
    ).to_csv(path, index=False)
    types: Any = {"code": "categorical", "since": "timestamp"}
    choices = Choices(types, TableFormat(missing=("NaN",)))
    submission = Submission(
        "plant", path, None, None, "binary", "pred", "truth", "at", labels=True, choices=choices
    )
    register_version(registry, submission)
    registry.promote("plant", "1.0.0", actor="test", reason="test")


def events_of(client: redis.Redis, keys: Keys) -> list[Any]:
    kinds: dict[bytes, Any] = {b"p": Prediction, b"l": Label}
    entries: Any = client.xrange(keys.log("plant", 0))
    return [msgspec.json.decode(one[b"e"], type=kinds[one[b"t"]]) for _, one in entries]


@pytest.mark.usefixtures("plant")
async def test_one_value_however_it_is_written(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Numbers, texts and booleans of one row are one event, with the version's own categories; what
    is a mark is missing, and further fields are ignored and counted.
    """
    since = 1_700_050_000
    same: list[dict[str, Any]] = [
        {"site": "007", "code": 3, "paid": True, "load": 1.5, "since": since},
        {"site": "007", "code": 3.0, "paid": "true", "load": "1.5", "since": float(since)},
        {"site": "007", "code": "3", "paid": "True", "load": "1.50", "since": str(since)},
        {"site": "007", "code": "3.0", "paid": 1, "load": 1.5, "since": since, "more": [1]},
    ]
    predictions = [1, 1.0, True, "true"]
    posted = [
        {"features": features, "prediction": made}
        for features, made in zip(same, predictions, strict=True)
    ]
    missing = (
        '[{"features": {"site": "", "code": null, "load": NaN, "paid": "NaN"}, "prediction": 0}]'
    )
    async with serving(settings) as http:
        answer = await http.post("/events", json=posted)
        assert answer.json()["rejected"] == [], answer.text
        answer = await http.post("/events", content=missing)
        assert answer.json()["rejected"] == [], answer.text
        one = await http.post("/events", content=missing[1:-1])
        assert one.status_code == 202, one.text
        metrics = parse((await http.get("/metrics")).text)
    assert value(metrics, "driftgauge_fields_ignored_total", model="plant") == 1
    *full, first, second = events_of(client, keys)
    assert {(tuple(event.features), event.prediction) for event in full} == {
        (("007", "3", 1.0, 1.5, float(since)), "1")
    }
    for event in (first, second):
        assert (event.features, event.prediction) == ([None] * 5, "0")


@pytest.mark.usefixtures("plant")
async def test_what_the_schema_does_not_take_is_refused(settings: Settings) -> None:
    """An infinity is no mark here, half a surrogate pair is no JSON, and a text is no number."""
    bodies = ('{"load": Infinity}', '{"site": "\\ud800", "load": NaN}', '{"load": "n/a"}')
    async with serving(settings) as http:
        for body in bodies:
            answer = await http.post("/events", content=f'{{"features": {body}, "prediction": 0}}')
            assert answer.status_code in {400, 422}, body


@pytest.mark.usefixtures("plant")
async def test_labels_of_any_spelling_and_of_unknown_classes(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A label is a class however it is written, in JSON and in CSV; one of a class that the model
    does not know is taken and counted.
    """
    values = [0, 1.0, "1", True, "false", 2, "broken"]
    body = [{"prediction_id": f"id{row}", "label": value} for row, value in enumerate(values)]
    text = "prediction_id,label\n" + "\n".join(
        f"c{row},{value}" for row, value in enumerate(values)
    )
    async with serving(settings) as http:
        for answer in (
            await http.post("/labels", json=body),
            await http.post("/labels", content=text, headers={"Content-Type": "text/csv"}),
        ):
            assert answer.json()["accepted"] == len(values), answer.text
            assert answer.json()["other"] == 2
    assert [event.label for event in events_of(client, keys)] == [
        *("0", "1", "1", "1", "0", "2", "broken"),
        *("0", "1", "1", "1", "0", "2", "broken"),
    ]
