"""POST /predict with `explain`: why a prediction is what it is."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import redis
from lightgbm import LGBMClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from driftgauge.producer.app import create_app
from driftgauge.producer.scoring import explaining
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.explaining.sampling import pairs_of, rows_of_pair
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving
from tests.producer.linear import Positive
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio

FRAME = rows()
MEMBERS = {"contributions", "base", "scale", "about", "standard_errors"}


async def asked(http: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await http.post("/predict", json={"features": GOOD, **more})


async def test_a_linear_prediction_is_explained(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Exactly, by the means of the reference; and its event is that of any other prediction."""
    fitted = LinearRegression().fit(FRAME, 2 * FRAME.x + FRAME.y)
    publish(registry, "linear", SCHEMA, FRAME, fitted)
    async with serving(settings) as http:
        answer = (await asked(http, explain=True)).json()
    mean_x, mean_y = FRAME.mean()
    assert answer["scale"] == "prediction"
    assert answer["base"] == pytest.approx(2 * mean_x + mean_y)
    assert answer["contributions"] == pytest.approx({"x": 2 * (1.5 - mean_x), "y": 2 - mean_y})
    assert not {"about", "standard_errors"} & answer.keys()
    ((_, fields),) = client.xrange(keys.log("linear", 0))  # type: ignore[misc]  # it is not async
    event = msgspec.json.decode(fields[b"e"], type=Prediction)
    assert (event.id, event.features) == (answer["id"], [1.5, 2.0])
    assert event.prediction == answer["prediction"] == pytest.approx(5)


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("given", [{}, {"explain": False}, {"explain": None}])
async def test_nobody_else_is_told(settings: Settings, given: dict[str, Any]) -> None:
    """Without the wish the answer has no member more."""
    async with running(create_app(settings)) as http:
        answer = await asked(http, **given)
        assert answer.status_code == 200
        assert not MEMBERS & answer.json().keys()


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("given", ["exactly", 1, [], {}])
async def test_another_wish_is_refused(settings: Settings, given: Any) -> None:
    """`explain` is true, false or `estimate`."""
    async with running(create_app(settings)) as http:
        (error,) = problem(await asked(http, explain=given), 422)["errors"]
        assert error["field"] == "/explain"


@pytest.mark.usefixtures("linear")
async def test_what_cannot_be_explained_is_a_problem(settings: Settings) -> None:
    """A model that can only be asked: the answer says so and what to ask for, and nothing is
    published. Asked for, an estimate has its standard errors and adds up to the prediction.
    """
    app = create_app(settings)
    async with running(app) as http:
        detail = problem(await asked(http, explain=True), 409)["detail"]
        assert "kind that gives no contributions of its own (Linear), unlike LightGBM" in detail
        assert '"explain": "estimate"' in detail
        assert app.state.parts.publisher.published + app.state.parts.publisher.queued == 0
        answer = (await asked(http, explain="estimate")).json()
        assert answer == (await asked(http, explain="estimate")).json() | {"id": answer["id"]}
    assert answer["scale"] == "prediction"
    assert answer["base"] + sum(answer["contributions"].values()) == pytest.approx(5)
    errors = answer["standard_errors"]
    means = FRAME.mean()
    for name, slope in (("x", 2), ("y", 1)):  # beyond five standard errors once in a million
        wanted = slope * (GOOD[name] - means[name])
        assert abs(answer["contributions"][name] - wanted) < 5 * errors[name] < 2


CLASSES = Schema(SCHEMA.features, "categorical", classes=("no", "yes"))
SOLD = np.where(FRAME.x > 0, "yes", "no")


