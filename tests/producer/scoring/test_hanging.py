import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.scoring import serving as serving_module
from driftgauge.producer.scoring.threads import MOST_IDLE, ModelFailed, Threads
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.exposition import parse, value
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
from tests.producer.linear import Gated, Linear, Moody
from tests.producer.pipeline import Written
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


class Gate:
    """A file: while it exists, the models that know it hang."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def shut(self) -> None:
        self.path.touch()

    def open(self) -> None:
        self.path.unlink(missing_ok=True)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


@pytest.fixture
def gated(linear: ModelRegistry, gate: Gate) -> ModelRegistry:
    """A model that hangs while the gate exists, beside one that does not."""
    publish(linear, "gated", SCHEMA, rows(), Gated(gate.path))
    return linear


async def predict(http: httpx.AsyncClient, model: str) -> httpx.Response:
    return await http.post("/predict", json={"features": GOOD, "model": model})


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@pytest.mark.usefixtures("gated")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
async def test_a_model_that_hangs_hurts_nobody_else(
    settings: Settings, tmp_path: Path, gate: Gate
) -> None:
    """While a model hangs, the other one predicts, its own requests are 503 after the deadline and
    then at once, in one thread; /readyz says so; it predicts again when the call returns; and
    SIGTERM ends the API although it hangs.
    """
    settings = settings.model_copy(update={"model_timeout_seconds": 1.5})
    with api_process(settings, tmp_path) as (url, process):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
            for model in ("gated", "linear"):
                assert (await predict(http, model)).status_code == 200
            # batches have threads of their own, which are not those of models
            assert (await http.post("/predict_batch?model=linear", json=[GOOD])).status_code == 200
            gate.shut()
            waiting = asyncio.create_task(predict(http, "gated"))
            await asyncio.sleep(0)
            while not waiting.done():
                assert (await predict(http, "linear")).status_code == 200
            answer = await waiting
            assert answer.headers["Retry-After"]
            assert "DRIFTGAUGE_MODEL_TIMEOUT_SECONDS" in problem(answer, 503)["detail"]
            before = threads_of(process.pid)
            for answer in await asyncio.gather(*(predict(http, "gated") for _ in range(30))):
                problem(answer, 503)
            problem(await http.post("/predict_batch?model=gated", json=[GOOD]), 503)
            assert threads_of(process.pid) <= before
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert "gated 1.0.0 has not returned" in ready.json()["reasons"][0]
            assert (await http.get("/health")).json()["hanging"] == {"gated": "1.0.0"}
            metrics = parse((await http.get("/metrics")).text)
            name = "driftgauge_model_calls_given_up_total"
            assert value(metrics, name, model="gated", version="1.0.0") == 1
            gate.open()

            async def answers() -> bool:
                return (await predict(http, "gated")).status_code == 200

            await until(answers)
            gate.shut()
            last = asyncio.create_task(predict(http, "gated"))
            problem(await last, 503)
            process.terminate()
            process.wait(60)
        assert "predicts again" in (tmp_path / "api.log").read_text()


async def test_what_hangs_is_an_alert_until_another_version_serves(
    gated: ModelRegistry,
    settings: Settings,
    gate: Gate,
    client: redis.Redis,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that does not return raises blind.model_hangs; a promotion mends it, and the alert
    resolves.
    """
    monkeypatch.setattr("driftgauge.producer.watching.blind.HANGING_HOLD_MS", 300)
    changed = {"model_timeout_seconds": 0.1, "watchdog_seconds": 0.05}
    written = Written(client, keys, "gated")
    async with serving(settings.model_copy(update=changed)) as http:
        gate.shut()
        problem(await predict(http, "gated"), 503)
        await until(written.transitions)
        assert written.transitions() == ["blind.model_hangs firing"]
        publish(gated, "gated", SCHEMA, rows(), Linear(2, 1))
        await until(lambda: len(written.transitions()) > 1)
        assert written.transitions()[1] == "blind.model_hangs resolved"

        async def predicts_again() -> bool:  # the short deadline holds for it too
            answer = await predict(http, "gated")
            return answer.status_code == 200 and answer.json()["version"] == "2.0.0"

        await until(predicts_again)
    gate.open()


async def test_readiness_is_lost_when_nothing_can_predict(
    registry: ModelRegistry, settings: Settings, gate: Gate
) -> None:
    """With one model, which hangs, a load balancer is told to ask another API."""
    publish(registry, "gated", SCHEMA, rows(), Gated(gate.path))
    settings = settings.model_copy(update={"model_timeout_seconds": 0.1})
    async with running(create_app(settings)) as http:
        assert (await http.get("/readyz")).status_code == 200
        gate.shut()
        problem(await predict(http, "gated"), 503)
        assert (await http.get("/readyz")).status_code == 503
        gate.open()

        async def back() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await until(back)


