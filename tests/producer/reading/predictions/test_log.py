from itertools import chain
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.predictions import log as prediction_log
from driftgauge.producer.reading.predictions.log import Logged, PredictionFilter, page, walk
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.keys import Keys

pytestmark = pytest.mark.anyio
LOGS = 3


def prediction(name: str, made: Any = 1.0, time: int = 1, version: str = "1.0.0") -> dict[str, Any]:
    return {"t": "p", "e": encode(Prediction(name, version, time, [1.0], made))}


def label(name: str, value: Any) -> dict[str, Any]:
    return {"t": "l", "e": msgspec.json.encode({"id": name, "label": value, "time": 5})}


@pytest.fixture
def logs(keys: Keys) -> list[str]:
    return [keys.log("m", number) for number in range(LOGS)]


async def names(
    url: str, logs: list[str], wanted: PredictionFilter, count: int, most: int = 20_000
) -> list[list[str]]:
    """Read all pages."""
    async with connect_async(url) as client:
        found, before = [], ""
        while True:
            read = await page(client, logs, wanted, count, before, most)
            found.append([row.event.id for row in read.rows])
            if not read.following:
                return found
            before = read.following


async def test_pages_of_any_size_give_every_prediction_once_newest_first(
    redis_url: str, client: redis.Redis, logs: list[str]
) -> None:
    """The partitions are one log by time, also where entries of different partitions have the same
    id.
    """
    for number in range(50):
        client.xadd(logs[number % LOGS], prediction(f"a{number}"), id=f"{number // 2 + 1}-0")
    whole = (await names(redis_url, logs, PredictionFilter(), 1000))[0]
    assert sorted(whole) == sorted(f"a{number}" for number in range(50))
    times = [int(name[1:]) // 2 for name in whole]
    assert times == sorted(times, reverse=True)
    for count in (1, 7, 25):
        assert list(chain(*await names(redis_url, logs, PredictionFilter(), count))) == whole
        assert (
            list(chain(*await names(redis_url, logs, PredictionFilter(), count, most=3))) == whole
        )


async def test_each_filter(redis_url: str, client: redis.Redis, logs: list[str]) -> None:
    """Version, time (never later than the entry's), range of the prediction, its category and the
    id, each alone.
    """
    client.xadd(logs[0], prediction("old", 1.0, time=10), id="100-0")
    client.xadd(logs[1], prediction("future", 2.0, time=10**12), id="200-0")
    client.xadd(logs[2], prediction("word", "yes", time=300, version="2.0.0"), id="300-0")
    for wanted, expected in (
        (PredictionFilter(), ["word", "future", "old"]),
        (PredictionFilter(version="2.0.0"), ["word"]),
        (PredictionFilter(since_ms=200), ["word", "future"]),
        (PredictionFilter(until_ms=200), ["old"]),
        (PredictionFilter(since_ms=11, until_ms=201), ["future"]),
        (PredictionFilter(least=1.5), ["future"]),
        (PredictionFilter(most=1.0), ["old"]),
        (PredictionFilter(prediction="yes"), ["word"]),
        (PredictionFilter(id="old"), ["old"]),
        (PredictionFilter(id="ol"), []),
    ):
        assert (await names(redis_url, logs, wanted, 10))[0] == expected, wanted


async def test_a_label_stands_beside_its_prediction(
    redis_url: str, client: redis.Redis, logs: list[str]
) -> None:
    """The last label of a prediction counts, on later pages too; one without prediction harms
    nothing.
    """
    key = logs[:1]
    for fields in (
        prediction("a"),
        prediction("b"),
        prediction("c"),
        label("a", 4.0),
        label("a", 5.0),
        label("x", 1),
    ):
        client.xadd(key[0], fields)
    async with connect_async(redis_url) as reader:

        def shown(rows: list[Logged]) -> list[tuple[str, Any]]:
            return [(row.event.id, row.label) for row in rows]

        first = await page(reader, key, PredictionFilter(), 2)
        assert shown(first.rows) == [("c", None), ("b", None)]
        second = await page(reader, key, PredictionFilter(), 2, first.following)
        assert shown(second.rows) == [("a", 5.0)]
        assert shown([row async for row in walk(reader, key, PredictionFilter())]) == [
            ("c", None),
            ("b", None),
            ("a", 5.0),
        ]


async def test_what_cannot_be_read_is_passed_over(
    redis_url: str, client: redis.Redis, logs: list[str]
) -> None:
    """Ticks, broken entries and other types are no predictions, and stop nothing."""
    client.xadd(logs[0], prediction("a"))
    for fields in (
        {"t": "k"},
        {"t": "p", "e": "{"},
        {"t": "l", "e": b"\xff"},
        {"x": "y"},
        {"t": "p"},
    ):
        client.xadd(logs[0], fields)  # type: ignore[arg-type]  # dict is invariant
    assert await names(redis_url, logs, PredictionFilter(), 10) == [["a"]]


async def test_one_page_looks_through_a_bounded_number_of_entries(
    redis_url: str, client: redis.Redis, logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that fits nothing does not read the whole log at once: the next page goes on."""
    monkeypatch.setattr(prediction_log, "READ", 10)
    for number in range(45):
        client.xadd(logs[0], prediction(f"a{number}"))
    async with connect_async(redis_url) as reader:
        found = await page(reader, logs, PredictionFilter(id="a0"), 5, most=20)
    assert (found.rows, found.read) == ([], 20)
    assert found.following
    assert await names(redis_url, logs, PredictionFilter(id="a0"), 5, most=20) == [[], [], ["a0"]]


@pytest.mark.parametrize(
    "before", ["1", "1-0", "1-0.x", "../..", "1-0.0\n", "99999999999999999999-0.0"]
)
async def test_a_malformed_place_is_refused(redis_url: str, logs: list[str], before: str) -> None:
    """What no page gave is a bad request, not an error of Redis."""
    async with connect_async(redis_url) as reader:
        with pytest.raises(Problem, match="cursor"):
            await page(reader, logs, PredictionFilter(), 5, before)
