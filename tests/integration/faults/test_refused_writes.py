"""A Redis that answers and takes no writes: the worker waits, says so once, and goes on."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.consumer.worker import Worker
from driftgauge.producer.publishing.sender import FULL_SHARE
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.settings import Settings
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

EVENTS = 2000
START_MS = 1_760_000_000_000
REFUSING: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "NOREPLICAS": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
}
"""How a server is made to refuse writes, and how to take them again."""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server of this test, which it may spoil."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        client = connect(server.url)
        client.config_set("maxmemory-policy", "noeviction")
        yield client
        client.close()


def url_of(client: redis.Redis) -> str:
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    return f"unix://{options['path']}"


@pytest.mark.parametrize("code", sorted(REFUSING))
def test_a_worker_waits_while_redis_takes_no_writes(
    code: str, own_server: redis.Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """It neither ends nor counts; it says once what to do; and when writes are taken again, every
    event is counted once, without anybody's help.
    """
    refuse, accept = REFUSING[code]
    publish(own_server, keys)
    entries = events(1, EVENTS, START_MS)
    append(own_server, keys.log(MODEL, 0), entries[: EVENTS // 2])
    with caplog.at_level(logging.INFO), worker_thread(settings_of(url_of(own_server), keys)):
        wait_for(lambda: arrived(own_server, keys) == EVENTS // 2, "the first half")
        append(own_server, keys.log(MODEL, 0), entries[EVENTS // 2 : EVENTS // 2 + 100])
        own_server.execute_command(*refuse)
        wait_for(lambda: "refuses to write" in caplog.text, "the refusal")
        own_server.execute_command(*accept)
        wait_for(lambda: "takes writes again" in caplog.text, "the end of it")
        append(own_server, keys.log(MODEL, 0), entries[EVENTS // 2 + 100 :])
        wait_for(lambda: arrived(own_server, keys) == EVENTS, "all events")
    assert counters(own_server, keys).events == EVENTS
    said = [one for one in caplog.records if "refuses to write" in one.getMessage()]
    assert len(said) == 1
    assert not [one for one in caplog.records if one.exc_info], "no traceback for an operator"


@pytest.mark.long
def test_a_full_redis_gets_room_from_the_log(own_server: redis.Redis, keys: Keys) -> None:
    """Where `maxmemory` holds fewer events than the hours of retention bring, counted entries go
    first. A publisher that leaves the worker its tenth, as the API does, gets all its events
    through, and each is counted once.
    """
    used: Any = own_server.info("memory")
    publish(own_server, keys)
    limit = used["used_memory"] + 1_500_000
    own_server.config_set("maxmemory", limit)
    entries = events(1, 10_000, START_MS)
    log, waited = keys.log(MODEL, 0), 0

    def has_room() -> bool:
        memory: Any = own_server.info("memory")
        return bool(memory["used_memory"] < FULL_SHARE * limit)

    with worker_thread(settings_of(url_of(own_server), keys)):
        for place in range(0, len(entries), 100):
            waited += not has_room()
            wait_for(has_room, "room", 60)
            append(own_server, log, entries[place : place + 100], with_ids=False)
        wait_for(lambda: arrived(own_server, keys) == len(entries), "all events", 120)
    assert counters(own_server, keys).events == len(entries)
    assert waited, "the server was full at times"
    assert own_server.xlen(log) < len(entries) / 2


def test_a_redis_that_may_evict_is_refused_at_the_start(
    own_server: redis.Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """An eviction would take waiting predictions and checkpoints without a word: a worker does not
    begin, and says which line to change; one that runs already says so.
    """
    publish(own_server, keys)
    settings = settings_of(url_of(own_server), keys)
    with worker_thread(settings):
        append(own_server, keys.log(MODEL, 0), events(1, 100, START_MS))
        wait_for(lambda: arrived(own_server, keys) == 100, "the events")
        own_server.config_set("maxmemory", "1gb")
        own_server.config_set("maxmemory-policy", "volatile-lru")
        wait_for(lambda: "maxmemory-policy volatile-lru" in caplog.text, "the words")
    with pytest.raises(ConfigurationError, match="CONFIG SET maxmemory-policy noeviction"):
        Worker(Settings(**settings)).run()


def test_a_server_that_tells_nothing_is_no_obstacle(
    own_server: redis.Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """A managed service may allow neither CONFIG nor INFO: the worker says of each once what it
    cannot see, and counts.
    """
    publish(own_server, keys)
    own_server.execute_command(
        "ACL", "SETUSER", "user", "on", "nopass", "~*", "+@all", "-config", "-info"
    )
    url = url_of(own_server).replace("unix://", "unix://user:any@")
    with worker_thread(settings_of(url, keys)):
        append(own_server, keys.log(MODEL, 0), events(1, 100, START_MS))
        wait_for(lambda: arrived(own_server, keys) == 100, "the events")
    said = [one.getMessage() for one in caplog.records if "does not tell" in one.getMessage()]
    assert [line.split(".")[0].split(" (")[0] for line in said] == [
        "Redis does not tell its maxmemory-policy",
        "Redis does not tell its run_id",
    ]
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
