"""What the integration tests share: a published model, a log of its traffic, workers in this
process and in others.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.leases import Leases
from driftgauge.consumer.running.roster import Pool, Roster
from driftgauge.consumer.running.waiter import NEAR, Waiter
from driftgauge.consumer.stages.sharing import Unshared
from driftgauge.consumer.stages.stage import Connection, Stage
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.settings import Settings
from tests.consumer.builders import event, published, traffic

MODEL = "plant"
PUBLISHED = published(rows=5000, segments=("city",))
FAST = {"lease_ms": 300, "commit_ms": 10, "expected_events_per_day": 5000}
"""Settings with many commits and quick take-overs."""


def wait_for(
    true: Callable[[], Any], what: str, patience_s: float = 100.0, pause_s: float = 0.02
) -> Any:
    """Poll until something is true, and give it."""
    deadline = time.monotonic() + patience_s
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(pause_s)


def publish(client: redis.Redis, keys: Keys, model: str = MODEL) -> None:
    client.hset(keys.versions(model), "1.0.0", PUBLISHED.pack())
    client.sadd(keys.models, model)


def events(
    seed: int, number: int, start_ms: int, shift_from: int | None = None, first: int = 1
) -> list[Entry]:
    """Make events 20 ms apart; from one of them on the smooth feature is shifted."""
    random = np.random.default_rng(seed)
    calm = number if shift_from is None else shift_from
    rows = traffic(random, calm) + traffic(random, number - calm, shift=1.0)
    predictions = random.normal(size=number).tolist()
    return [
        event(start_ms + 20 * place, first + place, row, latency_ms=1.0, prediction=prediction)
        for place, (row, prediction) in enumerate(zip(rows, predictions, strict=True))
    ]


def append(
    client: redis.Redis, log: str, entries: Sequence[Entry], *, with_ids: bool = True
) -> None:
    for start in range(0, len(entries), 2000):
        pipe = client.pipeline(transaction=False)
        for entry_id, fields in entries[start : start + 2000]:
            pipe.execute_command("XADD", log, entry_id if with_ids else "*", *fields)
        pipe.execute()


def counters(client: redis.Redis, keys: Keys, model: str = MODEL) -> Counters:
    packed = client.hget(keys.count(model, 0), "counters")
    return msgspec.json.decode(packed, type=Counters) if packed else Counters()  # type: ignore[arg-type]


def arrived(client: redis.Redis, keys: Keys, model: str = MODEL) -> int:
    """How many entries have been dealt with, one way or the other."""
    found = counters(client, keys, model)
    return found.events + found.duplicates + found.dead


def judged_all(client: redis.Redis, keys: Keys, model: str = MODEL) -> bool:
    """Whether judging has come to the end of the panes."""
    last = client.xrevrange(keys.panes(model, 0), count=1)
    state = client.hget(keys.judge(model), "state")
    if not last or not state:
        return False
    return msgspec.json.decode(state)["offsets"].get("0") == last[0][0].decode()  # type: ignore[arg-type,index]


def settings_of(url: str, keys: Keys, **more: Any) -> dict[str, Any]:
    return {"redis_url": url, "key_prefix": keys.prefix, **FAST, **more}


@contextmanager
def worker_thread(settings: dict[str, Any]) -> Iterator[Worker]:
    """Run a worker in this process; it has committed and handed over when the context ends."""
    worker = Worker(Settings(**settings))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop.set()
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def stage_thread(stage: Stage, url: str, lease_ms: int = 300) -> Iterator[threading.Event]:
    """Run a single stage as a worker would, until the context ends or its event is set."""
    stop, connection, nodes, roster = threading.Event(), Connection(), Nodes(url), Roster()
    sharing = Unshared("", lease_ms)
    roster.add(Duty(stage.name, lambda: stage, sharing, stop, connection, nodes), Pool("stage", 1))
    leases, waiter = Leases(roster, lease_ms), Waiter(NEAR, roster, nodes, connection, stop)

    def keep() -> None:
        while not stop.wait(leases.look_s):
            leases.keep()

    threads = [threading.Thread(target=keep), threading.Thread(target=waiter.run)]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        roster.end(60)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        nodes.close()


def worker_process(settings: dict[str, Any], log: Path) -> "subprocess.Popen[bytes]":
    """Start a worker (working.py); the test ends it, or the end of the run does if the test failed
    before."""
    packed = msgspec.json.encode(settings).decode()
    return processes.start([sys.executable, "-m", "tests.integration.working", packed], log)


def end(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(60)
