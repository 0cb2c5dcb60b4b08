"""What is lost in a real Redis, or comes back older, is told: by worker and API, also after all of
them have started again.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.stage import Stage
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.watching.watchdog import Watchdog, acknowledge
from driftgauge.shared.connections.redis_client import connect, connect_async
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.commands import Acknowledge
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.settings import Settings
from driftgauge.shared.stamps import Stamps
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)

START = 1_790_000_000_000


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stamps, "settle_s", 0.0)
    monkeypatch.setattr(Stage, "retry_s", (0.01, 0.01))


class Api:
    """The watchdog of an API process, which looks when the test says so."""

    def __init__(self, settings: dict[str, Any], data_dir: Path) -> None:
        self.settings = Settings(
            **settings,
            data_dir=data_dir,
            loss_after_seconds=0.01,
            blind_worker_seconds=3600,
            watchdog_seconds=0.001,  # the next look takes over at once
        )
        self.path = data_dir / "stamps" / "api.json"

    def look(self, times: int = 1, seen: str = "") -> list[str]:
        """Look, after an acknowledgement if one is given; return the transitions so far."""

        async def looking() -> None:
            made = Watchdog(self.settings, Counter(), Refusals(), set(), stamps=Stamps(self.path))
            for _ in range(times):
                await made.check()
                await asyncio.sleep(0.02)
            await made.close()

        async def seeing() -> None:
            client = connect_async(self.settings.redis_url)
            command = Acknowledge(seen, "ann")
            assert await acknowledge(client, Keys(self.settings.key_prefix), MODEL, command)
            await client.aclose()

        if seen:
            asyncio.run(seeing())
        asyncio.run(looking())
        return [f"{alert.rule} {alert.state}" for alert in self.alerts()]

    def alerts(self) -> list[Alert]:
        client = connect(self.settings.redis_url)
        entries: Any = client.xrange(Keys(self.settings.key_prefix).alerts(MODEL))
        client.close()
        found = [msgspec.json.decode(fields[b"e"], type=CloudEvent) for _, fields in entries]
        alerts = [msgspec.json.decode(event.data, type=Alert) for event in found]
        return [alert for alert in alerts if alert.rule.startswith("blind.")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / "redis") as found:
        yield found


def shut_down(server: EmbeddedRedis, client: redis.Redis) -> None:
    """Let Redis write what it has and end; its socket's path stays."""
    client.shutdown()
    server.kill()


def test_an_older_copy_is_told_though_all_have_restarted(
    server: EmbeddedRedis, keys: Keys, tmp_path: Path
) -> None:
    """A Redis that was restored from an older copy, with the API and the worker started anew, is an
    alert with the number of events that it lacks; an acknowledgement ends it, and nothing repeats
    it.
    """
    settings = settings_of(server.url, keys)
    api, data_dir = Api(settings, tmp_path / "data"), tmp_path / "data"
    client = connect(server.url)
    publish(client, keys)
    log = events(3, 1500, START)

    def counted(part: list[Any], total: int) -> None:
        append(client, keys.log(MODEL, 0), part)
        with worker_thread({**settings, "data_dir": str(data_dir)}):
            wait_for(lambda: arrived(client, keys) == total, f"{total} events")

    counted(log[:500], 500)
    shut_down(server, client)
    shutil.copytree(server.folder / "appendonlydir", tmp_path / "copy")
    server.start()
    counted(log[500:], 1500)
    assert api.look() == []
    shut_down(server, client)
    shutil.rmtree(server.folder / "appendonlydir")
    shutil.copytree(tmp_path / "copy", server.folder / "appendonlydir")
    server.start()
    assert counters(client, keys).events == 500
    assert api.look(times=2) == ["blind.rolled_back firing"]
    (alert,) = api.alerts()
    assert (alert.severity, alert.evidence.value) == ("critical", 1000)
    assert f"{keys.count(MODEL, 0)} went back from commit" in alert.summary
    with worker_thread({**settings, "data_dir": str(data_dir)}):
        wait_for(lambda: client.hget(keys.count(MODEL, 0), "setback"), "the worker's word for it")
        assert api.look() == ["blind.rolled_back firing"]
    ended = api.look(times=2, seen=alert.fingerprint)
    assert ended == ["blind.rolled_back firing", "blind.rolled_back resolved"]
    assert api.alerts()[-1].summary == "Acknowledged by ann"
    client.close()


