"""Many stages on a few threads and connections: each is woken, none starves, none is lost."""

import threading
import time
from pathlib import Path
from typing import Any

import redis

from driftgauge.consumer.running.roster import Pool
from driftgauge.consumer.running.waiter import NEAR, SOON_MS, Waiter
from driftgauge.consumer.stages.stage import Connection
from driftgauge.shared.connections.bulk import Command
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.consumer.running.stages import LEASE_MS, Crew
from tests.integration.plant import wait_for

MANY = 200


def test_every_stream_wakes_its_stage(client: redis.Redis, redis_url: str, keys: Keys) -> None:
    """An entry in any of 200 streams is read, while threads and connections are few; and so is one
    that comes when all have been silent for a while.
    """
    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 4)
    stages = [crew.add(f"s{number}", pool) for number in range(MANY)]
    before = threading.active_count()
    known = len(client.client_list())
    with crew.working():
        wait_for(lambda: all(stage.loads for stage in stages), "all to be owned")
        for stage in stages[::20]:
            client.xadd(stage.stream, {"e": "1"})
        wait_for(lambda: all(len(stage.read) == 1 for stage in stages[::20]), "the first entries")
        silent = time.monotonic()
        wait_for(lambda: time.monotonic() - silent > 2.6, "silence")
        turns = sum(stage.turns for stage in stages)
        client.xadd(stages[7].stream, {"e": "1"})
        wait_for(lambda: len(stages[7].read) == 1, "the entry after the silence")
        assert sum(stage.turns for stage in stages) - turns < MANY / 10, "only who has work works"
        assert threading.active_count() - before <= 3
        assert len(client.client_list()) - known <= 12
    assert not client.exists(*(stage.checkpoint.owner_key for stage in stages))


def test_a_busy_stage_starves_no_other(redis_url: str, client: redis.Redis, keys: Keys) -> None:
    """On a single thread a stage that always has more gives way to one with an entry."""
    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 1)
    busy, other = crew.add("busy", pool, lambda: True), crew.add("other", pool)
    with crew.working():
        wait_for(lambda: busy.turns > 10 and other.loads, "both")
        turns = busy.turns
        client.xadd(other.stream, {"e": "1"})
        wait_for(lambda: other.read, "the entry")
        wait_for(lambda: busy.turns > turns + 10, "the busy one again")


def test_a_time_that_a_stage_named_wakes_it(redis_url: str, keys: Keys) -> None:
    """Although nothing comes, a stage has its turn when it said that it is due."""
    crew = Crew(redis_url, keys.prefix)
    stage = crew.add("timed", Pool("pool", 1))
    stage.every_s = 0.05
    with crew.working():
        wait_for(lambda: stage.turns > 5, "several turns")


def test_a_failing_stage_holds_no_other(
    client: redis.Redis, redis_url: str, keys: Keys, caplog: Any
) -> None:
    """What a stage raises, whatever it is, is told and tried again; another one goes on."""

    def fail() -> bool:
        raise RuntimeError("broken")

    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 1)
    broken, good = crew.add("broken", pool, fail), crew.add("good", pool)
    with crew.working():
        wait_for(lambda: broken.loads > 1, "another attempt")
        client.xadd(good.stream, {"e": "1"})
        wait_for(lambda: good.read, "the good one")
    assert "broken failed" in caplog.text


def test_a_key_of_another_type_blinds_no_other(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """One read waits for the streams of all; a stranger's key among them must not end it for
    all.
    """
    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 2)
    spoilt, good = crew.add("spoilt", pool), crew.add("good", pool)
    with crew.working():
        wait_for(lambda: spoilt.loads and good.loads, "both")
        client.set(spoilt.stream, "mine")
        wait_for(lambda: spoilt.loads > 1, "the spoilt one to notice")
        for number in range(3):
            client.xadd(good.stream, {"e": "1"})
            wait_for(lambda wanted=number + 1: len(good.read) == wanted, "the entry")


def test_idle_leases_are_kept_in_one_round_trip(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Idle stages keep their leases although they never run, by commands that come together; one
    whose lease somebody else has is loaded again.
    """
    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 2)
    stages = [crew.add(f"s{number}", pool) for number in range(20)]
    with crew.working():
        wait_for(lambda: all(stage.loads for stage in stages), "all to be owned")
        tokens = [stage.checkpoint.token for stage in stages]
        turns = sum(stage.turns for stage in stages)
        since = time.monotonic()
        wait_for(lambda: time.monotonic() - since > 2.5 * LEASE_MS / 1000, "some leases' time")
        assert [stage.checkpoint.token for stage in stages] == tokens
        assert [client.get(stage.checkpoint.owner_key) for stage in stages] == tokens
        assert sum(stage.turns for stage in stages) == turns
        client.set(stages[3].checkpoint.owner_key, "thief", px=LEASE_MS)
        wait_for(lambda: stages[3].loads == 2, "the loss to be noticed")
        assert [stage.loads for stage in stages if stage is not stages[3]] == [1] * 19


def test_an_idle_stage_of_a_server_that_restarted_loads_again(tmp_path: Path) -> None:
    """A server that came back may have lost what an idle stage had read, so it must not wait at a
    position that is ahead of the log.
    """
    with EmbeddedRedis(tmp_path) as server:
        client = connect(server.url)
        crew = Crew(server.url, "dg")
        stage = crew.add("idle", Pool("pool", 1))
        client.xadd(stage.stream, {"e": "1"}, id="9000000000000-0")
        with crew.working():
            wait_for(lambda: stage.read, "the entry")
            server.kill()
            server.start()
            client.delete(stage.stream)
            client.xadd(stage.stream, {"e": "1"}, id="5-0")
            wait_for(lambda: stage.read[-1] == b"5-0", "what the server has now")
        client.close()


def test_a_stage_that_runs_is_waited_for_soon(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """A short read knows only the stages that were idle when it began, so it is shorter still while
    another one runs: else an entry that comes right after its turn would wait for the end of the
    read.
    """
    waits: list[int] = []

    class Noting(Waiter):
        def _ask(self, client: redis.Redis, commands: list[Command]) -> list[Any]:
            waits.append(int(commands[0][4]))
            return super()._ask(client, commands)

    entered, left = threading.Event(), threading.Event()

    def work() -> bool:
        entered.set()
        return not left.wait(60)

    crew, pool = Crew(redis_url, keys.prefix), Pool("pool", 2)
    idle = crew.add("idle", pool)
    waiter = Noting(NEAR, crew.roster, crew.nodes, Connection(), crew.stop)
    with crew.working():
        wait_for(lambda: idle.loads, "the idle one")
        crew.add("long", pool, work)
        wait_for(entered.is_set, "the other one to run")
        waiter._look()
        left.set()
        wait_for(lambda: not crew.roster.works(), "the end of its turn")
        client.xadd(idle.stream, {"e": "1"})
        wait_for(lambda: idle.read, "a turn of the idle one, so that it is near")
        wait_for(lambda: not crew.roster.works(), "the end of that")
        waiter._look()
        waiter._let_go()
    assert waits == [SOON_MS, NEAR.block_ms[0]]
