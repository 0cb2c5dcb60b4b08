"""Workers that are killed while they notify, and a Redis that is."""

import random
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.sink import Reply, http_sink
from tests.integration.notifying.test_stage import LONG_MS, notified, status, tell
from tests.integration.plant import end, publish, wait_for, worker_process, worker_thread

KILLS = 8
ROUND = 12
"""Incidents that open in each round; those of the round before end."""
MODELS = ("plant", "second", "third")


@pytest.mark.long
def test_kills_at_any_moment_lose_nothing_and_repeat_little(
    client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    """The target fails at times, and the worker dies again and again. In the end each incident was
    told from its beginning to its end, in order; a message came again only if it was on its way at
    a kill, or the target said that it failed; and it was the same to the byte.
    """
    dice = random.Random(7)
    accepted: list[str] = []
    failed: Counter[str] = Counter()

    def answer(found: Any) -> Reply:
        if dice.random() < 0.1:
            failed[found.key] += 1
            return Reply(503)
        accepted.append(found.key)
        return Reply()

    for model in MODELS:
        publish(client, keys, model)
    with http_sink() as sink:
        sink.answering = answer
        settings = notified(redis_url, keys, tmp_path, sink, "one")
        opened: list[str] = []
        for number in range(KILLS):
            worker = worker_process(settings, tmp_path / "worker.log")
            for name in opened[-ROUND:]:
                model = MODELS[int(name[1:]) % 3]
                tell(client, keys, transition(name, 2, "resolved", model=model), model=model)
            for _ in range(ROUND):
                name, model = f"i{len(opened)}", MODELS[len(opened) % 3]
                tell(client, keys, transition(name, 1, model=model), model=model)
                opened.append(name)
            some = len(sink.received) + dice.randrange(1, ROUND)
            wait_for(lambda some=some: len(sink.received) >= some, f"some of round {number}")
            end(worker, signal.SIGKILL)
        worker = worker_process(settings, tmp_path / "worker.log")
        try:
            wait_for(lambda: f"{opened[-1]}-1" in accepted, "the last one")
            wait_for(lambda: status(client, keys, "one").waiting == 0, "the rest")
        finally:
            assert end(worker) == 0
        received = sink.received
    check_order(opened, accepted)
    times = Counter(one.key for one in received)
    repeated = sum(count - 1 - failed[key] for key, count in times.items() if count > 1)
    assert repeated <= KILLS
    assert len({(one.key, one.body) for one in received}) == len(times)
    assert "Traceback" not in (tmp_path / "worker.log").read_text()


def test_redis_dies_while_a_message_is_on_its_way(keys: Keys, tmp_path: Path) -> None:
    """The outcome cannot be committed then. When Redis is back with its file the worker still knows
    it: the message is not sent again, and what comes later is told.
    """
    with EmbeddedRedis(tmp_path / "redis") as server, http_sink() as sink:
        client = connect(server.url)
        publish(client, keys)
        answered = threading.Event()
        sink.answering = lambda _: Reply(200 if answered.wait(60) else 500)
        settings = notified(server.url, keys, tmp_path, sink, "one", lease_ms=LONG_MS)
        with worker_thread(settings):
            tell(client, keys, transition("a", 1))
            wait_for(lambda: sink.received, "the message")
            client.close()
            server.kill()
            answered.set()
            server.start()
            client = connect(server.url)
            wait_for(lambda: status(client, keys, "one").sent == 1, "the commit")
            tell(client, keys, transition("a", 2, "resolved"))
            wait_for(lambda: status(client, keys, "one").sent == 2, "the end")
        client.close()
        assert sink.keys == ["a-1", "a-2"]


def check_order(opened: list[str], keys: list[str]) -> None:
    """Check that what the target took of each incident is its beginning, then its end; or nothing
    of one that ended before it could be told; or its end alone, if the worker died before it knew
    whether its beginning was told.
    """
    for name in opened:
        told = list(dict.fromkeys(key for key in keys if key.startswith(f"{name}-")))
        whole = [f"{name}-1"] if name in opened[-ROUND:] else [f"{name}-1", f"{name}-2"]
        assert told in (whole, [], [f"{name}-2"]), name
        assert told == whole or name not in opened[-ROUND:], name
        of_it = [key for key in keys if key.startswith(f"{name}-")]
        assert of_it == sorted(of_it), name
