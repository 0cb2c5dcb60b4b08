"""Clients that number what they send: each number counts once, whatever they send again."""

import json
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.intake import numbering
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import partition_of
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.integration.plant import worker_thread
from tests.producer.conftest import GOOD, SCHEMA, publish, rows, serving, until

pytestmark = pytest.mark.anyio
NAME = "a1b2c3d4.e"
BAD = {"x": "no number", "y": 1}


@pytest.fixture
def split(registry: ModelRegistry) -> ModelRegistry:
    """A model with two partitions, and labels."""
    publish(registry, "split", SCHEMA, rows(), partitions=2, labels=True)
    return registry


def numbered(count: int, first: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Events with their numbers in two partitions; number `first` is the first of each."""
    last = [first - 1, first - 1]
    found = []
    for place in range(count):
        partition = partition_of(f"id-{first}-{place}", 2)
        last[partition] += 1
        item = {"id": f"id-{first}-{place}", "number": last[partition], "time": 1763650000000}
        found.append({"features": GOOD, "prediction": 4, **item, **more})
    return found


def lines(items: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in items)


async def send(
    http: httpx.AsyncClient, items: list[dict[str, Any]], path: str = "/events", **more: Any
) -> httpx.Response:
    return await http.post(
        path,
        params={"publisher": NAME, "partitions": 2, "model": "split", **more},
        content=lines(items),
        headers={"Content-Type": "application/x-ndjson"},
    )


def counted(client: redis.Redis, keys: Keys) -> Counters:
    """The counters of both partitions."""
    found = Counters()
    for place in range(2):
        packed: Any = client.hget(
            keys.salted(salts_for("split", 2)).count("split", place), "counters"
        )
        if packed:
            one = msgspec.json.decode(packed, type=Counters)
            found.events += one.events
            found.duplicates += one.duplicates
            found.dead += one.dead
            found.missing += one.missing
            found.void += one.void
            found.failed += one.failed
            found.labels.joined += one.labels.joined
    return found


def worker(settings: Settings) -> Any:
    given = {"redis_url": settings.redis_url, "key_prefix": settings.key_prefix, "lease_ms": 300}
    return worker_thread({**given, "commit_ms": 10})


@pytest.mark.usefixtures("split")
async def test_each_number_counts_once(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """What a publisher sends again, through any API, is counted once, with labels too; and the API
    tells which numbers have arrived.
    """
    events = numbered(40)
    labels = [{"prediction_id": one["id"], "label": 5, "number": one["number"]} for one in events]
    async with serving(settings) as http, serving(settings) as other:
        for one in (http, other, http):
            assert (await send(one, events)).json()["accepted"] == 40
        for one in (http, other):
            assert (await send(one, labels, "/labels", publisher="a1b2c3d4.l")).json()[
                "accepted"
            ] == 40
        with worker(settings):
            await until(lambda: counted(client, keys).duplicates == 120)
            found = counted(client, keys)
            assert (found.events, found.labels.joined, found.missing, found.dead) == (40, 40, 0, 0)
            told = (await http.get(f"/publishers/{NAME}", params={"model": "split"})).json()
    last = [sum(partition_of(one["id"], 2) == place for one in events) for place in range(2)]
    assert told == {"model": "split", "partitions": 2, "seen": [[[1, last[0]]], [[1, last[1]]]]}


@pytest.mark.usefixtures("split")
async def test_a_refused_event_leaves_no_hole(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The numbers of events that the API refuses, some of a request or all, and those that the
    client gave up are accounted for; other missing ones are holes.
    """
    first, second = numbered(20), numbered(20, 21)
    last = {place: sum(partition_of(one["id"], 2) == place for one in first) for place in range(2)}
    for one in second:
        one["number"] += last[partition_of(one["id"], 2)] - 20
    first[3]["features"] = first[7]["features"] = BAD
    refused = [{**one, "features": BAD} for one in second]
    reached = {partition_of(one["id"], 2): one["number"] for one in second}
    async with serving(settings) as http:
        answer = await send(http, first)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 18)
        assert (await send(http, refused)).status_code == 422
        given_up = [[place, reached[place] + 1, reached[place] + 50] for place in range(2)]
        params = {"model": "split", "partitions": "2"}
        declared = await http.post(
            f"/publishers/{NAME}/gaps", params=params, json={"gaps": given_up}
        )
        assert declared.status_code == 202
        end = numbered(1)[0] | {"id": "end"}
        end["number"] = reached[partition_of("end", 2)] + 53
        assert (await send(http, [end])).json()["accepted"] == 1
    with worker(settings):
        await until(lambda: counted(client, keys).events == 19)
        found = counted(client, keys)
    assert (found.void, found.missing, found.dead) == (2 + 20 + 100, 2, 0)