async def test_a_batch_ends_though_its_model_hangs(
    registry: ModelRegistry, settings: Settings, gate: Gate
) -> None:
    """A model that begins to hang within a batch fails the rows that are left, each with the
    reason; the answer is whole.
    """
    publish(registry, "gated", SCHEMA, rows(), Gated(gate.path))
    settings = settings.model_copy(update={"score_batch_rows": 2})
    app = create_app(settings)
    async with running(app) as http:
        scorer = app.state.parts.scorer
        score_block = scorer.score_block

        async def shutting(*given: Any) -> Any:
            if scorer.calls == 2:
                gate.shut()
                scorer._timeout_s = 0.1  # from here on: no pause of the machine is a hanging model
            return await score_block(*given)

        scorer.score_block = shutting
        document = (await http.post("/predict_batch", json=[GOOD] * 12)).json()
        gate.open()
    assert (document["summary"]["ok"], document["summary"]["failed"]) == (4, 8)
    assert "has not returned" in document["rows"][-1]["errors"][0]["message"]


async def test_what_a_model_raises_costs_that_request_alone(
    registry: ModelRegistry, settings: Settings
) -> None:
    """SystemExit, KeyboardInterrupt, MemoryError, StopIteration and endless recursion are a 500 of
    their row; its neighbours in the same call are predicted, and the API lives.
    """
    publish(registry, "moody", SCHEMA, rows(), Moody(2, 1))
    async with running(create_app(settings)) as http:

        async def status(x: int) -> int:
            answer = await http.post("/predict", json={"features": {"x": x, "y": 0}})
            return answer.status_code

        found = await asyncio.gather(*map(status, range(30)))
        assert [x for x, code in enumerate(found) if code != 200] == [13, 14, 15, 16, 17]
        assert {found[x] for x in range(13, 18)} == {500}
        batch = await http.post("/predict_batch", json=[{"x": x, "y": 0} for x in range(30)])
        assert batch.json()["summary"]["failed"] == 5


class Exits(Linear):
    def predict(self, _: Any) -> Any:
        raise SystemExit(1)


async def test_a_version_that_hangs_while_it_is_loaded_delays_no_other(
    linear: ModelRegistry, settings: Settings, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version whose first prediction hangs, or ends the process, is reported; the API starts,
    other promotions are followed, and it serves when it returns after all.
    """
    monkeypatch.setattr(serving_module, "LOAD_S", 0.2)
    monkeypatch.setattr(serving_module, "RETRY_BROKEN_S", 0.1)
    gate.shut()
    publish(linear, "gated", SCHEMA, rows(), Gated(gate.path))
    publish(linear, "exits", SCHEMA, rows(), Exits())
    app = create_app(settings)
    async with running(app) as http:
        served = app.state.parts.serving.production
        await until(lambda: "linear" in served)
        assert (await predict(http, "linear")).json()["version"] == "1.0.0"

        async def reported() -> bool:
            reasons = " ".join((await http.get("/readyz")).json()["reasons"])
            return "gated 1.0.0 is not loaded yet" in reasons and "SystemExit was raised" in reasons

        await until(reported)
        publish(linear, "linear", SCHEMA, rows(), Linear(1, 1))
        await until(lambda: served["linear"].version == "2.0.0")
        gate.open()
        await until(lambda: "gated" in served)
        assert (await predict(http, "gated")).status_code == 200


async def test_a_promotion_does_not_wait_for_another_version_that_hangs(
    linear: ModelRegistry, settings: Settings, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one version is waited for, another one is loaded and serves; so many hang and no more
    are begun; loads that nobody wants any more are forgotten when they end.
    """
    monkeypatch.setattr(serving_module, "MOST_LOADS", 2)
    app = create_app(settings)
    async with running(app):
        serving_of = app.state.parts.serving
        gate.shut()
        publish(linear, "gated", SCHEMA, rows(), Gated(gate.path))
        await until(lambda: serving_of._loads)
        publish(linear, "linear", SCHEMA, rows(), Linear(1, 1))
        await until(lambda: serving_of.production["linear"].version == "2.0.0")
        assert "gated" not in serving_of.production
        monkeypatch.setattr(serving_module, "LOAD_S", 0.1)
        publish(linear, "gated", SCHEMA, rows(), Gated(gate.path))
        publish(linear, "other", SCHEMA, rows(), Linear(1, 1))
        with pytest.raises(DriftgaugeError, match="not loaded yet"):
            await serving_of._loaded("gated", "2.0.0")
        with pytest.raises(DriftgaugeError, match="Restart the API"):
            await serving_of._loaded("other", "1.0.0")
        monkeypatch.setattr(serving_module, "LOAD_S", 60.0)
        gate.open()
        await until(lambda: all(load.version.done() for load in serving_of._loads.values()))
        assert (await serving_of._loaded("other", "1.0.0")).model == "other"
        assert not serving_of._loads


async def test_threads_are_used_again_and_few_are_kept() -> None:
    """Results and errors come back; idle threads are used again, and only some are kept; what a
    future could not hold is another error.
    """
    threads = Threads("test")
    try:
        assert await threads.start(sum, (1, 2)) == 3
        with pytest.raises(ZeroDivisionError):
            await threads.start(divmod, 1, 0)
        with pytest.raises(ModelFailed, match="SystemExit"):
            await threads.start(exit_, 1)
        assert len(threads._idle) == 1
        await asyncio.gather(*(threads.start(time.sleep, 0.05) for _ in range(MOST_IDLE + 3)))
        assert len(threads._idle) == MOST_IDLE
    finally:
        threads.close()


def exit_(code: int) -> None:
    raise SystemExit(code)
