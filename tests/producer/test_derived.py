"""Derived columns, from every door of the API to what a worker judges of them."""

import json
import random
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
import redis

from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.derivation import Derivation
from driftgauge.shared.reference.frames import infer
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import worker_thread
from tests.producer.conftest import publish, serving, until
from tests.producer.linear import Linear
from tests.producer.routes.logged.test_cloudevents import KServe, logged

pytestmark = pytest.mark.anyio

REFERENCE = 3000
DRIFTED = {"commit_ms": 10, "pane_events": 250, "window_events": 2000, "snapshot_events": 2000}


def together(seed: int, rows: int, correlation: float) -> pd.DataFrame:
    """Two standard normal features of some correlation."""
    x, y = np.random.default_rng(seed).normal(size=(2, rows))
    return pd.DataFrame({"x": x, "y": correlation * x + (1 - correlation**2) ** 0.5 * y}).round(6)


@pytest.fixture
def derivation(registry: ModelRegistry) -> Derivation:
    """The analysis of a model of two features that go together, in production."""
    frame = together(0, REFERENCE, 0.9)
    found = Derivation.fit(("x", "y"), [frame["x"].to_numpy(), frame["y"].to_numpy()])
    schema = msgspec.structs.replace(
        infer(frame, prediction=frame["x"], nullable=True), derivation=found
    )
    publish(registry, "linear", schema, frame, Linear(2, 1))
    return found


def with_derived(row: list[float | None], derivation: Derivation) -> list[Any]:
    (more,) = derivation.of_rows([list(row)], (0, 1))
    return [*row, *more]


async def taken(http: httpx.AsyncClient, path: str, body: Any, **more: Any) -> Any:
    answer = await http.post(path, json=body, **more)
    assert answer.status_code in {200, 202}, answer.text
    return answer


async def test_every_door_adds_the_derived_columns(
    settings: Settings, derivation: Derivation, client: redis.Redis
) -> None:
    """Whatever way a row takes, its event has what is derived of it, to the last digit: alone or
    in a list, read by its type or field by field, as a line of a file, a tensor or a logged half.
    """
    rows = together(1, 40, 0.5).to_numpy().tolist()
    expected: dict[str, list[float]] = {}
    named = [{"x": x, "y": y} for x, y in rows]
    async with serving(settings) as http:
        await taken(http, "/predict", {"id": "predict", "features": named[0]})
        await taken(http, "/events", {"id": "one", "features": named[0], "prediction": 1})
        events = [
            {"id": f"list-{place}", "features": row, "prediction": 1}
            for place, row in enumerate(named)
        ]
        events[3]["version"] = 7  # one bad event, so that its neighbours are looked at too
        events[4]["time"] = "2026-01-01 00:00Z"
        await taken(http, "/events", events)
        lines = "".join(json.dumps({**one, "id": f"line-{one['id']}"}) + "\n" for one in events[5:])
        headers = {"content-type": "application/x-ndjson"}
        assert (await http.post("/events", content=lines, headers=headers)).status_code == 202
        table = pd.DataFrame(named).assign(id=[f"batch-{place}" for place in range(40)])
        answer = await http.post(
            "/predict_batch?id_column=id",
            content=table.to_csv(index=False),
            headers={"content-type": "text/csv"},
        )
        assert answer.status_code == 200, answer.text
        tensor = {
            "name": "input-0",
            "shape": [40, 2],
            "datatype": "FP64",
            "data": np.ravel(rows).tolist(),
        }
        await taken(http, "/v2/models/linear/infer", {"id": "tensor", "inputs": [tensor]})
    for place, row in enumerate(rows):
        complete = with_derived(row, derivation)
        names = [f"list-{place}"] * (place != 3) + [f"line-list-{place}"] * (place > 4)
        for name in (*names, f"batch-{place}", f"tensor:{place}"):
            expected[name] = complete
    expected |= dict.fromkeys(("predict", "one"), with_derived(rows[0], derivation))
    found = {name: one.features for name, one in logged(client, Keys(settings.key_prefix)).items()}
    assert found == expected