def test_numbers_that_nobody_holds_are_told(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A hole in a publisher's numbers, as a worker counts it, is told with its numbers; it is over
    when they arrive.
    """
    settings = settings_of(redis_url, keys, data_dir=str(tmp_path / "data"))
    api = Api(settings_of(redis_url, keys), tmp_path / "data")
    publish(client, keys)
    log = events(3, 400, START)
    with worker_thread(settings):
        append(client, keys.log(MODEL, 0), log[:299] + log[320:], with_ids=False)
        wait_for(lambda: arrived(client, keys) == 379, "the events that came")
        assert api.look(times=3) == ["blind.lost firing"]
        (alert,) = api.alerts()
        assert "21 events are lost: publisher api numbered them 300 to 320" in alert.summary
        append(client, keys.log(MODEL, 0), log[299:320], with_ids=False)
        wait_for(lambda: arrived(client, keys) == 400, "the late ones")
        assert api.look() == ["blind.lost firing", "blind.lost resolved"]


def test_deleted_keys_are_told(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """A log that was deleted is told and counting goes on; a checkpoint that was deleted beside its
    panes is told, and never counted anew from nothing.
    """
    settings = settings_of(redis_url, keys, data_dir=str(tmp_path / "data"), pane_events=100)
    api = Api(settings_of(redis_url, keys), tmp_path / "data")
    publish(client, keys)
    log, count = keys.log(MODEL, 0), keys.count(MODEL, 0)
    with worker_thread(settings):
        append(client, log, events(3, 400, START), with_ids=False)
        wait_for(lambda: arrived(client, keys) == 400, "the events")
        assert api.look() == []
        client.delete(log)
        append(client, log, events(4, 300, START, first=401), with_ids=False)
        wait_for(lambda: arrived(client, keys) == 700, "the events of the new log")
        wait_for(lambda: client.hget(count, "setback"), "the worker's word for it")
        assert api.look() == ["blind.rolled_back firing"]
        assert f"{log} is gone (it was at entry" in api.alerts()[0].summary
        fingerprint = api.alerts()[0].fingerprint
        assert api.look(seen=fingerprint)[-1] == "blind.rolled_back resolved"
        wait_for(lambda: client.xlen(keys.panes(MODEL, 0)), "panes")
        client.delete(count)
        wait_for(lambda: client.hget(count, "fault"), "the stage's refusal")
        found = api.look()
        assert found[-1] == "blind.rolled_back firing"
        assert f"{count} is gone (it was at commit" in api.alerts()[-1].summary
        assert client.hget(count, "counters") is None


def test_deleted_counts_are_told_by_whoever_comes_next(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """Counts that were deleted while no worker lived are counted anew, and told once, by a worker
    that never saw them before.
    """
    publish(client, keys)
    log, count = keys.log(MODEL, 0), keys.count(MODEL, 0)
    append(client, log, events(3, 400, START), with_ids=False)
    with worker_thread(settings_of(redis_url, keys, data_dir=str(tmp_path / "one"))):
        wait_for(lambda: arrived(client, keys) == 400, "the events")
    rollups = [keys.rollups(MODEL, 0, span) for span in ("hour", "day")]
    client.delete(count, keys.panes(MODEL, 0), *rollups)
    api = Api(settings_of(redis_url, keys), tmp_path / "api")
    with worker_thread(settings_of(redis_url, keys, data_dir=str(tmp_path / "two"))):
        wait_for(lambda: arrived(client, keys) == 400, "the events, counted anew")
        assert api.look(times=2) == ["blind.rolled_back firing"]
    (alert,) = api.alerts()
    assert f"{count} is gone (it was at entry" in alert.summary
    told = client.hget(count, "setback")
    with worker_thread(settings_of(redis_url, keys, data_dir=str(tmp_path / "three"))):
        append(client, log, events(4, 100, START, first=401), with_ids=False)
        wait_for(lambda: arrived(client, keys) == 500, "more events")
    assert client.hget(count, "setback") in {told, None}


def test_an_emptied_server_is_told(server: EmbeddedRedis, keys: Keys, tmp_path: Path) -> None:
    """After FLUSHALL, of which not even the names of the models are left, an API process that has
    watched a model tells what is gone.
    """
    settings = settings_of(server.url, keys)
    api, client = Api(settings, tmp_path), connect(server.url)
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(3, 400, START))
    with worker_thread({**settings, "data_dir": str(tmp_path)}):
        wait_for(lambda: arrived(client, keys) == 400, "the events")

    async def looking() -> list[str]:
        made = Watchdog(api.settings, Counter(), Refusals(), set(), stamps=Stamps(api.path))
        await made.check()
        client.flushall()
        await made.check()
        told = made.blinding[MODEL]
        await made.close()
        return told

    (told,) = asyncio.run(looking())
    assert f"{keys.count(MODEL, 0)} is gone (it was at commit" in told
    assert "(400 events)" in told
    assert api.alerts()[0].rule == "blind.rolled_back"
    client.close()
