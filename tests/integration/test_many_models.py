"""Many models on one worker: few threads and connections, and every model is counted."""

import threading
import time

import redis

from driftgauge.shared.contract.keys import Keys
from tests.integration.plant import (
    PUBLISHED,
    append,
    arrived,
    events,
    settings_of,
    wait_for,
    worker_thread,
)

MODELS = 30
EACH = 20


def test_many_models_need_few_threads_and_connections(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Thirty models that get events at once, and one that is published meanwhile, are counted by a
    worker with the threads and connections of one model; no lease changes hands.
    """
    names = [f"m{number}" for number in range(MODELS)]
    packed = PUBLISHED.pack()
    for name in names:
        client.hset(keys.versions(name), "1.0.0", packed)
    client.sadd(keys.models, *names)
    threads, connections = threading.active_count(), len(client.client_list())
    now = int(time.time() * 1000)
    with worker_thread(settings_of(redis_url, keys, lease_ms=3000)):
        for number, name in enumerate(names):
            append(client, keys.log(name, 0), events(number, EACH, now - 20 * EACH))
        wait_for(lambda: all(arrived(client, keys, name) == EACH for name in names), "all")
        client.hset(keys.versions("late"), "1.0.0", packed)
        client.sadd(keys.models, "late")
        append(client, keys.log("late", 0), events(99, EACH, now - 20 * EACH))
        wait_for(lambda: arrived(client, keys, "late") == EACH, "the late one")
        assert threading.active_count() - threads < 16
        assert len(client.client_list()) - connections < 24
        epochs = [client.get(keys.epoch(name, 0)) for name in names]
        assert epochs == [b"1"] * MODELS
