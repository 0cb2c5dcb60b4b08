"""A backup that was restored is told, and so is a single slot that came back older, as after a
failover of one shard: of a partition, of judging, of a route of notifications.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.stage import Stage
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import WRITER
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.stamps import Stamps
from tests.integration.faults.test_lost_and_older import Api
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.shared.backup.conftest import put_back, save

ROUTE = "on-call"
POLICY = f"""
[[routes]]
name = "{ROUTE}"
target = {{ type = "webhook", url = "http://127.0.0.1:9/hook" }}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stamps, "settle_s", 0.0)
    monkeypatch.setattr(Stage, "retry_s", (0.01, 0.01))


class Plant:
    """A log of 1,500 events, the second half of which drifts, and a worker with a route."""

    def __init__(self, client: redis.Redis, url: str, keys: Keys, folder: Path) -> None:
        self.log = events(3, 1500, int(time.time() * 1000) - 100_000, shift_from=500)
        self.api = Api(settings_of(url, keys), folder / "data")
        (folder / "policy.toml").write_text(POLICY)
        self.settings = settings_of(
            url,
            keys,
            data_dir=str(folder / "data"),
            pane_events=100,
            policy_file=str(folder / "policy.toml"),
        )
        self._client, self.keys, self.folder = client, keys, folder
        publish(client, keys)
        self.first: Mapping[bytes, Any] = {}

    def send(self, first: int, last: int) -> None:
        append(self._client, self.keys.log(MODEL, 0), self.log[first:last], with_ids=False)

    def work(self, total: int) -> None:
        """Let a worker count and judge until so many entries were dealt with."""
        with worker_thread(self.settings):
            wait_for(lambda: arrived(self._client, self.keys) == total, f"{total} events")
            wait_for(lambda: judged_all(self._client, self.keys), "the panes")
            route = self.keys.route(ROUTE)
            wait_for(lambda: self._client.hget(route, f"offset:{MODEL}"), "the route")

    def copy(self) -> dict[bytes, Any]:
        """Take a copy of all keys."""
        found: Any = list(self._client.scan_iter(match=f"{self.keys.prefix}:*"))
        return {key: self._client.dump(key) for key in found}

    def set_back(self, tag: str, copy: Mapping[bytes, Any] | None = None) -> None:
        """Put the keys of one slot back to a copy, the first one if none is given."""
        prefix = f"{self.keys.prefix}:{{{tag}}}:"
        found: Any = list(self._client.scan_iter(match=f"{prefix}*"))
        self._client.delete(*found)
        for key, dumped in (self.first if copy is None else copy).items():
            if key.startswith(prefix.encode()):
                self._client.restore(key, 0, dumped)

    def count_others(self) -> None:
        """Put other panes under the same numbers, as if they had been counted anew."""
        stream = self.keys.panes(MODEL, 0)
        panes: Any = self._client.xrange(stream)
        self._client.delete(stream)
        for (entry_id, _), (_, fields) in zip(panes, [panes[-1], *panes], strict=False):
            self._client.xadd(stream, fields, id=entry_id)

    def count_again(self) -> None:
        """Put the same panes under the same numbers, as another lease writes them."""
        stream = self.keys.panes(MODEL, 0)
        panes: Any = self._client.xrange(stream)
        self._client.delete(stream)
        for entry_id, fields in panes:
            self._client.xadd(stream, {**fields, WRITER: b"another"}, id=entry_id)

    def judge_until_noted(self) -> None:
        """Let a worker judge until it has noted that panes went back, once."""
        with worker_thread(self.settings):
            wait_for(lambda: self.noted() == {"0": 1}, "the word of judging")

    def noted(self) -> dict[str, int]:
        """Return how often judging found that panes went back, by partition."""
        state: Any = self._client.hget(self.keys.judge(MODEL), "state")
        found: dict[str, int] = msgspec.json.decode(state)["rolled_back"]
        return found


