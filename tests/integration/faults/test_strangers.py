"""What strangers, or a damaged server, wrote into a real Redis stops no stage: it is named, becomes
a dead letter or is passed over, and the rest goes on.
"""

import gzip
import time
import zlib
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.stage import Stage
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Block, Pane, Watermark, encode
from tests.consumer.builders import raw
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
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

DEEP = b"[" * 100_000


def bomb() -> bytes:
    """Pack 200 MB in 1 MB."""
    return gzip.compress(b" " * (200 << 20), compresslevel=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "retry_s", (0.01, 0.01))


def with_manifest(**changes: Any) -> bytes:
    """Pack a version with a manifest that registration would not make."""
    content = msgspec.json.decode(gzip.decompress(PUBLISHED.pack()))
    content["manifest"] |= changes
    return gzip.compress(msgspec.json.encode(content), compresslevel=1)


def reasons(client: redis.Redis, key: str) -> str:
    entries: Any = client.xrange(key)
    return " | ".join(fields[b"reason"].decode() for _, fields in entries)


def test_versions_and_names_of_strangers_hinder_no_other_model(
    client: redis.Redis, redis_url: str, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """Names that are no text, billions of partitions, too few salts, JSON without end, a bomb, and
    a key of another type: each costs its own model at most, and the log names it.
    """
    versions = {
        "a-bomb": bomb(),
        "deep": gzip.compress(b'{"manifest":' + DEEP),
        "many": with_manifest(partitions=2**62),
        "salts": with_manifest(partitions=3, salts=["1", "2"]),
        "cut": PUBLISHED.pack()[:-9],
    }
    client.sadd(keys.models, b"\xff\xfe", "../up", "of-another-type", *versions)
    client.set(keys.versions("of-another-type"), "text")
    client.hset(keys.workers, b"\xff", "1")
    for model, packed in versions.items():
        client.hset(keys.versions(model), "1.0.0", packed)
        client.hset(keys.versions(model), b"\xff", packed)
    publish(client, keys)
    append(client, keys.log(MODEL, 0), events(1, 300, time.time_ns() // 1_000_000 - 10_000))
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 300, "the sound model's events")
        wait_for(lambda: not client.hexists(keys.workers, b"\xff"), "the heartbeat to be removed")
    for model in (*versions, "of-another-type"):
        assert any(model in record.getMessage() for record in caplog.records), model


def test_entries_of_strangers_are_dead_letters(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """In the log: JSON without end, names that are no text or endless, numbers out of bounds. In
    the panes: bytes, a pane of another partition, one with other cells, one of the year 10,000, and
    an entry behind all ids that panes will ever have. All are dead letters with a reason, every
    event is counted and every pane judged.
    """
    publish(client, keys)
    log, panes = keys.log(MODEL, 0), keys.panes(MODEL, 0)
    settings = settings_of(redis_url, keys, pane_events=100)
    started = time.time_ns() // 1_000_000 - 100_000
    good = events(1, 600, started)
    odd = [
        raw("*", 1, DEEP, b"stranger"),
        raw("*", 2, b'{"id":"\xff"}', b"\xff\xfe"),
        raw("*", 3, good[0][1][7], b"p" * 5000),
        raw("*", 2**64, good[0][1][7], b"stranger"),
    ]
    with worker_thread(settings):
        append(client, log, good[:300])
        append(client, log, odd, with_ids=False)
        wait_for(lambda: arrived(client, keys) == 304, "the first events")
        wait_for(lambda: judged_all(client, keys), "their panes")
        last = client.xrevrange(panes, count=1)[0][0].decode()  # type: ignore[index,union-attr]
        number, suffix = (int(part) for part in last.split("-"))
        block = Block(5, b"B-\x05", b"", {})
        strangers = [
            b"\xc1 no message pack",
            b"\x91" * 100_000,
            encode(Watermark(7, started, 0)),
            encode(Watermark(0, started, 0)).replace(b"time\xcf", b"time\xd3\xff"),
            encode(Pane(0, 2**40, started, started, 5, 5, None, {"1.0.0": block})),
        ]
        for place, content in enumerate(strangers):
            client.xadd(panes, {"b": content}, id=f"{number}-{suffix + 100 + place}")
        wait_for(lambda: client.xlen(keys.judge_dead(MODEL)) == len(strangers), "dead letters")
        client.xadd(panes, {"b": "behind all ids"})
        append(client, log, good[300:], with_ids=False)
        wait_for(lambda: arrived(client, keys) == 604, "the further events")
        wait_for(lambda: judged_all(client, keys), "their panes")
    found = counters(client, keys)
    assert (found.events, found.dead) == (600, 4)
    said = reasons(client, keys.dead(MODEL, 0))
    assert "content cannot be read" in said
    assert "no publisher (p) of at most 128 bytes" in said
    assert "stands behind the last pane" in said
    said = reasons(client, keys.judge_dead(MODEL))
    assert said.count("it cannot be read") == len(strangers)
    assert "it is of partition 7, and stands in 0" in said
    state: Any = client.hget(keys.judge(MODEL), "state")
    assert msgspec.json.decode(state)["totals"] == {"0": 600}


def test_a_pane_with_other_counts_is_set_aside(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """A pane that can be read and has the counts of no reference, or a bomb in their place, is set
    aside after some attempts, and so is one that cannot be read behind a gap; what comes after them
    is judged.
    """
    publish(client, keys)
    started = time.time_ns() // 1_000_000 - 100_000
    few = Block(5, b"B-\x05", b"", {})
    bomb = Block(5, b"Bz" + zlib.compress(b"\0" * (100 << 20), 1), b"", {})
    client.xadd(keys.panes(MODEL, 0), {"b": "the panes before it are trimmed"}, id="7-0")
    for number, block in enumerate((few, bomb), start=8):
        pane = Pane(0, number, started, started, 5, 5, None, {"1.0.0": block})
        client.xadd(keys.panes(MODEL, 0), {"b": encode(pane)}, id=f"{number}-0")
    after = Watermark(0, started, 10)
    client.xadd(keys.panes(MODEL, 0), {"b": encode(after)}, id="9-1")
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: judged_all(client, keys), "the panes")
    said = reasons(client, keys.judge_dead(MODEL))
    assert "cannot be read; counting moves it" in said
    assert "it has 1 counts instead of" in said
    assert "more than 8,000,000 bytes when it is decompressed" in said
