import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.reading.pipeline import MOST_ENTRIES
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running, serving
from tests.producer.pipeline import Written

pytestmark = pytest.mark.anyio


async def verbose(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/health?verbose")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_each_partition_as_it_stands(
    registry: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Verbose health names what is counted, waits and is owned, of each partition of the published
    manifest.
    """
    publish(registry, "wide", SCHEMA, rows(), partitions=3)
    settings = settings.model_copy(update={"watchdog_seconds": 1000})
    keys = keys.salted(registry.load("wide", registry.production("wide")).manifest.salts)
    first, second = Written(client, keys, "wide"), Written(client, keys, "wide", 1)
    offset = first.publish(4)
    first.count(
        offset,
        events=3,
        duplicates=1,
        dead=2,
        missing=5,
        rolled_back=7,
        labels={"joined": 3, "untold": 2},
    )
    first.own()
    client.xadd(keys.dead("wide", 0), {"reason": "x"})
    client.xadd(keys.panes("wide", 0), {"e": "x"}, id="9-2")
    client.hset(
        keys.judge("wide"),
        "state",
        msgspec.json.encode({"offsets": {"0": "4-1"}, "waiting": {"1": 6}, "more": 1}),
    )
    second.publish(2)
    async with serving(settings) as http:
        plain = (await http.get("/health")).json()
        found = await verbose(http)
        assert plain.keys() == found.keys() - {"pipeline", "tasks"}
        wide = found["pipeline"]["wide"]
        judging = {"owned": False, "panes_behind": [5, 0, 0], "panes_waiting": [0, 6, 0]}
        assert (wide["events"], wide["judging"].items() >= judging.items()) == (3, True)
        one, two, three = wide["partitions"]
        labels = {"joined": 3, "untold": 2}
        counted = {
            "events": 3,
            "duplicates": 1,
            "dead": 2,
            "missing": 5,
            "rolled_back": 7,
            "labels": labels,
        }
        assert one["counted"] == counted
        assert (one["owned"], one["missing"], one["dead_letters"]) == (True, 5, 1)
        assert one["lag"] == {"entries": 0, "exact": True, "seconds": 0, "oldest_seconds": 0}
        assert (two["owned"], two["lag"]["entries"], two["lag"]["exact"]) == (False, 2, True)
        assert three["lag"]["entries"] == 0
        client.xadd(keys.log("wide", 0), {"t": "k"}, id=f"{int(offset.split('-')[0]) + 3000}-0")
        one = (await verbose(http))["pipeline"]["wide"]["partitions"][0]
        assert (one["lag"]["entries"], one["lag"]["seconds"]) == (1, 3)


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize(("judged", "behind"), [("9-3", 0), ("9-1", 1), ("7-0", 2), ("10-0", 0)])
async def test_late_labels_behind_the_last_pane_are_behind_too(
    judged: str, behind: int, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Whoever waits until everything was judged does not go away while a pane's labels or alarms
    wait.
    """
    settings = settings.model_copy(update={"watchdog_seconds": 1000})
    client.xadd(keys.panes("linear", 0), {"e": "x"}, id="9-3")
    client.hset(keys.judge("linear"), "state", msgspec.json.encode({"offsets": {"0": judged}}))
    async with serving(settings) as http:
        assert (await verbose(http))["pipeline"]["linear"]["judging"]["panes_behind"] == [behind]


@pytest.mark.usefixtures("linear")
async def test_a_long_lag_is_counted_within_bounds(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Where Redis does not know the lag, it is counted up to a bound, and said to be at least
    that.
    """
    settings = settings.model_copy(update={"watchdog_seconds": 1000})
    written = Written(client, keys)
    written.count(written.publish(), events=1)
    offset = written.publish()
    written.publish(MOST_ENTRIES + 500)
    written.count(offset, events=2)  # in the midst of the log, so that Redis 7 does not know either
    async with serving(settings) as http:
        lag = (await verbose(http))["pipeline"]["linear"]["partitions"][0]["lag"]
        assert (lag["entries"], lag["exact"]) == (MOST_ENTRIES, False)


@pytest.mark.usefixtures("linear")
async def test_health_answers_without_redis(settings: Settings, tmp_path: Path) -> None:
    """Without Redis verbose health is 200 and says that the pipeline is not known."""
    app = create_app(settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"}))
    async with running(app) as http, asyncio.timeout(60):
        found = await verbose(http)
        assert (found["pipeline"], found["reason"], found["redis"]) == (
            None,
            "Redis does not answer.",
            "away",
        )
        assert (await http.get("/health")).json().keys() == found.keys() - {
            "pipeline",
            "reason",
            "tasks",
        }


@pytest.mark.usefixtures("linear")
async def test_what_cannot_be_read_is_named(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A checkpoint that this version cannot read is an answer with its key, not an error."""
    Written(client, keys)
    client.hset(keys.count("linear", 0), "counters", "[]")
    async with serving(settings) as http:
        found = await verbose(http)
        assert keys.count("linear", 0) in found["pipeline"]["linear"]["unreadable"]
        assert "driftgauge_pipeline_readable 0\n" in (await http.get("/metrics")).text
