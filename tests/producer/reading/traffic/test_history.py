"""Traffic is read from few of the panes, and exactly."""

import itertools
from typing import Any, NamedTuple

import pytest
import redis
import redis.asyncio

from driftgauge.producer.reading.model_state import Backlog, ModelState, PartitionState
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.traffic import history as module
from driftgauge.producer.reading.traffic.history import MOST_READS, TrafficHistory
from driftgauge.producer.reading.traffic.spans import DAY_MS, Counted
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Block, Pane, PaneEntry, Watermark
from tests.consumer.builders import published

pytestmark = pytest.mark.anyio
MODEL = "plant"
HOUR = 3_600_000
NOW = 20_000 * DAY_MS
PUBLISHED = published()
BLOCKS = {"1.0.0": Block(250, b"B-\x01\x02", b"B-\x00", {"online": 250})}


class Commands(NamedTuple):
    """A client that notes the commands that it is asked for."""

    client: Any
    asked: list[str]

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.client, name)


class Panes:
    """Writes a partition's panes as counting does."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client, self.key = client, keys.panes(MODEL, 0)
        self.number = self.total = 0
        client.hset(keys.versions(MODEL), "1.0.0", PUBLISHED.pack())

    def write(self, times: range, length: int = 900, events: int = 250) -> None:
        pipe = self.client.pipeline(transaction=False)
        for start in times:
            self.number += 1
            self.total += events
            end = start + length
            found = Pane(0, self.number, start, end, events, self.total, None, BLOCKS)
            self._add(pipe, f"{self.number}-0", found)
        pipe.execute()

    def watermark(self, time: int) -> None:
        self._add(self.client, f"{self.number}-1", Watermark(0, time, self.total))

    def _add(self, pipe: Any, entry_id: str, entry: PaneEntry) -> None:
        pipe.xadd(self.key, {pane.FIELD: pane.encode(entry)}, id=entry_id)


def state(events: int, now: int = NOW, log: str = "") -> ModelState:
    partition = PartitionState(
        0,
        Counters(events=events),
        {},
        owned=True,
        offset="0-0",
        backlog=Backlog(),
        dead_letters=0,
        judged="0-0",
        panes_behind=0,
        log=log,
    )
    return ModelState(MODEL, now, (partition,), judging_owned=True, firing={})


@pytest.fixture
async def reader(redis_url: str) -> Any:
    connected = connect_async(redis_url)
    yield connected
    await connected.aclose()


def history(reader: Any, keys: Keys) -> TrafficHistory:
    return TrafficHistory(reader, Pipeline(reader, keys))


def silences(part: list[Counted]) -> list[tuple[int, int]]:
    return [
        (one.end, other.start) for one, other in itertools.pairwise(part) if other.start > one.end
    ]


async def test_few_panes_tell_of_all_events(
    client: redis.Redis, keys: Keys, reader: redis.asyncio.Redis
) -> None:
    """Of twenty thousand panes of a day some hundreds are read: no event is left out, and the one
    silence is found to the millisecond; later only what is new is read.
    """
    panes = Panes(client, keys)
    quiet, back = NOW - 5 * HOUR, NOW - 3 * HOUR
    panes.write(range(NOW - 23 * HOUR, quiet, 4000), 3990)
    panes.write(range(back, NOW, 4000), 3990)
    watched = Commands(reader, [])
    traffic = history(watched, keys)
    (part,), end, is_live = await traffic.read(state(panes.total))
    assert (end, is_live) == (NOW, True)
    assert sum(one.events for one in part) == panes.total
    assert silences(part) == [(quiet - 10, back)]
    assert part == sorted(part)
    assert len(part) < 2 * MOST_READS + 3 < panes.number / 20
    watched.asked.clear()
    panes.write(range(NOW, NOW + 20_000, 4000), 3990)
    ((*_, last),), _, _ = await traffic.read(state(panes.total, NOW + 20_000))
    assert last.end == NOW + 19_990
    assert len(watched.asked) < 6


async def test_what_came_since_the_last_pane(
    client: redis.Redis, keys: Keys, reader: redis.asyncio.Redis
) -> None:
    """It is shown from the first second: before any pane by the log's beginning, and after the
    last one from where a watermark says that nothing came.
    """
    log = keys.log(MODEL, 0)
    panes, traffic = Panes(client, keys), history(reader, keys)
    assert (await traffic.read(state(0, log=log))).partitions == [[]]
    client.xadd(log, {"t": "p"}, id=f"{NOW - 2000}-0")
    assert (await traffic.read(state(7, log=log))).partitions == [[Counted(NOW - 2000, NOW, 7)]]
    panes.write(range(NOW - HOUR, NOW - HOUR + 1))
    ((first, then),), _, _ = await traffic.read(state(257))
    assert (first.events, then) == (250, Counted(first.end, NOW, 7))
    panes.watermark(NOW - 5000)
    ((_, then),), _, _ = await traffic.read(state(257))
    assert then == Counted(NOW - 5000, NOW, 7)
    assert len((await traffic.read(state(250))).partitions[0]) == 1, "nothing came since"


async def test_a_replay_of_an_earlier_day(
    client: redis.Redis, keys: Keys, reader: redis.asyncio.Redis
) -> None:
    """Its events have their own times: the chart ends with them, and not now."""
    panes = Panes(client, keys)
    panes.write(range(NOW - 90 * DAY_MS, NOW - 88 * DAY_MS, HOUR), HOUR - 10)
    (part,), end, is_live = await history(reader, keys).read(state(panes.total + 5))
    assert (end, is_live) == (part[-1].end, False)
    assert part[0].end > end - DAY_MS


async def test_odd_panes(client: redis.Redis, keys: Keys, reader: redis.asyncio.Redis) -> None:
    """What was trimmed or cannot be read costs no event that other panes tell of; a stream that
    went back is read anew.
    """
    panes, traffic = Panes(client, keys), history(reader, keys)
    panes.write(range(NOW - HOUR, NOW, 1000))
    client.xtrim(panes.key, minid="101-0", approximate=False)
    client.xdel(panes.key, *(f"{number}-0" for number in range(700, 900)))
    client.xdel(panes.key, f"{panes.number}-0")
    client.xadd(panes.key, {pane.FIELD: b"\xc1"}, id=f"{panes.number}-1")
    (part,), _, _ = await traffic.read(state(panes.total))
    assert sum(one.events for one in part) == panes.total - 100 * 250
    client.delete(panes.key)
    panes.number = panes.total = 0
    panes.write(range(NOW, NOW + 3000, 1000))
    (part,), _, _ = await traffic.read(state(panes.total, NOW + 4000))
    assert sum(one.events for one in part) == 750


async def test_what_is_kept_is_bounded(
    client: redis.Redis, keys: Keys, reader: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is open for weeks reads one pane after the other; of those half are dropped when
    they are many, and the sum stays.
    """
    monkeypatch.setattr(module, "MOST_KEPT", 20)
    panes, traffic = Panes(client, keys), history(reader, keys)
    for place in range(60):
        panes.write(range(NOW + place * 50, NOW + place * 50 + 1), 40)
        (part,), _, _ = await traffic.read(state(panes.total, NOW + place * 50))
    assert len(part) <= 2 * 22
    assert sum(one.events for one in part) == panes.total