@pytest.fixture
def plant(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Plant:
    """A plant whose first 500 events were counted, of which there is a copy, and then the rest."""
    made = Plant(client, redis_url, keys, tmp_path)
    made.send(0, 500)
    made.work(500)
    made.first = made.copy()
    made.send(500, 1500)
    made.work(1500)
    assert made.api.look() == []
    return made


def test_a_partition_alone(client: redis.Redis, keys: Keys, plant: Plant) -> None:
    """If the slot of a partition is older than that of its judging, API and worker tell it with the
    number of events, counting goes on from there, what its publisher sends again is counted once,
    and panes that were judged before are not judged again.
    """
    alerts = client.xlen(keys.alerts(MODEL))
    plant.set_back(f"{MODEL}.0")
    assert plant.api.look(times=2)[-1] == "blind.rolled_back firing"
    (alert,) = plant.api.alerts()
    assert f"{keys.count(MODEL, 0)} went back from commit" in alert.summary
    assert alert.evidence.value == 1000
    plant.send(0, 1500)
    plant.work(2000)
    assert (counters(client, keys).events, counters(client, keys).duplicates) == (1500, 500)
    assert client.hget(keys.count(MODEL, 0), "setback")
    told: Any = client.xrange(keys.alerts(MODEL))
    again = [fields for _, fields in told[alerts:] if b"blind." not in fields[b"e"]]
    assert again == []


def test_a_partition_that_was_counted_on_before_judging_looked(plant: Plant) -> None:
    """A partition that went back, and has as many panes again when judging comes to it, is told as
    well: what judging read last is another pane now.
    """
    plant.count_others()
    for _ in range(2):
        plant.judge_until_noted()
    assert plant.api.look(times=2)[-1] == "blind.rolled_back firing"
    assert "{plant.0}:panes went back from entry 15-" in plant.api.alerts()[0].summary


def test_a_partition_that_was_counted_again_to_the_same_before_judging_looked(plant: Plant) -> None:
    """Panes that went back and are the same again, byte for byte, when judging comes to them, are
    told as well, once: they have another writer.
    """
    plant.count_again()
    for _ in range(2):
        plant.judge_until_noted()
    assert plant.api.look(times=2) == ["blind.rolled_back firing"]
    (alert,) = plant.api.alerts()
    ended = plant.api.look(times=2, seen=alert.fingerprint)
    assert ended == ["blind.rolled_back firing", "blind.rolled_back resolved"]


def test_a_setback_that_judging_noted_and_lost_before_anybody_looked(
    client: redis.Redis, keys: Keys, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If judging goes back by seconds, to before it noted that panes went back, and these are as
    they were by then, nothing in Redis tells of it any more: the worker still knows, and notes it
    again.
    """
    monkeypatch.setattr(Stamps, "settle_s", 3600.0)
    before = plant.copy()
    plant.count_again()
    plant.judge_until_noted()
    plant.set_back(MODEL, before)
    plant.set_back(f"{MODEL}.0", before)
    assert plant.noted() == {}
    with worker_thread(plant.settings):
        wait_for(lambda: client.hget(keys.judge(MODEL), "setback"), "the worker's word for it")
    assert plant.noted() == {}
    assert plant.api.look(times=3) == ["blind.rolled_back firing"]
    assert "{plant.0}:panes went back from entry 15-" in plant.api.alerts()[0].summary


def test_an_alert_that_was_lost_in_a_moment_is_told_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the slot with the alerts, and what the watchdog remembers, goes back by seconds, to before
    it told what an API had found, the API tells it again though it has started anew; and after an
    acknowledgement nobody does, nor an API of another host that had seen more, too.
    """
    other = Api(settings_of(plant.api.settings.redis_url, plant.keys), plant.folder / "other")
    assert other.look() == []
    before = plant.copy()
    plant.set_back(f"{MODEL}.0")
    assert plant.api.look() == ["blind.rolled_back firing"]
    monkeypatch.setattr(Stamps, "settle_s", 3600.0)
    plant.set_back(MODEL, before)
    assert plant.api.alerts() == []
    assert plant.api.look(times=2) == ["blind.rolled_back firing"]
    (alert,) = plant.api.alerts()
    assert alert.evidence.value == 1000
    ended = plant.api.look(times=2, seen=alert.fingerprint)
    monkeypatch.setattr(Stamps, "settle_s", 0.0)
    assert other.look(times=3) == plant.api.look(times=2) == ended


def test_a_setback_that_judging_forgot_is_told_again(plant: Plant) -> None:
    """If judging goes back to before it noted that panes went back, so does what the watchdog
    remembers of it, since both are in one slot: judging notes it anew, under the same number, and
    that is news.
    """
    before = plant.copy()
    plant.count_others()
    for _ in range(2):
        plant.judge_until_noted()
        assert plant.api.look(times=2)[-1] == "blind.rolled_back firing"
        (alert,) = plant.api.alerts()
        assert "{plant.0}:panes went back from entry 15-" in alert.summary
        plant.set_back(MODEL, before)
        assert plant.noted() == {}


def test_judging_alone(client: redis.Redis, keys: Keys, plant: Plant) -> None:
    """If the slot of judging is older than those of its partitions, that is told, and the panes
    since then are judged again, to the same alerts.
    """
    before: Any = client.xrange(keys.alerts(MODEL))
    plant.set_back(MODEL)
    assert plant.api.look(times=2)[-1] == "blind.rolled_back firing"
    assert f"{keys.judge(MODEL)} went back from commit" in plant.api.alerts()[0].summary
    plant.work(1500)
    after: Any = client.xrange(keys.alerts(MODEL))
    judged = [fields[b"e"] for _, fields in after if b"blind." not in fields[b"e"]]
    assert judged == [fields[b"e"] for _, fields in before]
    assert client.hget(keys.judge(MODEL), "setback")


def test_a_route_alone(client: redis.Redis, keys: Keys, plant: Plant) -> None:
    """If the slot of a route is older, so that people may be told again, the worker that loads it
    notes it, also if that word is lost at once, and the API tells it once, until somebody
    acknowledges.
    """
    for _ in range(2):
        plant.set_back(f"@{ROUTE}")
        with worker_thread(plant.settings):
            wait_for(lambda: client.hget(keys.route(ROUTE), "setback"), "the worker's word for it")
    assert plant.api.look(times=3) == ["blind.rolled_back firing"]
    (alert,) = plant.api.alerts()
    assert f"{keys.route(ROUTE)} went back from commit" in alert.summary
    ended = plant.api.look(times=2, seen=alert.fingerprint)
    assert ended == ["blind.rolled_back firing", "blind.rolled_back resolved"]


@pytest.mark.usefixtures("plant")
def test_a_restored_backup_is_told_to_those_who_never_saw_more(
    redis_url: str, keys: Keys, tmp_path: Path, other: redis.Redis, other_server: EmbeddedRedis
) -> None:
    """A backup that is restored on another server, with API and worker on new hosts, is told: as
    of when it is. It is over when somebody acknowledged it.
    """
    save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    (tmp_path / "new").mkdir()
    moved = Plant(other, other_server.url, keys, tmp_path / "new")
    assert moved.api.look(times=2)[-1] == "blind.rolled_back firing"
    summary, words = moved.api.alerts()[-1].summary, "went back from its last state to that of the"
    assert f"{keys.count(MODEL, 0)} {words} backup of" in summary
    moved.work(1500)
    ended = moved.api.look(times=2, seen=moved.api.alerts()[-1].fingerprint)
    assert ended[-1] == "blind.rolled_back resolved"
    assert moved.api.look(times=2) == ended
