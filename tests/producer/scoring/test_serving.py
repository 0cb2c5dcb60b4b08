import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import redis
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftgauge.producer.app import create_app
from driftgauge.producer.scoring import serving as serving_module
from driftgauge.producer.scoring.serving import MOST_TRIALS, Serving
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.glance import Glance
from driftgauge.shared.registry.registry import (
    Manifest,
    ModelRegistry,
    PublishedVersion,
    new_manifest,
)
from driftgauge.shared.settings import Settings
from tests.consumer.judging import weeks
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving, until
from tests.producer.routes.logged.test_events import log
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


def constant(number: float) -> LinearRegression:
    return LinearRegression().fit(np.zeros((2, 2)), [number, number])


async def ready(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/readyz?verbose=true")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def predicted(http: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await http.post("/predict", json={"features": GOOD, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_imports_that_meet_those_of_another_thread_are_tried_again(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python ends an import that waits in a circle with another thread's; the model serves all the
    same, at once.
    """
    assert linear
    load, kind, calls = ModelRegistry.load_artifact, type("_DeadlockError", (RuntimeError,), {}), []

    def meets(self: ModelRegistry, *given: str) -> Any:
        calls.append(given)
        if len(calls) == 1:
            raise kind("deadlock detected by _ModuleLock('sklearn')")
        return load(self, *given)

    monkeypatch.setattr(ModelRegistry, "load_artifact", meets)
    async with running(create_app(settings)) as http:
        assert (await predicted(http))["version"] == "1.0.0"
    assert len(calls) == 2


async def test_a_tampered_artifact_is_never_loaded(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changed byte: the old version goes on, /readyz?verbose says which version is refused and
    why; a good one that is promoted next is noticed without waiting for the refused one to be
    tried again, and the fault is gone.
    """
    monkeypatch.setattr(serving_module, "RETRY_BROKEN_S", 1000.0)
    publish(linear, "linear", SCHEMA, rows(), constant(7), stage="staging")
    async with running(create_app(settings)) as http:
        assert (await ready(http))["models"] == {"linear": {"serving": "1.0.0"}}
        linear.promote("linear", "2.0.0", actor="test")
        artifact = linear.folder / "linear/2.0.0/model.joblib"
        content = bytearray(artifact.read_bytes())
        content[len(content) // 2] ^= 1
        artifact.write_bytes(content)

        async def refused() -> bool:
            return "refused" in (await ready(http))["models"]["linear"]

        await until(refused)
        found = await ready(http)
        assert found["status"] == "degraded"
        assert found["models"]["linear"]["serving"] == "1.0.0"
        assert found["models"]["linear"]["refused"]["version"] == "2.0.0"
        assert "SHA-256" in found["models"]["linear"]["refused"]["reason"]
        assert (await predicted(http))["version"] == "1.0.0"
        publish(linear, "linear", SCHEMA, rows(), constant(8))

        async def switched() -> bool:
            return bool((await predicted(http))["version"] == "3.0.0")

        await until(switched)
        assert (await ready(http))["models"] == {"linear": {"serving": "3.0.0"}}


class Fails:
    def predict(self, _: NDArray[Any]) -> NDArray[Any]:
        raise RuntimeError("no")


async def test_a_version_that_cannot_predict_does_not_serve(
    linear: ModelRegistry, settings: Settings
) -> None:
    """A model that fails at its first prediction never takes traffic: no request is failed by a
    promotion.
    """
    async with running(create_app(settings)) as http:
        publish(linear, "linear", SCHEMA, rows(), Fails())

        async def refused() -> bool:
            return "first prediction" in str((await ready(http))["models"]["linear"].get("refused"))

        await until(refused)
        assert (await predicted(http))["prediction"] == pytest.approx(5)


async def test_a_model_that_never_served_says_why(
    registry: ModelRegistry, settings: Settings
) -> None:
    """A model that has nothing to serve is 503 with the reason, not an unknown model; its faults
    stand in /readyz.
    """
    publish(registry, "broken", SCHEMA, rows(), Fails())
    async with running(create_app(settings)) as http:
        answer = await http.post("/predict", json={"features": GOOD, "model": "broken"})
        assert "first prediction" in problem(answer, 503)["detail"]
        assert (await ready(http))["models"]["broken"]["serving"] is None


async def test_loading_does_not_hold_up_requests(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a new version is being loaded, the old one answers; and what waits for the old one is
    finished by it.
    """
    app = create_app(settings)
    async with running(app) as http:
        serving_of = app.state.parts.serving
        begun, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        load = serving_of._load

        def slow(*arguments: Any) -> Any:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(60)
            return load(*arguments)

        monkeypatch.setattr(serving_of, "_load", slow)
        publish(linear, "linear", SCHEMA, rows(), constant(7))
        await asyncio.wait_for(begun.wait(), 60)
        old = serving_of.choose(None)
        assert (await predicted(http))["version"] == "1.0.0"
        go_on.set()
        await until(lambda: serving_of.choose(None).version == "2.0.0")
        assert (await app.state.parts.scorer.score(old, [1.5, 2.0])).prediction == pytest.approx(5)


async def test_a_version_in_staging_is_asked_for_by_name(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A version in staging predicts when it is named, and its events are shadow; archived it does
    not, nor does a made-up one.
    """
    publish(linear, "linear", SCHEMA, rows(), constant(7), stage="staging")
    async with serving(settings) as http:
        trial = await predicted(http, version="2.0.0")
        assert (trial["version"], trial["prediction"]) == ("2.0.0", pytest.approx(7))
        assert (await predicted(http, version="1.0.0"))["version"] == "1.0.0"
        assert (await predicted(http))["version"] == "1.0.0"
        listed = await http.post("/predict_batch", json={"version": "2.0.0", "rows": [GOOD]})
        assert listed.json()["version"] == "2.0.0"
        linear.archive("linear", "2.0.0", actor="test")

        async def refused() -> bool:
            answer = await http.post("/predict", json={"features": GOOD, "version": "2.0.0"})
            return answer.status_code == 422 and "archived" in answer.json()["detail"]

        await until(refused)
        problem(await http.post("/predict", json={"features": GOOD, "version": "9.0.0"}), 404)
        problem(await http.post("/predict", json={"features": GOOD, "version": "../../etc"}), 422)
        problem(
            await http.post("/predict", json={"features": GOOD, "model": "x", "version": "1.0.0"}),
            404,
        )
        assert client.hexists(keys.versions("linear"), "2.0.0")
    assert [(event.version, event.source) for event in log(client, keys.log("linear", 0))[:4]] == [
        ("2.0.0", "shadow"),
        ("1.0.0", "online"),
        ("1.0.0", "online"),
        ("2.0.0", "shadow"),
    ]


async def test_a_version_that_was_tried_is_promoted_as_it_is(
    linear: ModelRegistry, settings: Settings
) -> None:
    """A version that is loaded for its trial serves at once when it is promoted, without being
    loaded again.
    """
    publish(linear, "linear", SCHEMA, rows(), constant(7), stage="staging")
    app = create_app(settings)
    async with running(app) as http:
        await predicted(http, version="2.0.0")
        serving_of = app.state.parts.serving
        tried = await serving_of.predicting("linear", "2.0.0")
        linear.promote("linear", "2.0.0", actor="test")
        await until(lambda: serving_of.choose(None) is tried)
        assert serving_of.source_of(tried) == "online"
        assert (await http.get("/model-info")).json()["version"] == "2.0.0"
        await until(lambda: not serving_of._trials)


async def test_a_trial_is_kept_if_it_is_promoted_during_a_look(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is promoted just after the look that finds the old one in production is not
    forgotten by that look.
    """
    publish(linear, "linear", SCHEMA, rows(), constant(7), stage="staging")
    app = create_app(settings)
    async with running(app) as http:
        await predicted(http, version="2.0.0")
        serving_of = app.state.parts.serving
        tried = await serving_of.predicting("linear", "2.0.0")
        looked = serving_of._looked

        def promoted_after_it() -> Any:
            found = looked()
            monkeypatch.setattr(serving_of, "_looked", looked)
            linear.promote("linear", "2.0.0", actor="test")
            return found

        monkeypatch.setattr(serving_of, "_looked", promoted_after_it)
        await until(lambda: serving_of.choose(None).version == "2.0.0")
        assert serving_of.choose(None) is tried


async def test_few_versions_in_staging_are_kept(linear: ModelRegistry, settings: Settings) -> None:
    """However many versions in staging are asked for, memory holds some of them."""
    for number in range(MOST_TRIALS + 2):
        publish(linear, "linear", SCHEMA, rows(), constant(number), stage="staging")
    app = create_app(settings)
    async with running(app) as http:
        for number in (*range(MOST_TRIALS + 2), 0):
            assert (await predicted(http, version=f"{number + 2}.0.0"))[
                "prediction"
            ] == pytest.approx(number)
            assert len(app.state.parts.serving._trials) <= MOST_TRIALS


async def test_a_model_without_production_is_no_fault(
    linear: ModelRegistry, settings: Settings
) -> None:
    """A model whose versions are only in staging does not degrade the API, and can be asked by
    version.
    """
    publish(linear, "young", SCHEMA, rows(), constant(3), stage="staging")
    async with running(create_app(settings)) as http:
        assert "young" not in (await ready(http))["models"]
        assert (await predicted(http))["model"] == "linear"
        assert (await predicted(http, model="young", version="1.0.0"))[
            "prediction"
        ] == pytest.approx(3)
        problem(await http.post("/predict", json={"features": GOOD, "model": "young"}), 404)


@pytest.mark.parametrize("fault", ["a torn file", "a folder that fails"])
async def test_a_folder_that_cannot_be_read_harms_nobody(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """While the registry folder cannot be read, what is loaded serves on, and /readyz says so until
    it can be.
    """
    monkeypatch.setattr(serving_module, "POLL_S", 0.02)
    async with running(create_app(settings)) as http:
        stages = linear.folder / "linear/stages.json"
        content = stages.read_bytes()

        async def degraded() -> bool:
            return "registry" in str((await ready(http))["reasons"]) or "stages" in str(
                (await ready(http))["reasons"]
            )

        async def well() -> bool:
            return not await degraded()

        with monkeypatch.context() as patch:
            if fault == "a torn file":
                stages.write_text("{")
            else:
                patch.setattr(Glance, "production", fails)
            await until(degraded)
            assert (await predicted(http))["version"] == "1.0.0"
        stages.write_bytes(content)
        await until(well)


def fails(_: Glance) -> dict[str, str]:
    raise RuntimeError("no folder")


async def test_probabilities_are_answered_and_published(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A classifier's answer and event have the probabilities in the order of the classes that
    /model-info names.
    """
    frame = rows()
    labels = np.where(frame["x"] > 0, "a", "b")
    schema = Schema(SCHEMA.features, "categorical", "z", classes=("a", "b"))
    publish(
        registry,
        "signs",
        schema,
        frame,
        LogisticRegression().fit(frame.to_numpy(), labels),
        task="binary",
    )
    publish(registry, "plain", SCHEMA, frame, constant(1))
    async with serving(settings) as http:
        answer = await predicted(http, model="signs")
        assert (await http.get("/model-info?model=signs")).json()["schema"]["classes"] == ["a", "b"]
        assert "probabilities" not in await predicted(http, model="plain")
        batch = (await http.post("/predict_batch", json={"model": "signs", "rows": [GOOD]})).json()[
            "rows"
        ][0]
        headers = {"Accept": "text/csv"}
        text = (
            await http.post(
                "/predict_batch", json={"model": "signs", "rows": [GOOD]}, headers=headers
            )
        ).text
    assert answer["prediction"] == "a"
    assert len(answer["probabilities"]) == 2
    assert sum(answer["probabilities"]) == pytest.approx(1)
    assert (batch["prediction"], batch["probabilities"]) == ("a", answer["probabilities"])
    assert "probability a,probability b\r\n" in text
    events = log(client, keys.log("signs", 0))
    assert {tuple(event.probabilities or ()) for event in events} == {
        tuple(answer["probabilities"])
    }
    assert log(client, keys.log("plain", 0))[0].probabilities is None


async def test_a_broken_version_in_staging_is_not_read_at_each_request(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks again and again for a version that cannot be loaded is answered at once; the files
    are read again later.
    """
    publish(linear, "linear", SCHEMA, rows(), constant(3), stage="staging")
    artifact = linear.folder / "linear/2.0.0/model.joblib"
    content = artifact.read_bytes()
    artifact.write_bytes(content + b"!")
    loaded: list[str] = []
    load = Serving._load
    monkeypatch.setattr(Serving, "_load", lambda *asked: loaded.append(asked[-1]) or load(*asked))
    async with running(create_app(settings)) as http:
        loaded.clear()
        for _ in range(3):
            said = problem(
                await http.post("/predict", json={"features": GOOD, "version": "2.0.0"}), 503
            )
            assert "is not the file that was registered" in said["detail"]
        assert loaded == ["2.0.0"]
        artifact.write_bytes(content)
        monkeypatch.setattr(serving_module, "RETRY_BROKEN_S", 0.0)
        assert (await predicted(http, version="2.0.0"))["prediction"] == pytest.approx(3)


async def test_a_calibrated_version_keeps_on_hashing(tmp_path: Path) -> None:
    """A calibration that comes while a version is served changes nothing of what becomes of its
    personal features.
    """
    registry = ModelRegistry(tmp_path)
    columns = weeks.rows(np.random.default_rng(0), 14)
    kept, personal = weeks.SCHEMA.features[:-1], weeks.SCHEMA.features[-1]
    schema = Schema((*kept, msgspec.structs.replace(personal, pii="hash")), weeks.SCHEMA.prediction)
    profile = weeks.profile_of(columns)
    registry.register(PublishedVersion(new_manifest("plant", "1.0.0", "monitor"), schema, profile))
    registry.promote("plant", "1.0.0", actor="test")
    served = Serving(registry, None, lambda *_: None, "a key of sixteen")
    await served.refresh()
    before = served.production["plant"].clean([1.0, 2.0, 3.0, "anna"])
    registry.store_calibration("plant", "1.0.0", weeks.calibration_of(profile, columns))
    await served.refresh()
    assert served.production["plant"].published.calibration is not None
    assert served.production["plant"].clean([1.0, 2.0, 3.0, "anna"]) == before
    assert "anna" not in before


async def test_a_calibration_is_published_again(tmp_path: Path) -> None:
    """A version that is calibrated while it is served is announced again with its calibration, once
    each time; a damaged file changes nothing.
    """
    registry = ModelRegistry(tmp_path)
    columns = weeks.rows(np.random.default_rng(0), 14)
    profile = weeks.profile_of(columns)
    registry.register(
        PublishedVersion(new_manifest("plant", "1.0.0", "monitor"), weeks.SCHEMA, profile)
    )
    registry.promote("plant", "1.0.0", actor="test")
    announced: list[bytes] = []

    def announce(_manifest: Manifest, packed: bytes) -> None:
        announced.append(packed)

    served = Serving(registry, None, announce)
    await served.refresh()
    for target in (1.0, 2.0):
        made = weeks.calibration_of(profile, columns, target=target)
        registry.store_calibration("plant", "1.0.0", made)
        await served.refresh()
        await served.refresh()
        assert PublishedVersion.unpack(announced[-1]).calibration == made
    registry.calibration_file("plant", "1.0.0").write_bytes(b"{")
    await served.refresh()
    assert len(announced) == 3