@pytest.mark.usefixtures("split")
async def test_what_cannot_be_numbered_is_refused(settings: Settings) -> None:
    """A wrong number of partitions is told the right one, before anything is taken; a strange name
    and items without a number or id are refused; and unnumbered ones may have no number.
    """
    events = numbered(2)
    async with serving(settings) as http:
        answer = await send(http, events, partitions=1)
        assert (answer.status_code, answer.json()["partitions"]) == (409, 2)
        assert (await send(http, events, publisher="a b")).status_code == 422
        for name in ("id", "number"):
            bare = [{key: value for key, value in one.items() if key != name} for one in events]
            answer = await send(http, bare)
            assert answer.status_code == 422
            assert answer.json()["errors"][0] == {"field": f"/0/{name}", "message": "is missing"}
        answer = await http.post("/events", json=events)
        assert answer.json()["errors"][0]["field"] == "/0/number"
        params = {"model": "split", "partitions": "2"}
        for gaps in ([], [[2, 1, 1]], [[0, 5, 4]], [[0, 0, 1]], [[0, 1]], "all"):
            answer = await http.post(f"/publishers/{NAME}/gaps", params=params, json={"gaps": gaps})
            assert answer.status_code == 422, gaps


@pytest.mark.usefixtures("split")
async def test_a_line_that_is_no_json_costs_itself_alone(settings: Settings) -> None:
    """Newline-delimited JSON: empty lines are nothing, and a broken one is one refused event."""
    content = lines(numbered(2)).replace(b"\n", b'\n\n{"id": "broken\n')
    async with serving(settings) as http:
        answer = await http.post(
            "/events",
            params={"publisher": NAME, "partitions": "2"},
            content=content,
            headers={"Content-Type": "application/x-ndjson; charset=utf-8"},
        )
    assert answer.json()["accepted"] == 2
    assert answer.json()["rejected"][0]["index"] == 1
    assert answer.json()["rejected"][0]["reason"].startswith("is not JSON: ")


@pytest.mark.usefixtures("split")
async def test_too_many_new_publishers_wait(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each publisher is remembered for days, so a flood of new ones is told to wait; known ones are
    not.
    """
    monkeypatch.setattr(numbering, "MOST_NEW", 2)
    async with serving(settings) as http:
        names = ("publisher-1", "publisher-2", "publisher-3", "publisher-1")
        answers = [await send(http, numbered(1), publisher=name) for name in names]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 202]
    assert answers[2].headers["retry-after"] == "60"


@pytest.mark.usefixtures("split")
async def test_failed_predictions_are_counted(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """One that failed is an event of its own, with a number of its own; what does not fit the
    schema may be the reason, so its features need not fit. One that both failed and predicted is
    refused.
    """
    events = numbered(4)
    for one in events[1:]:
        del one["prediction"]
        one["error"] = "ValueError"
    events[2]["features"] = BAD
    del events[3]["features"]
    async with serving(settings) as http:
        assert (await send(http, events)).json()["accepted"] == 4
        unnumbered = {"model": "split", "error": "KeyError"}
        assert (await http.post("/events", json=unnumbered)).json()["accepted"] == 1
        for wrong in ({"prediction": 1}, {"error": "x" * 65}, {"error": "a\nb"}, {"id": 7}):
            assert (await http.post("/events", json=unnumbered | wrong)).status_code == 422, wrong
    with worker(settings):
        await until(lambda: counted(client, keys).failed == 4)
        found = counted(client, keys)
    assert (found.events, found.missing, found.dead) == (1, 0, 0)
