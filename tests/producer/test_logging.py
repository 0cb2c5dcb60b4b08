"""The API's line for each request, and the request's id."""

import io
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftgauge.producer import app as producer_app
from driftgauge.producer.watching.access_log import AccessLog
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, api_process, running, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


class Log:
    """The lines of an app's access log."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@asynccontextmanager
async def logged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Log]]:
    log = Log()
    monkeypatch.setattr(producer_app, "AccessLog", lambda given: AccessLog(given, log.stream))
    app = producer_app.create_app(settings)
    async with running(app) as http:
        await until(lambda: app.state.parts.publisher.connected)
        yield http, log


async def test_a_prediction_is_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line has the ids, model and version by which a prediction is found, status and latency,
    and no feature.
    """
    async with logged(settings, monkeypatch) as (http, log):
        answer = await http.post(
            "/predict", json={"features": GOOD}, headers={"X-Request-ID": "order-7_a.b"}
        )
        await until(lambda: len(log.lines()) == 1)
    (line,) = log.lines()
    expected = {
        "level": "info",
        "event": "request",
        "request_id": "order-7_a.b",
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "prediction_id": answer.json()["id"],
        "model": "linear",
        "version": "1.0.0",
    }
    assert {**line, **expected} == line
    assert set(line) - set(expected) == {"timestamp", "latency_ms"}
    assert line["latency_ms"] > 0
    assert answer.headers["x-request-id"] == "order-7_a.b"


@pytest.mark.parametrize(
    "given", ["", "-begins-with-a-dash", "a b", 'a"b', "x" * 129, "a\tb", "é", "a\x1b[31m"]
)
async def test_a_malformed_request_id_is_replaced(
    given: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's request id gets into log and answer only if it is a plain name; else
    an id is made.
    """
    async with logged(settings, monkeypatch) as (http, log):
        answers = [
            await http.get("/livez", headers=[(b"x-request-id", given.encode())]) for _ in range(2)
        ]
        await until(lambda: len(log.lines()) == 2)
    made = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch(r"[0-9a-f]{16}-\d+", one) for one in made)
    assert made[0] != made[1]
    assert [line["request_id"] for line in log.lines()] == made


async def test_every_answer_has_its_line_and_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, unknown and failed requests too; a path that a client made up, and a query, stay
    out of the log.
    """
    async with logged(settings, monkeypatch) as (http, log):

        def fail(*_: object) -> None:
            raise ValueError("planted-message")

        monkeypatch.setattr("driftgauge.producer.routes.models.msgspec.to_builtins", fail)
        answers = [
            await http.post("/predict", json={"features": {"x": "planted-value"}}),
            await http.get("/planted-path", params={"q": "planted-query"}),
            await http.get("/model-info", params={"model": "linear"}),
        ]
        await until(lambda: len(log.lines()) == 3)
    assert [(line["route"], line["status"]) for line in log.lines()] == [
        ("/predict", 422),
        ("other", 404),
        ("/model-info", 500),
    ]
    assert [line["request_id"] for line in log.lines()] == [
        answer.headers["x-request-id"] for answer in answers
    ]
    assert "planted" not in log.stream.getvalue()


async def test_features_are_logged_if_switched_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the setting says so, by name, for a single prediction."""
    told = settings.model_copy(update={"log_features": True})
    event = {"features": GOOD, "prediction": 1.0}
    async with logged(told, monkeypatch) as (http, log):
        await http.post("/predict", json={"features": GOOD})
        accepted = await http.post("/events", json=event)
        await http.post("/events", json=[event, event])
        await until(lambda: len(log.lines()) == 3)
    predicted, posted, many = log.lines()
    assert predicted["features"] == posted["features"] == {"x": 1.5, "y": 2.0}
    assert posted["prediction_id"] == accepted.json()["ids"][0]
    assert (many["predictions"], many["models"]) == (2, ["linear 1.0.0"])
    assert "features" not in many


@pytest.mark.parametrize("update", [{"access_log": False}, {"log_level": "WARNING"}])
async def test_lines_can_be_switched_off(
    update: dict[str, object], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the setting, or by a level above INFO; the answer has its id all the same."""
    async with logged(settings.model_copy(update=update), monkeypatch) as (http, log):
        answer = await http.post("/predict", json={"features": GOOD})
        assert answer.headers["x-request-id"]
    assert log.lines() == []


async def test_a_closed_stream_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be written costs no prediction."""
    async with logged(settings, monkeypatch) as (http, log):
        log.stream.close()
        answers = [await http.post("/predict", json={"features": GOOD}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_process_logs_json_only(settings: Settings, tmp_path: Path) -> None:
    """All that the server process writes to a file is JSON lines: its start, requests, and a
    request that is no HTTP.
    """
    with api_process(settings, tmp_path) as (url, _):
        httpx.post(f"{url}/predict", json={"features": GOOD}, trust_env=False)
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"planted \x1b[31m no HTTP\r\n\r\n")
            raw.recv(1000)
    lines = [json.loads(line) for line in (tmp_path / "api.log").read_text().splitlines()]
    assert any("listens on" in line["event"] for line in lines)
    assert any(line.get("route") == "/predict" for line in lines)
    assert any(
        line.get("logger") == "uvicorn.error" and line["level"] == "warning" for line in lines
    )
    assert "planted" not in (tmp_path / "api.log").read_text()
