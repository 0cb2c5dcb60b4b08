"""POST /cloudevents, as KServe's logger calls it.

The logger (its `pkg/logger`) takes a request's body as it came, and after the answer that body, if
the status was 200; both wait in one queue and are sent by several workers in the binary form, so
they overtake each other. What is not answered 200 is not sent again.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import worker_thread
from tests.producer.conftest import publish_linear, serving, until

pytestmark = pytest.mark.anyio

WORKERS = 5
TYPES = {
    "request": "org.kubeflow.serving.inference.request",
    "response": "org.kubeflow.serving.inference.response",
}


class KServe:
    """An inference service with its logger."""

    def __init__(self, http: httpx.AsyncClient, url: str, service: str = "linear") -> None:
        self.statuses: Counter[int] = Counter()
        self._http = http
        self._url = url
        self._service = service
        self._queue: list[tuple[dict[str, str], bytes]] = []

    def infer(self, rows: Sequence[Sequence[float]], kind: str = "V1", status: int = 200) -> str:
        """Answer a request, and queue what is logged of it."""
        name = str(uuid.uuid4())
        answers = [2 * row[0] + row[1] for row in rows]
        asked: Any = {"instances": rows}
        answered: Any = {"predictions": answers}
        if kind == "V2":
            flat = [value for row in rows for value in row]
            asked = {"inputs": [_tensor("input-0", [len(rows), 2], flat)]}
            answered = {"outputs": [_tensor("predict", [len(rows)], answers)]}
        self._log("request", name, asked)
        if status == 200:
            self._log("response", name, answered)
        return name

    def _log(self, part: str, name: str, body: Any) -> None:
        headers = {
            "Ce-Id": name,
            "Ce-Source": "http://localhost:9081/",
            "Ce-Specversion": "1.0",
            "Ce-Type": TYPES[part],
            "Ce-Time": datetime.now(UTC).isoformat(),
            "Ce-Inferenceservicename": self._service,
            "Ce-Namespace": "default",
            "Content-Type": "application/json",
        }
        self._queue.append((headers, msgspec.json.encode(body)))

    async def send(self, draw: random.Random, doubled: float = 0.0, dropped: float = 0.0) -> None:
        """Send what is queued, out of order; some of it twice, some of it never."""
        queue = [one for one in self._queue if draw.random() >= dropped]
        queue += [one for one in queue if draw.random() < doubled]
        draw.shuffle(queue)
        self._queue = []

        async def work() -> None:
            while queue:
                headers, body = queue.pop()
                answer = await self._http.post(self._url, content=body, headers=headers)
                self.statuses[answer.status_code] += 1

        await asyncio.gather(*(work() for _ in range(WORKERS)))


def _tensor(name: str, shape: list[int], data: list[float]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data}


def counters_of(client: redis.Redis, keys: Keys, model: str = "linear") -> Counters:
    packed: Any = client.hget(keys.count(model, 0), "counters")
    return Counters() if packed is None else msgspec.json.decode(packed, type=Counters)


def logged(client: redis.Redis, keys: Keys) -> dict[str, Prediction]:
    """Return the predictions of the log, by id."""
    entries: Any = client.xrange(keys.log("linear", 0))
    events = [
        msgspec.json.decode(fields[b"e"], type=Prediction)
        for _, fields in entries
        if fields[b"t"] == b"p"
    ]
    found = {event.id: event for event in events}
    assert len(found) == len(events)
    return found


@pytest.mark.parametrize("kind", ["V1", "V2"])
async def test_shuffled_doubled_and_dropped_halves(
    settings: Settings, registry: ModelRegistry, client: redis.Redis, kind: str
) -> None:
    """Each request whose both halves arrive is one prediction a row, with the request's time and
    the answer's value; a half that comes twice changes nothing; what stays alone is counted.
    """
    publish_linear(registry)
    keys, draw = Keys(settings.key_prefix), random.Random(7)
    rows = np.random.default_rng(7).normal(size=(60, 2)).round(3).tolist()
    async with serving(settings) as http:
        service = KServe(http, "/cloudevents")
        with worker_thread(settings.model_dump() | {"commit_ms": 10}):
            expected = {service.infer([row], kind): 2 * row[0] + row[1] for row in rows[:40]}
            many = service.infer(rows[40:43], kind)
            expected |= {
                f"{many}:{place}": 2 * row[0] + row[1] for place, row in enumerate(rows[40:43])
            }
            await service.send(draw, doubled=0.3)
            for row in rows[43:]:
                service.infer([row], kind, status=500)  # its answer is not logged
            await service.send(draw)

            def counted() -> bool:
                found = counters_of(client, keys)
                waiting = found.exchanges.waiting
                return (found.events, waiting) == (len(expected), len(rows) - 43)

            await until(counted)
        found = counters_of(client, keys)
        assert set(service.statuses) == {200}
        assert found.exchanges.repeated > 0
        assert (found.dead, found.missing) == (0, 0)
        made = logged(client, keys)
        assert {name: event.prediction for name, event in made.items()} == pytest.approx(expected)
        assert all(0 <= (event.latency_ms or 0) < 60_000 for event in made.values())


async def test_the_same_rows_give_the_same_counts(
    settings: Settings, registry: ModelRegistry, client: redis.Redis
) -> None:
    """Rows that come as two halves each are counted cell by cell as those of POST /events are."""
    publish_linear(registry)
    other = settings.model_copy(update={"key_prefix": settings.key_prefix + "-b"})
    rows = np.random.default_rng(3).normal(size=(300, 2)).tolist()
    found = []
    for changed, halved in ((settings, True), (other, False)):
        keys = Keys(changed.key_prefix)
        async with serving(changed) as http:
            if halved:
                service = KServe(http, "/cloudevents?model=linear", "some-service")
                for row in rows:
                    service.infer([row])
                await service.send(random.Random(1))
            else:
                events = [
                    {"features": {"x": x, "y": y}, "prediction": 2 * x + y, "latency_ms": 1}
                    for x, y in rows
                ]
                assert (await http.post("/events", json=events)).status_code == 202
            with worker_thread(changed.model_dump() | {"commit_ms": 10, "pane_events": 1000}):
                await until(lambda keys=keys: counters_of(client, keys).events == len(rows))
            packed: Any = client.hget(keys.count("linear", 0), "pane")
            found.append(OpenPane.unpack(packed).blocks["1.0.0"].cells.tolist())
    assert found[0] == found[1]
    assert sum(found[0]) == 3 * len(rows)  # two features and the prediction


@pytest.mark.usefixtures("linear")
async def test_what_cannot_be_used_is_refused_and_told(settings: Settings) -> None:
    """Each bad event is refused with its reason and counted; the others of a batch are taken."""
    headers = {"content-type": "application/cloudevents-batch+json"}
    good = {
        "id": "1",
        "source": "s",
        "specversion": "1.0",
        "type": TYPES["request"],
        "data": {"instances": [[1, 2], ["a", 2]]},
    }
    bad = [good | {"type": "other"}, good | {"data": {"instances": [[1]]}}, 7]
    async with serving(settings) as http:
        answer = await http.post("/cloudevents", json=[good, *bad], headers=headers)
        found = answer.json()
        assert (answer.status_code, found["accepted"]) == (200, 1)
        assert [one["index"] for one in found["rejected"]] == [0, 1, 2, 3]
        assert found["rejected"][0]["errors"][0]["field"] == "/data/1/x"
        assert "Row 0 has 1 values" in found["rejected"][2]["reason"]
        health = (await http.get("/health?verbose=true")).json()
        assert health["refused"] == {"linear": 4}
        alone = await http.post("/cloudevents", json=bad, headers=headers)
        assert alone.status_code == 422
        assert (await http.post("/cloudevents", json={})).status_code == 400
        unknown = await http.post("/cloudevents?model=none", json=[good], headers=headers)
        assert unknown.status_code == 422
        assert "There is no model 'none'" in unknown.text
