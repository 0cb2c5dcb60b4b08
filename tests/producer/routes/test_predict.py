import asyncio
import logging
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
import redis
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from driftgauge.producer.access.control import for_everybody
from driftgauge.producer.app import create_app
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving, until

pytestmark = pytest.mark.anyio


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert answer.status_code == document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    assert "Traceback" not in answer.text
    return document


@pytest.mark.usefixtures("linear")
async def test_a_prediction_is_one_log_entry(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """An answered prediction is exactly one entry, with the contract's fields in their order."""
    async with serving(settings) as http:
        answer = (await http.post("/predict", json={"features": GOOD, "id": "mine"})).json()
        second = (await http.post("/predict", json={"features": GOOD})).json()
    assert answer["prediction"] == pytest.approx(5)
    assert answer == {
        **answer,
        "id": "mine",
        "model": "linear",
        "version": "1.0.0",
        "event": "published",
    }
    entries: Any = client.xrange(keys.log("linear", 0))
    assert [list(fields) for _, fields in entries] == [[b"t", b"p", b"s", b"e"]] * 2
    assert [fields[b"s"] for _, fields in entries] == [b"1", b"2"]
    events = [msgspec.json.decode(fields[b"e"], type=Prediction) for _, fields in entries]
    assert events[0].features == [1.5, 2.0]
    assert events[0].prediction == answer["prediction"]
    assert events[0].latency_ms is not None
    assert (events[0].id, events[0].client_id, events[0].source) == ("mine", True, "online")
    assert (events[1].id, events[1].client_id) == (second["id"], False)
    assert (events[0].received, events[1].received) == (events[0].time, None)


async def test_the_version_is_published_before_its_first_event(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Whoever reads an event finds its version; a new production version is noticed and published
    too.
    """
    async with serving(settings) as http:
        await http.post("/predict", json={"features": GOOD})
        packed: Any = client.hget(keys.versions("linear"), "1.0.0")
        assert PublishedVersion.unpack(packed).schema == SCHEMA
        assert client.smembers(keys.models) == {b"linear"}
        publish(linear, "linear", SCHEMA, rows(), LinearRegression().fit(np.zeros((2, 2)), [7, 7]))

        async def promoted() -> bool:
            return bool(
                (await http.post("/predict", json={"features": GOOD})).json()["version"] == "2.0.0"
            )

        await until(promoted)
        assert client.hexists(keys.versions("linear"), "2.0.0")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"features": {"x": 200, "w": 1}}', {"/features/x", "/features/y", "/features/w"}),
        (b'{"features": {"x": NaN, "y": "s"}, "mode": 1}', {"/features/x", "/features/y", "/mode"}),
        (b'{"features": {"x": 1e999, "y": -Infinity}}', {"/features/x", "/features/y"}),
        (b'{"features": {"x": true, "y": null}, "id": ""}', {"/features/x", "/features/y", "/id"}),
        (b'{"features": [1, 2]}', {"/features"}),
        (b'{"model": 3}', {"/model", "/features"}),
        (b"[]", {""}),
        (b'{"features": {"x": 1, "y": 2, "a/b~c": 1}}', {"/features/a~1b~0c"}),
        (b'{"features": {"x": 1, "y": ' + b"9" * 400 + b"}}", {"/features/y"}),
    ],
)
@pytest.mark.usefixtures("linear")
async def test_every_bad_field_is_named(settings: Settings, body: bytes, fields: set[str]) -> None:
    """One answer names all that is wrong, by JSON pointer, and nothing is published."""
    app = create_app(settings)
    async with running(app) as http:
        document = problem(await http.post("/predict", content=body), 422)
        assert {error["field"] for error in document["errors"]} == fields
        assert app.state.parts.publisher.published + app.state.parts.publisher.queued == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"features": {}} x', b"\xff", b'{"id": "\\ud800"}', b"[" * 100_000]
)
@pytest.mark.usefixtures("linear")
async def test_malformed_json_is_a_problem(settings: Settings, body: bytes) -> None:
    """Bytes that are no JSON are answered 400 or 422, never 500."""
    async with running(create_app(settings)) as http:
        answer = await http.post("/predict", content=body)
        problem(answer, answer.status_code)
        assert answer.status_code in (400, 422)


@pytest.mark.usefixtures("linear")
async def test_framework_errors_are_problems(settings: Settings) -> None:
    """404, 405, 413, 422 and 500 have the same form, whoever raises them."""
    app = create_app(settings)

    @for_everybody
    async def broken() -> None:
        raise RuntimeError("secret")

    app.add_api_route("/broken", broken, include_in_schema=False)
    async with running(app) as http:
        problem(await http.get("/nowhere"), 404)
        assert problem(await http.get("/predict"), 405)["title"] == "Method Not Allowed"
        problem(await http.post("/predict", content=b"x" * (1 << 20) + b"x"), 413)
        assert (
            problem(await http.get("/alerts?limit=0"), 422)["errors"][0]["field"] == "/query/limit"
        )
        assert "secret" not in problem(await http.get("/broken"), 500)["detail"]
        assert (
            "linear"
            in problem(await http.post("/predict", json={"features": {}, "model": "no"}), 404)[
                "detail"
            ]
        )


async def test_without_a_model_the_answer_says_what_to_do(settings: Settings) -> None:
    """An API without models serves, and tells how to register one."""
    async with running(create_app(settings)) as http:
        answer = await http.post("/predict", json={"features": {}})
        assert "driftgauge models register" in problem(answer, 503)["detail"]
        assert answer.headers["retry-after"]
        assert (await http.get("/readyz")).json()["status"] == "degraded"


async def test_several_models(linear: ModelRegistry, settings: Settings) -> None:
    """With several models one must be named, unless there is a default; a monitor-only one cannot
    predict.
    """
    publish(linear, "watched", SCHEMA, rows())
    async with running(create_app(settings)) as http:
        assert (
            "linear, watched"
            in problem(await http.post("/predict", json={"features": GOOD}), 422)["detail"]
        )
        assert (
            "/events"
            in problem(
                await http.post("/predict", json={"features": GOOD, "model": "watched"}), 409
            )["detail"]
        )
    async with running(create_app(settings.model_copy(update={"default_model": "linear"}))) as http:
        assert (await http.post("/predict", json={"features": GOOD})).json()["model"] == "linear"
        assert (await http.post("/predict_batch", json=[GOOD])).json()["model"] == "linear"
        assert (await http.get("/model-info")).json()["model"] == "linear"
        assert (await http.get("/model-info?model=watched")).json()["task"] == "monitor"
        problem(await http.post("/predict_batch", json={"rows": [GOOD], "model": "watched"}), 409)
    async with running(create_app(settings.model_copy(update={"default_model": "gone"}))) as http:
        detail = problem(await http.post("/predict", json={"features": GOOD}), 503)["detail"]
        assert "DRIFTGAUGE_DEFAULT_MODEL" in detail
        assert (
            await http.post("/predict", json={"features": GOOD, "model": "linear"})
        ).status_code == 200


@pytest.mark.usefixtures("linear")
async def test_concurrent_requests_share_calls_and_round_trips(settings: Settings) -> None:
    """Requests at the same time share one model call and one pipelined round trip, in which each
    has its own reply.
    """
    app = create_app(settings)
    async with running(app) as http:
        parts = app.state.parts
        await until(lambda: parts.publisher.connected)
        groups: list[int] = []
        send = parts.publisher.sender._send

        async def counted(connection: Any, batch: Any) -> None:
            groups.append(len(batch))
            await send(connection, batch)

        parts.publisher.sender._send = counted
        bodies = [{"features": {"x": number, "y": 0}} for number in range(64)]
        answers = await asyncio.gather(*(http.post("/predict", json=body) for body in bodies))
    assert [answer.json()["prediction"] for answer in answers] == pytest.approx(
        [2 * number for number in range(64)]
    )
    assert {answer.json()["event"] for answer in answers} == {"published"}
    assert sum(groups) == 64
    assert len(groups) <= 8
    assert parts.scorer.calls <= 8


class Moody:
    """Fails at a batch that holds 13; gives no number for 14."""

    def predict(self, matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if (matrix[:, 0] == 13).any():
            raise ValueError("saw 13")
        return np.where(matrix[:, 0] == 14, np.nan, matrix[:, 0])


async def test_a_row_fails_its_own_request_only(
    registry: ModelRegistry, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that breaks the model is a 500 that names the model, is logged without its values; its
    neighbours pass.
    """
    publish(registry, "moody", SCHEMA, rows(), Moody())
    app = create_app(settings)
    with caplog.at_level(logging.ERROR):
        async with running(app) as http:
            bodies = [{"features": {"x": number, "y": 0}} for number in range(10, 18)]
            answers = await asyncio.gather(*(http.post("/predict", json=body) for body in bodies))
            assert [answer.status_code for answer in answers] == [
                200,
                200,
                200,
                500,
                500,
                200,
                200,
                200,
            ]
            assert "moody 1.0.0" in problem(answers[3], 500)["detail"]
            assert app.state.parts.publisher.published + app.state.parts.publisher.queued == 6
    assert "ValueError" in caplog.text
    assert "saw 13" not in caplog.text


async def test_categories_and_labels(registry: ModelRegistry, settings: Settings) -> None:
    """Categories reach the model in a frame with its column names; a class label is answered as
    text.
    """
    schema = Schema(
        (Feature("c", "categorical", nullable=True), Feature("x", "numeric", nullable=True)),
        prediction="categorical",
    )
    frame = pd.DataFrame({"c": ["a", "b"] * 50, "x": [1.0, 2.0] * 50})
    steps = make_pipeline(
        FunctionTransformer(lambda_free), OneHotEncoder(handle_unknown="ignore"), DummyClassifier()
    )
    publish(registry, "labels", schema, frame, steps.fit(frame, [3] * 100), task="multiclass")
    async with running(create_app(settings)) as http:
        answer = await http.post("/predict", json={"features": {"c": "a"}})
        assert answer.json()["prediction"] == "3"


def lambda_free(frame: pd.DataFrame) -> pd.DataFrame:
    assert list(frame.columns) == ["c", "x"]
    return frame[["c"]].fillna("none")


async def test_a_broken_version_is_reported_and_the_old_goes_on(
    linear: ModelRegistry, settings: Settings
) -> None:
    """A production version that cannot be loaded harms nobody: the old one serves, /readyz names
    the new one's fault.
    """
    async with running(create_app(settings)) as http:
        (linear.folder / "linear/stages.json").write_text('{"production": "9.0.0"}')

        async def degraded() -> bool:
            return "manifest.json of linear 9.0.0" in (await http.get("/readyz")).text

        await until(degraded)
        assert (await http.post("/predict", json={"features": GOOD})).json()["version"] == "1.0.0"


@pytest.mark.usefixtures("linear")
async def test_model_info_and_documentation(settings: Settings) -> None:
    """/model-info gives what a client needs to build requests; OpenAPI documents the bodies."""
    async with running(create_app(settings)) as http:
        info = (await http.get("/model-info")).json()
        assert msgspec.convert(info["schema"], Schema) == SCHEMA
        assert info["reference_rows"] == 500
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert "example" in paths["/predict"]["post"]["requestBody"]["content"]["application/json"]
        page = await http.get("/docs")
        assert page.status_code == 200
        assert 'data-spec="/openapi.json"' in page.text
        assert 'spec-url="/openapi.json"' in (await http.get("/redoc")).text
        assert (await http.get("/livez")).status_code == 200
