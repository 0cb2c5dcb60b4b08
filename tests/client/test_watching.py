"""A watched function behaves as it did, and each call is logged."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from driftgauge.client import AsyncMonitor, Monitor, sender
from driftgauge.client.asgi import MonitorMiddleware
from tests.client.fake_api import FakeApi, fake_api


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as found:
        yield found


@pytest.fixture
def monitor(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    monkeypatch.setattr(sender, "IDLE_S", 0.02)
    with Monitor(api.url, "steel") as found:
        yield found


def logged(api: FakeApi, monitor: Monitor) -> list[tuple[Any, Any, Any]]:
    """Features, prediction and error of each event."""
    assert monitor.flush()
    found = [(one["features"], one.get("prediction"), one.get("error")) for one in api.events()]
    assert all(one["latency_ms"] >= 0 for one in api.events() if "prediction" in one)
    return found


def test_a_call_is_logged(api: FakeApi, monitor: Monitor) -> None:
    """With what it was asked and what it answered; one that raises is a failed prediction, and
    raises on. The function keeps its name.
    """

    @monitor.watch
    def predict(features: dict[str, Any]) -> float:
        """Predict."""
        return 2.0 / features["x"]

    assert (predict.__name__, predict.__doc__) == ("predict", "Predict.")
    assert predict({"x": 4}) == 0.5
    with pytest.raises(ZeroDivisionError):
        predict({"x": 0})
    assert predict(features={"x": 1}) == 2.0
    assert logged(api, monitor) == [
        ({"x": 4}, 0.5, None),
        ({"x": 0}, None, "ZeroDivisionError"),
        ({"x": 1}, 2.0, None),
    ]


def test_rows_are_logged_one_by_one(api: FakeApi, monitor: Monitor) -> None:
    """A frame, or a list of rows, with as many predictions; of other numbers nothing is logged, and
    that is counted.
    """
    predict = monitor.watch(lambda frame: np.arange(len(frame)) + 0.5)
    assert predict(pd.DataFrame({"x": [1, 2]})).tolist() == [0.5, 1.5]
    predict([{"x": 3}])
    assert monitor.watch(lambda _: [1])([{"x": 1}, {"x": 2}]) == [1]
    assert logged(api, monitor) == [
        ({"x": 1}, 0.5, None),
        ({"x": 2}, 1.5, None),
        ({"x": 3}, 0.5, None),
    ]
    assert monitor.stats["dropped"] == {"unserialisable": 1}


def test_what_is_picked_is_logged(api: FakeApi, monitor: Monitor) -> None:
    """A function with other arguments and results says which of them are features and prediction;
    what cannot be picked costs the event alone.
    """

    @monitor.watch(
        features=lambda _, x, *, y: {"x": x, "y": y}, prediction=lambda result: result["score"]
    )
    def serve(context: object, x: int, *, y: int) -> dict[str, int]:  # noqa: ARG001
        return {"score": x + y} if x else {}

    serve(object(), 1, y=2)
    serve(object(), 0, y=2)
    assert logged(api, monitor) == [({"x": 1, "y": 2}, 3, None)]
    assert monitor.stats["dropped"] == {"failed": 1}


def test_a_coroutine_is_watched(api: FakeApi) -> None:
    """The asyncio twin watches what is awaited, and ends without holding up the loop."""

    async def run() -> None:
        async with AsyncMonitor(api.url, "steel") as monitor:

            @monitor.watch
            async def predict(features: dict[str, float]) -> float:
                await asyncio.sleep(0)
                return 1 / features["x"]

            assert await predict({"x": 2}) == 0.5
            with pytest.raises(ZeroDivisionError):
                await predict({"x": 0})
            assert await monitor.flushed()
            assert logged(api, monitor) == [
                ({"x": 2}, 0.5, None),
                ({"x": 0}, None, "ZeroDivisionError"),
            ]

    asyncio.run(run())


class Asked(BaseModel):
    x: float


def service(monitor: Monitor, **more: Any) -> httpx.AsyncClient:
    app = FastAPI()
    app.add_middleware(MonitorMiddleware, monitor=monitor, **more)

    @app.post("/predict")
    def predict(asked: Asked) -> dict[str, float]:
        return {"prediction": 1 / asked.x}

    @app.post("/rows")
    def rows(asked: list[Asked]) -> dict[str, Any]:
        return {"result": [one.x * 2 for one in asked]}

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


def test_a_route_is_watched(api: FakeApi, monitor: Monitor) -> None:
    """Answers of 2xx are predictions, an error of the service is a failed one, and a request that
    was refused, or one of another route, is neither.
    """

    async def run() -> list[int]:
        async with service(monitor) as http:
            bodies: tuple[Any, ...] = ({"x": 2}, {"x": 0}, {"x": "no"})
            answers = [await http.post("/predict", json=body) for body in bodies]
            answers.append(await http.get("/docs"))
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200, 500, 422, 200]
    assert logged(api, monitor) == [({"x": 2}, 0.5, None), ({"x": 0}, None, "ZeroDivisionError")]


def test_a_route_of_rows_is_watched(api: FakeApi, monitor: Monitor) -> None:
    """Features and predictions are picked from what is asked and answered."""

    async def run() -> None:
        async with service(monitor, path="/rows", prediction=lambda found: found["result"]) as http:
            answer = await http.post("/rows", json=[{"x": 1}, {"x": 2}])
            assert answer.json() == {"result": [2, 4]}

    asyncio.run(run())
    assert logged(api, monitor) == [({"x": 1}, 2, None), ({"x": 2}, 4, None)]
