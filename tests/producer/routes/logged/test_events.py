import json
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, running, serving
from tests.producer.routes.test_predict import problem

pytestmark = pytest.mark.anyio


def log(client: redis.Redis, key: str) -> list[Prediction]:
    entries: Any = client.xrange(key)
    return [msgspec.json.decode(fields[b"e"], type=Prediction) for _, fields in entries]


async def test_predictions_made_elsewhere(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """One object or a list becomes entries with what the client said of them, in the list's
    order.
    """
    publish(linear, "linear", SCHEMA, rows())
    full = {
        "features": GOOD,
        "prediction": 4,
        "id": "a",
        "time": "2025-11-20T20:15:00+01:00",
        "model": "linear",
        "version": "1.0.0",
        "latency_ms": 3,
        "source": "shadow",
    }
    async with serving(settings) as http:
        answer = await http.post(
            "/events", json=[full, {"features": GOOD, "prediction": 5, "time": 12}]
        )
        assert answer.status_code == 202
        assert answer.json()["event"] == "published"
        assert (await http.post("/events", json={"features": GOOD, "prediction": 6})).json()[
            "accepted"
        ] == 1
        assert (await http.post("/events", json=[])).json() == {
            "accepted": 0,
            "ids": [],
            "rejected": [],
            "event": "published",
        }
    first, second, third = log(client, keys.log("linear", 0))
    assert first == Prediction(
        "a",
        "1.0.0",
        1763666100000,
        [1.5, 2.0],
        4.0,
        3.0,
        "shadow",
        client_id=True,
        received=first.received,
    )
    assert first.received is not None
    assert abs(third.time - first.received) < 60_000  # its own time is the client's
    assert second.received is None
    assert (second.time, second.version, second.client_id, second.source) == (
        12,
        "2.0.0",
        False,
        "online",
    )
    assert [first.id, second.id] == answer.json()["ids"]
    assert third.prediction == 6
    assert set(client.hkeys(keys.versions("linear"))) == {b"1.0.0", b"2.0.0"}


@pytest.mark.usefixtures("linear")
async def test_all_or_none_if_asked(settings: Settings) -> None:
    """With `Prefer: handling=strict` one bad event refuses the whole list; every fault is named
    with its place, none is published.
    """
    app = create_app(settings)
    bad = [
        {"features": GOOD, "prediction": 1},
        {"features": {"x": "s"}, "prediction": "s", "time": "2025-11-20", "source": "dream"},
        7,
        {"features": GOOD, "prediction": 1, "version": "../../etc", "model": "linear"},
        {"features": GOOD, "prediction": 1, "model": "nobody"},
        {"prediction": 1, "latency_ms": -1, "extra": 1},
    ]
    async with running(app) as http:
        answer = await http.post("/events", json=bad, headers={"Prefer": "handling=strict"})
        document = problem(answer, 422)
        assert app.state.parts.publisher.published + app.state.parts.publisher.queued == 0
    assert [error["field"] for error in document["errors"]] == [
        "/1/time",
        "/1/source",
        "/1/features/x",
        "/1/features/y",
        "/1/prediction",
        "/2",
        "/3/version",
        "/4/model",
        "/5/latency_ms",
        "/5/extra",
        "/5/features",
    ]


@pytest.mark.usefixtures("linear")
async def test_a_list_takes_the_good(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """Each bad event of a list is answered by its place, with its id and every fault; the others
    are published, in order. A preference is answered by what was applied.
    """
    bad = [
        {"features": GOOD, "prediction": 1},
        {"features": {"x": "n/a"}, "prediction": 2, "id": "mine"},
        7,
        {"features": GOOD, "prediction": 4},
    ]
    async with serving(settings) as http:
        answer = await http.post("/events", json=bad)
        assert (answer.status_code, answer.headers.get("preference-applied")) == (202, None)
        found = answer.json()
        assert (found["accepted"], len(found["ids"]), found["event"]) == (2, 2, "published")
        first, second = found["rejected"]
        assert (first["index"], first["id"], second["index"]) == (1, "mine", 2)
        assert [error["field"] for error in first["errors"]] == ["/1/features/x", "/1/features/y"]
        assert [error["reason"] for error in first["errors"]] == ["wrong_type", "missing"]
        assert first["reason"].startswith("features/x must be a number, not a string; features/y")
        assert "must be an object" in second["reason"]
        lenient = await http.post("/events", json=[], headers={"Prefer": "handling=lenient"})
        assert lenient.headers["preference-applied"] == "handling=lenient"
        strict = {"Prefer": "handling=strict"}
        whole = await http.post("/events", json=bad[::3], headers=strict)
        assert (whole.status_code, whole.headers["preference-applied"]) == (202, "handling=strict")
        nothing = problem(await http.post("/events", json=bad[1:3]), 422)
        assert [one["index"] for one in nothing["rejected"]] == [0, 1]
    assert [event.prediction for event in log(client, keys.log("linear", 0))] == [1, 4, 1, 4]


@pytest.mark.usefixtures("linear")
async def test_what_is_no_json_harms_its_own_event_only(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """NaN, infinities, half a surrogate pair and numbers that are no float refuse their own event;
    a body that nobody can read is refused whole.
    """
    good = json.dumps({"features": GOOD, "prediction": 1})
    values = ("NaN", "Infinity", "1e999", '"\\ud800"', "1" + "0" * 400)
    bad = [f'{{"features": {{"x": {value}, "y": 2}}, "prediction": 1}}' for value in values]
    bad += ['{"features": {"x": 1, "y": 2}, "prediction": 1, "id": "\\ud800"}']
    async with serving(settings) as http:
        body = "[" + ",".join([good, *bad, good]) + "]"
        answer = await http.post("/events", content=body)
        assert answer.status_code == 202, answer.text
        assert [one["index"] for one in answer.json()["rejected"]] == [1, 2, 3, 4, 5, 6]
        problem(await http.post("/events", content=body[:-2]), 400)
    assert len(log(client, keys.log("linear", 0))) == 2


@pytest.mark.usefixtures("linear")
async def test_many_faults_are_capped(settings: Settings) -> None:
    """At most 100 faults are named, and the answer says how many more there are; too long a list is
    refused.
    """
    async with running(create_app(settings)) as http:
        document = problem(await http.post("/events", json=[{"features": GOOD}] * 150), 422)
        assert len(document["errors"]) == 100
        assert "50 more" in document["detail"]
        problem(await http.post("/events", json=[0] * 10_001), 413)


async def test_hostile_text_is_only_text(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Names, categories and ids that look like code, keys or protocol stay text, in the log and in
    the answers.
    """
    hostile = "<script>\r\n$9\r\n{steel.0}:log\u2028\x00'; --"
    schema = Schema((Feature(hostile, "categorical"),), prediction=None)
    frame = rows()[["x"]].astype(str).set_axis([hostile], axis=1)
    publish(registry, "hostile", schema, frame)
    async with serving(settings) as http:
        answer = await http.post("/events", json={"features": {hostile: hostile}, "id": hostile})
        assert answer.json()["ids"] == [hostile]
        refused = await http.post("/events", json={"features": {hostile + "!": 1}})
        assert hostile in problem(refused, 422)["errors"][0]["field"].replace("~1", "/")
    (event,) = log(client, keys.log("hostile", 0))
    assert (event.id, event.features, event.prediction) == (hostile, [hostile], None)


async def test_probabilities_made_elsewhere(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Probabilities are those of the schema's classes, from 0 to 1, with the sum 1; anything else
    is named.
    """
    schema = Schema((Feature("x", "numeric"),), "categorical", classes=("a", "b"))
    publish(registry, "classes", schema, rows()[["x"]])
    publish(registry, "plain", SCHEMA, rows())
    event = {"model": "classes", "features": {"x": 1}, "prediction": "a"}
    bad: list[Any] = [
        [0.5, 0.4],
        [1.5, -0.5],
        [1],
        ["a", "b"],
        [True, False],
        [0.5, None],
        "ab",
        {},
        [1e999, 0],
    ]
    async with serving(settings) as http:
        good = [
            {**event, "probabilities": given}
            for given in ([0.25, 0.75], [1, 0], [0.3333, 0.6667], None)
        ]
        assert (await http.post("/events", json=good)).status_code == 202
        for given in bad:
            body = json.dumps({**event, "probabilities": given})
            document = problem(await http.post("/events", content=body), 422)
            assert [error["field"] for error in document["errors"]] == ["/probabilities"], given
        plain = {"model": "plain", "features": GOOD, "prediction": 1, "probabilities": [1]}
        assert (
            "no classes"
            in problem(await http.post("/events", json=plain), 422)["errors"][0]["message"]
        )
    found = [event.probabilities for event in log(client, keys.log("classes", 0))]
    assert found == [[0.25, 0.75], [1.0, 0.0], [0.3333, 0.6667], None]
