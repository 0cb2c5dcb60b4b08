"""The cost of an event by the number of partitions, on a Redis Cluster of three masters.

    python -m benchmarks.scale.partitions [--events N]

A publisher sends events as POST /events does (500 at a time, a few callers), then a worker counts
them, with everything on. Each is measured as processor time of its own process for an event,
without that of the servers; of several runs the least counts, since others only add to it. A single
server with one partition is the yardstick. The goal is a cost that is flat within a tenth from one
partition to twelve: `of one` says how it is beside one partition of the cluster.
"""

import asyncio
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import click
import msgspec
import numpy as np

from benchmarks.chaos.stores.cluster import Cluster
from benchmarks.results import ResultRow, write
from driftgauge.consumer.worker import Worker
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.supervision import Supervisor
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.keys import Keys, salts_for
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import Manifest, PublishedVersion, new_manifest
from driftgauge.shared.settings import read_settings

SMOKE = ("--events", "4000", "--rounds", "1")
"""Arguments of the smallest run, which CI starts."""
MODEL: Final = "steel"
FEATURES: Final = 18
PARTITIONS: Final = (1, 2, 3, 6, 12)
CALM: Final = ("--cluster-node-timeout", "30000")
"""A master that is busy for a moment is not taken for dead."""
CALLERS, EACH = 4, 500
WARM: Final = 0.2
"""Share of the events that are counted before the measurement begins."""
POLL_S: Final = 0.05
PER_MS: Final = 25
"""Events of a millisecond, as their times say: panes close as they do at a high rate."""


def version(partitions: int) -> PublishedVersion:
    """Make a version of the model with so many partitions."""
    columns = list(np.random.default_rng(0).normal(size=(FEATURES, 20_000)))
    schema = Schema(tuple(Feature(f"n{place}", "numeric") for place in range(FEATURES)))
    salts = salts_for(MODEL, partitions)
    manifest = new_manifest(MODEL, "1.0.0", "monitor", partitions=partitions, salts=salts)
    reference = build_profile(schema, columns, np.random.default_rng(1).normal(size=20_000))
    return PublishedVersion(manifest, schema, reference)


def predictions(events: int) -> list[Prediction]:
    """Make the events that are published."""
    rows = np.random.default_rng(2).normal(size=(events, FEATURES)).round(4).tolist()
    now = time.time_ns() // 1_000_000 - events // PER_MS
    return [
        Prediction(new_id(), "1.0.0", now + place // PER_MS, row, 41.7, 2.1)
        for place, row in enumerate(rows)
    ]


async def published(
    url: str, prefix: str, folder: Path, made: PublishedVersion, events: int
) -> float:
    """Publish events; return the processor time (s) of publishing them."""
    settings = read_settings(
        redis_url=url, key_prefix=prefix, data_dir=folder, ack_timeout_ms=60_000
    )
    publisher = Publisher(settings, Supervisor())
    publisher.announce(made.manifest, made.pack())
    publisher.start()
    while not publisher.connected:  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(0.01)
    rows = predictions(events)
    batches = [rows[start : start + EACH] for start in range(0, events, EACH)]

    async def call() -> None:
        while batches:
            outcome = await publisher.publish_many(MODEL, batches.pop())
            assert outcome == "published", outcome

    begun = time.process_time()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    spent = time.process_time() - begun
    await publisher.close()
    return spent


def counted(url: str, prefix: str, folder: Path, manifest: Manifest, events: int) -> float:
    """Let a worker count what was published; return its processor time (s) for an event, once it
    is under way.
    """
    nodes, keys = Nodes(url), Keys(prefix).salted(manifest.salts)
    names = [keys.count(MODEL, place) for place in range(manifest.partitions)]

    def found() -> int:
        packed = [nodes.shared(name).hget(name, "counters") for name in names]
        return sum(msgspec.json.decode(one, type=Counters).events for one in packed if one)

    worker = Worker(
        read_settings(redis_url=url, key_prefix=prefix, data_dir=folder, reports_kept=0)
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        while (first := found()) < WARM * events:
            time.sleep(POLL_S)
        begun = time.process_time()
        while (last := found()) < events:
            time.sleep(POLL_S)
        spent = time.process_time() - begun
    finally:
        worker.stop.set()
        thread.join()
        nodes.close()
    return spent / max(1, last - first)


def measure(
    name: str, url: str, partitions: int, events: int, rounds: int, folder: Path
) -> ResultRow:
    """Measure one number of partitions."""
    made, sent, taken = version(partitions), [], []
    for number in range(rounds):
        prefix = f"bench-{name.split(maxsplit=1)[0]}-{partitions}-{number}"
        own = folder / prefix
        sent.append(asyncio.run(published(url, prefix, own, made, events)) / events)
        taken.append(counted(url, prefix, own, made.manifest, events))
    publish, count = min(sent) * 1e6, min(taken) * 1e6
    return {
        "server": name,
        "partitions": partitions,
        "publish µs": round(publish, 2),
        "count µs": round(count, 2),
        "both µs": round(publish + count, 2),
    }


@click.command()
@click.option("--events", default=200_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(events: int, rounds: int) -> None:
    """Measure, print a table, write benchmarks/results/partitions.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with EmbeddedRedis(folder / "redis") as server:
            rows = [measure("single server", server.url, 1, events, rounds, folder)]
        with Cluster(folder / "cluster", replicas=False, options=CALM) as cluster:
            rows += [
                measure("cluster of 3", cluster.url, partitions, events, rounds, folder)
                for partitions in PARTITIONS
            ]
    one = rows[1]["both µs"]
    write(
        "partitions",
        f"processor time of an event, {events:,} events, best of {rounds}",
        [row | {"of one": round(row["both µs"] / one, 2)} for row in rows],
    )


if __name__ == "__main__":
    main()
