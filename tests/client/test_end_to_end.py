"""A client, an API, a worker and their Redis: the counts are what was logged."""

from pathlib import Path
from typing import Any

import msgspec
import redis

from driftgauge.client import Monitor
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from tests.integration.plant import wait_for, worker_thread
from tests.producer.conftest import GOOD, SCHEMA, api_process, publish, rows, settings_in

EVENTS = 600


def counted(server: EmbeddedRedis) -> Counters:
    """The counters of both partitions."""
    found = Counters()
    keys = Keys("dg").salted(salts_for("split", 2))
    with redis.Redis.from_url(server.url) as client:
        for place in range(2):
            packed: Any = client.hget(keys.count("split", place), "counters")
            one = msgspec.json.decode(packed, type=Counters) if packed else Counters()
            found.events += one.events
            found.failed += one.failed
            found.missing += one.missing
            found.dead += one.dead
            found.labels.joined += one.labels.joined
    return found


def test_redis_is_away_in_between(tmp_path: Path) -> None:
    """A model of two partitions, which the client learns of; Redis ends and comes back; a value
    that does not fit the schema. Every prediction, label and failed one is counted once, and none
    is missing.
    """
    publish(
        ModelRegistry(tmp_path / "registry"), "split", SCHEMA, rows(), partitions=2, labels=True
    )
    with EmbeddedRedis(tmp_path / "redis") as server:
        settings = settings_in(tmp_path, server.url, "dg")
        with api_process(settings, tmp_path) as (url, _):
            spool = tmp_path / "spool"
            with Monitor(url, "split", spool=spool) as monitor:
                for place in range(EVENTS):
                    if place == EVENTS // 3:
                        assert monitor.flush()
                        server.stop()
                    if place == 2 * EVENTS // 3:
                        assert monitor.flush()  # the API has spooled it
                        server.start()
                    made = monitor.log(GOOD, place)
                    monitor.label(made, place)
                monitor.log({"x": "no number", "y": 1}, 1)
                monitor.failed({}, ValueError("private"))
                assert monitor.flush()
                assert (monitor.stats["refused"], monitor.stats["dropped"]) == (1, {})
            assert list(spool.iterdir()) == []
            given = {"redis_url": server.url, "key_prefix": "dg", "lease_ms": 300}
            with worker_thread({**given, "commit_ms": 10}):
                wait_for(lambda: counted(server).labels.joined == EVENTS, "all labels")
                wait_for(lambda: counted(server).failed == 1, "the failed one")
                found = counted(server)
    assert (found.events, found.missing, found.dead) == (EVENTS, 0, 0)