async def test_halves_and_missing_values_have_derived_columns(
    settings: Settings, derivation: Derivation, client: redis.Redis
) -> None:
    """A request that is logged apart has them, and a missing value counts as the mean."""
    keys = Keys(settings.key_prefix)
    async with serving(settings) as http:
        service = KServe(http, "/cloudevents")
        service.infer([[0.5, -0.5]])
        await service.send(random.Random(1))
        await taken(http, "/events", [{"id": "m", "features": {"x": 1.5}, "prediction": 1}])
    (asked,) = [
        msgspec.json.decode(fields[b"e"])
        for _, fields in client.xrange(keys.log("linear", 0))  # type: ignore[union-attr]
        if fields[b"t"] == b"q"
    ]
    assert asked["features"] == with_derived([0.5, -0.5], derivation)
    assert logged(client, keys)["m"].features == with_derived([1.5, None], derivation)


async def test_a_client_cannot_send_a_derived_column(
    settings: Settings, derivation: Derivation
) -> None:
    """It is an unknown field, which is refused; and no field that a request needs."""
    assert derivation.names == ("reconstruction_error", "component_1")
    row = {"x": 1, "y": 1, "reconstruction_error": 0}
    async with serving(settings) as http:
        for path, body in (
            ("/predict", {"features": row}),
            ("/events", {"features": row, "prediction": 1}),
            ("/events", [{"features": row, "prediction": 1}]),
        ):
            answer = await http.post(path, json=body)
            assert answer.status_code == 422
            assert "is not a feature of this model" in answer.text
        info = (await http.get("/model-info")).json()
    assert [one["name"] for one in info["schema"]["features"]] == ["x", "y"]
    assert info["schema"]["derivation"]["features"] == ["x", "y"]


async def test_a_flipped_correlation_fires_where_each_feature_is_calm(
    settings: Settings, derivation: Derivation, client: redis.Redis
) -> None:
    """Both features are distributed as before and no longer go together: the worker's alerts are
    of the derived columns alone, which the snapshot has with their titles.

    With one alarm in 30 days of 100,000 events each, a feature fires falsely in these 4,000 events
    with a probability of about 1e-3; the seed is fixed.
    """
    keys = Keys(settings.key_prefix)
    rows = together(2, 4000, -0.9).to_dict("records")
    async with serving(settings) as http:
        with worker_thread(settings.model_dump() | DRIFTED):
            for first in range(0, 4000, 1000):
                events = [{"features": row, "prediction": 0} for row in rows[first : first + 1000]]
                await taken(http, "/events", events)
            await until(lambda: _fired(client, keys) == set(derivation.names), 120)
            await until(lambda: _drifting(client, keys) == set(derivation.names), 120)
            last = _snapshots(client, keys)[-1]
            answer = await http.get("/drift")
            told = _data(client, keys.incidents("linear"))
    titles = {one.name: one.judged for one in last.features if one.judged}
    assert titles == dict(zip(derivation.names, derivation.titles, strict=True))
    assert answer.status_code == 200
    assert {one["cause"]["kind"] for one in told} == {"joint"}
    assert "the numeric features no longer go together" in told[-1]["headline"]


def _data(client: redis.Redis, key: str) -> list[Any]:
    """Return the data of the CloudEvents of a stream."""
    entries: Any = client.xrange(key)
    return [json.loads(fields[b"e"])["data"] for _, fields in entries]


def _fired(client: redis.Redis, keys: Keys) -> set[str]:
    found = _data(client, keys.alerts("linear"))
    return {one["feature"] for one in found if one["state"] == "firing"}


def _snapshots(client: redis.Redis, keys: Keys) -> list[Snapshot]:
    return [msgspec.convert(one, Snapshot) for one in _data(client, keys.snapshots("linear"))]


def _drifting(client: redis.Redis, keys: Keys) -> set[str]:
    found = _snapshots(client, keys)
    bad = {"warning", "critical"}
    return {one.name for one in found[-1].features if one.severity in bad} if found else set()