@pytest.mark.parametrize(
    ("fitted", "explain", "scale"),
    [
        (LogisticRegression(), True, "log_odds"),
        (LGBMClassifier(n_estimators=5, verbose=-1), True, "log_odds"),
        (LGBMClassifier(n_estimators=5, verbose=-1), "estimate", "log_odds"),
        (KNeighborsClassifier(), "estimate", "probability"),
    ],
)
async def test_a_class_is_explained(
    registry: ModelRegistry, settings: Settings, fitted: Any, explain: Any, scale: str
) -> None:
    """Of two classes the second, whichever is predicted; an estimate is made only where there is
    nothing exact.
    """
    publish(registry, "sales", CLASSES, FRAME, fitted.fit(FRAME, SOLD), task="binary")
    async with running(create_app(settings)) as http:
        for x in (-2, 2):
            answer = (await asked(http, features={"x": x, "y": 0}, explain=explain)).json()
            assert (answer["about"], answer["scale"]) == ("yes", scale)
            assert ("standard_errors" in answer) == (scale == "probability")
            total = answer["base"] + sum(answer["contributions"].values())
            share = answer["probabilities"][1]
            wanted = share if scale == "probability" else np.log(share / (1 - share))
            assert total == pytest.approx(wanted)


async def test_an_estimate_can_be_impossible(registry: ModelRegistry, settings: Settings) -> None:
    """Classes without probabilities cannot be estimated, nor a model that fails at the reference's
    values; the answer says why.
    """
    labels = Schema(SCHEMA.features, "categorical")
    fitted = KNeighborsClassifier().fit(FRAME, SOLD)
    publish(registry, "labels", labels, FRAME, fitted, task="binary")
    publish(registry, "positive", SCHEMA, FRAME, Positive(2, 1))
    async with running(create_app(settings)) as http:
        answer = await asked(http, model="labels", explain="estimate")
        assert "classes without probabilities" in problem(answer, 409)["detail"]
        answer = await asked(http, model="positive", explain="estimate")
        assert "rows of its reference's values" in problem(answer, 409)["detail"]
        failing = {"features": {"x": -13, "y": 1}, "model": "positive", "explain": True}
        problem(await http.post("/predict", json=failing), 500)


@pytest.mark.usefixtures("linear")
async def test_an_estimate_takes_turns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the model in blocks like a batch's, and predictions are answered meanwhile; one more
    estimate than are allowed at a time is refused, and the place is free again afterwards.
    """
    monkeypatch.setattr(explaining, "MOST_ESTIMATES", 1)
    app = create_app(settings.model_copy(update={"score_batch_rows": 16}))
    sizes: list[int] = []
    score_block = Scorer.score_block

    async def counted(scorer: Scorer, served: Any, block: Sequence[Any]) -> Any:
        sizes.append(len(block))
        if len(sizes) == 2:
            meanwhile.append((await asked(http)).status_code)
        return await score_block(scorer, served, block)

    monkeypatch.setattr(Scorer, "score_block", counted)
    meanwhile: list[int] = []
    async with running(app) as http:
        both = await asyncio.gather(*(asked(http, explain="estimate") for _ in range(2)))
        refused = next(one for one in both if one.status_code != 200)
        assert "estimates are being made" in problem(refused, 503)["detail"]
        assert refused.headers["retry-after"]
        assert sorted(one.status_code for one in both) == [200, 503]
        assert max(sizes) == 16
        assert sum(sizes) == 1 + pairs_of(2) * rows_of_pair(2)
        assert meanwhile == [200]
        assert (await asked(http, explain="estimate")).status_code == 200


async def test_a_missing_and_a_personal_value_are_explained(
    registry: ModelRegistry, settings: Settings
) -> None:
    """By trees, which need no values of the reference; the event has no personal value."""
    features = (Feature("x", "numeric", nullable=True), Feature("y", "numeric", pii="drop"))
    schema = Schema(features, "categorical", classes=("no", "yes"))
    fitted = LGBMClassifier(n_estimators=5, verbose=-1).fit(FRAME, SOLD)
    publish(registry, "sales", schema, FRAME, fitted, task="binary")
    async with running(create_app(settings)) as http:
        answer = (await asked(http, features={"x": None, "y": 1}, explain=True)).json()
        assert answer["contributions"].keys() == {"x", "y"}
