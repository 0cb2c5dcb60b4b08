"""The cost of durability: events/s through the publisher, by how Redis syncs its append-only file
and by `publish_mode`.

    python -m benchmarks.durability [--seconds S]

`bulk`: a few callers publish 500 events at a time, as POST /events does. `single`: 64 callers
publish one event and wait until it is safe, as POST /predict does. A caller waits until its events
are in Redis (`ack`), on a replica too (`replicated`), or on disk (`spool_first`); the rate counts
what Redis has acknowledged. Publisher and callers share a process, and the servers its machine.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.supervision import Supervisor
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import new_manifest
from driftgauge.shared.settings import Settings, read_settings

CALLERS = {"bulk": (4, 500), "single": (64, 1)}
"""Callers, and the events of each call."""
FEATURES = 18
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Choice:
    appendfsync: str
    publish_mode: Literal["ack", "spool_first", "replicated"]
    replicas: int = 0


CHOICES = (
    Choice("everysec", "ack"),
    Choice("always", "ack"),
    Choice("everysec", "spool_first"),
    Choice("everysec", "ack", 1),
    Choice("everysec", "replicated", 1),
)


def events(count: int) -> list[Prediction]:
    values = np.random.default_rng(7).normal(100, 30, size=(count, FEATURES)).round(2).tolist()
    return [
        Prediction(new_id(), "1.0.0", time.time_ns() // 1_000_000, row, 41.7, 2.1) for row in values
    ]


async def call(
    publisher: Publisher, batch: list[Prediction], waits: list[float], end: float
) -> None:
    """Publish again and again."""
    while time.perf_counter() < end:
        started = time.perf_counter()
        outcome = await publisher.publish_many("steel", batch)
        assert outcome in {"published", "spooled"}, outcome
        waits.append(time.perf_counter() - started)


async def load(
    settings: Settings, callers: int, each: int, seconds: float
) -> tuple[float, list[float]]:
    """Return the events/s and the waits of the callers, in s."""
    publisher = Publisher(settings, Supervisor())
    publisher.announce(new_manifest("steel", "1.0.0", "monitor"), b"")
    publisher.start()
    while not publisher.connected:  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(0.01)
    waits: list[float] = []
    started = time.perf_counter()
    batch = events(each)
    await asyncio.gather(
        *(call(publisher, batch, waits, started + seconds) for _ in range(callers))
    )
    while publisher.queued or publisher.spool.events:  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(0.001)
    elapsed = time.perf_counter() - started
    await publisher.close()
    return publisher.published / elapsed, waits


@contextmanager
def replica(primary: EmbeddedRedis, folder: Path) -> Iterator[None]:
    """Run a replica of a private server, which begins when it has all its data."""
    port = processes.free_port(21_500)
    with EmbeddedRedis(folder) as server, connect(primary.url) as first, connect(server.url) as own:
        first.config_set("port", port)
        first.config_set("repl-diskless-sync-delay", 0)
        own.replicaof(HOST, str(port))
        while own.info("replication")["master_link_status"] != "up":
            time.sleep(0.01)
        yield


def measure(choice: Choice, name: str, seconds: float, folder: Path) -> ResultRow:
    callers, each = CALLERS[name]
    with EmbeddedRedis(folder / "redis") as server, ExitStack() as replicas:
        with connect(server.url) as client:
            client.config_set("appendfsync", choice.appendfsync)
        for number in range(choice.replicas):
            replicas.enter_context(replica(server, folder / f"replica{number}"))
        settings = read_settings(
            redis_url=server.url,
            data_dir=folder,
            publish_mode=choice.publish_mode,
            ack_timeout_ms=5000,
        )
        rate, waits = asyncio.run(load(settings, callers, each, seconds))
    p50, p99 = np.percentile(np.array(waits) * 1000, [50, 99])
    return {
        "appendfsync": choice.appendfsync,
        "publish_mode": choice.publish_mode,
        "replicas": choice.replicas,
        "callers": f"{callers} x {each}",
        "events_per_s": round(rate),
        "wait_p50_ms": round(float(p50), 2),
        "wait_p99_ms": round(float(p99), 2),
    }


SMOKE = ("--seconds", "0.1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--seconds", default=4.0, show_default=True, help="Time for each row.")
def main(seconds: float) -> None:
    """Measure what durability costs."""
    rows = []
    for name in CALLERS:
        for choice in CHOICES:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(choice, name, seconds, Path(folder)))
    write("durability", "events/s through the publisher, and how long a caller waits", rows)


if __name__ == "__main__":
    main()
