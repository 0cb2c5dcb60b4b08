"""Commits: the time of one, when a state of some MB did not change, beside a bare round trip to the
same Redis.

    python -m benchmarks.commits [--megabytes M] [--commits N]

A commit writes only the fields that changed, so it must not grow with what is stored.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from redis.client import Pipeline

from benchmarks.results import ResultRow, write
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local.embedded_redis import EmbeddedRedis

FIELD_BYTES = 50_000


SMOKE = ("--megabytes", "1", "--commits", "300")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--megabytes", default=5, show_default=True)
@click.option("--commits", default=2000, show_default=True)
def main(megabytes: int, commits: int) -> None:
    """Measure, print a table, write benchmarks/results/commits.json."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        client = connect(server.url)
        checkpoint = Checkpoint(client, "{c}:count", "{c}:owner", "{c}:epoch", lease_ms=60_000)
        assert checkpoint.acquire()
        checkpoint.load()
        content = np.random.default_rng(0).bytes(FIELD_BYTES)
        state = {
            f"detector:{i}".encode(): content for i in range(megabytes * 1_000_000 // FIELD_BYTES)
        }
        checkpoint.commit(state, no_outputs)
        rows = [
            _row("PING, one round trip", client.ping, commits),
            _row(
                f"commit, {megabytes} MB unchanged",
                lambda: checkpoint.commit({b"offset": b"1-0"}, no_outputs),
                commits,
            ),
            _row(
                f"commit, all {megabytes} MB changed",
                lambda: checkpoint.commit(state, no_outputs),
                commits // 50,
            ),
        ]
        client.close()
    write("commits", f"a state of {megabytes} MB, append-only file everysec", rows)


def no_outputs(_pipe: Pipeline) -> None:
    """Queue nothing beside the state."""


def _row(name: str, step: Callable[[], object], times: int) -> ResultRow:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    ordered = sorted(seconds)
    return {
        "step": name,
        "median ms": round(statistics.median(seconds) * 1000, 3),
        "p99 ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 3),
    }


if __name__ == "__main__":
    main()
