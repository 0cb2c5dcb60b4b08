"""What the archive costs counting: CPU time of the thread that counts, an event, without an archive
and with one, from a log in a real Redis.

    python -m benchmarks.scale.archive_cost [--events N] [--repeats R]

A worker on more than one core counts in one process, and judges and archives in another one. So
there are two logs alike, and two stages of counting in the main thread. Both logs get the same
1,000 entries, each stage counts and commits its own, and so on: whatever else the machine does
costs both the same. One stage has the archive's setting: it holds its log for the archive, and
notes what it did not count; the other one does neither. Each is followed by a process that is all
of a worker but counting, one of which archives. One event in 100 comes twice, one in 1,000 is
unusable.

The main thread's own CPU time counts, from the first quarter of the entries on, and beside it that
of all threads of the other process, until all is judged and archived. Each 1,000 entries give a
ratio of both ways; their median is told, with the interval that has the true one at 95 %. So what
comes once in some seconds, such as the look at the log's readers, is in the sums alone: "in all".
"""

import gc
import math
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import redis
from redis.client import Pipeline

from benchmarks.results import ResultRow, write
from benchmarks.scale.archiving import MODEL, make_version, rows_of, schema_of
from driftgauge.consumer.commands.worker import COLLECTED
from driftgauge.consumer.running.settled import counting_policy
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.worker import Worker
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import PREDICTION, Prediction, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion
from driftgauge.shared.settings import read_settings

WITHOUT: Final = "no archive"
ARCHIVED: Final = "archived"
Fields = list[bytes]
TWICE: Final = 100
UNUSABLE: Final = 1000
COMMIT: Final = 1000
WARM: Final = 0.25
"""Share of the entries before which nothing is measured: detectors are made, and modules loaded."""
SMOKE = ("--events", "4000", "--repeats", "1")
"""Arguments of the smallest run, which CI starts."""


@dataclass(frozen=True)
class Used:
    """CPU seconds of a run: of counting each 1,000 entries, and of the worker for one entry."""

    counting: list[float]
    worker: float


class Unnoted(CountingStage):
    """Counting as it would be if nobody asked what was not counted."""

    def _queue_outputs(self, pipe: Pipeline) -> None:
        self._uncounted_out = []
        super()._queue_outputs(pipe)


class Way:
    """A log that is counted, with or without an archive, and the process that follows it.

    Parameters
    ----------
    folder
        Where the archive is, and what else the worker writes.
    """

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.keys = Keys(name.replace(" ", "-"))
        self.client = raw_reads(connect(url))
        self.settings: dict[str, Any] = {
            "redis_url": url,
            "key_prefix": self.keys.prefix,
            "data_dir": str(folder / self.keys.prefix),
            "commit_events": COMMIT,
            "archive_seconds": 2.0,
            "reports_kept": 0,
        }
        self._kind: type[CountingStage] = Unnoted
        if name == ARCHIVED:
            self._kind = CountingStage
            self.settings["archive_url"] = str(folder / "archive")

    def begin(self, version: PublishedVersion) -> None:
        """Publish a version to an empty Redis, and start the other process."""
        for name in self.client.scan_iter(f"{self.keys.prefix}:*"):
            self.client.delete(name)
        self.client.hset(self.keys.versions(MODEL), "1.0.0", version.pack())
        self.client.sadd(self.keys.models, MODEL)
        self._told, theirs = multiprocessing.Pipe()
        self._other = multiprocessing.get_context("spawn").Process(
            target=follow, args=(theirs, self.settings)
        )
        self._other.start()
        theirs.close()
        self._told.recv()

    def load(self) -> None:
        """Load the stage, with a lease that outlasts neighbours."""
        settings = read_settings(**self.settings, lease_ms=60_000)
        policy = counting_policy(settings, 0, 1)
        self._stage = self._kind(self.client, settings, MODEL, policy, keys=self.keys)
        assert self._stage.checkpoint.acquire()
        self._stage.load()

    def send(self, entries: Sequence[Fields]) -> None:
        """Write entries to the log."""
        with self.client.pipeline(transaction=False) as pipe:
            for fields in entries:
                pipe.execute_command("XADD", self.keys.log(MODEL, 0), "*", *fields)
            pipe.execute()

    def count(self, entries: int) -> float:
        """Let the stage work until so many entries are committed; return the CPU seconds."""
        used = 0.0
        while self._arrived < entries:
            started = time.thread_time()
            self._stage.turn()
            used += time.thread_time() - started
        return used

    @property
    def _arrived(self) -> int:
        packed: Any = self.client.hget(self.keys.count(MODEL, 0), counters.FIELD)
        found = msgspec.json.decode(packed, type=Counters) if packed else Counters()
        return found.events + found.duplicates + found.dead

    def end(self) -> float:
        """End both; return the CPU seconds of the other process, since it had begun."""
        self._stage.close()
        self._told.send("all is counted")
        used: float = self._told.recv()
        self._other.join()
        self.client.close()
        return used


@click.command()
@click.option("--events", default=100_000, show_default=True)
@click.option("--repeats", default=6, show_default=True)
def main(events: int, repeats: int) -> None:
    """Measure, print a table, write benchmarks/results/archive_cost.json."""
    gc.set_threshold(*COLLECTED)  # as the command does
    found: list[list[Used]] = []
    schema = schema_of(18, 0)
    version, entries = make_version(schema), _entries(schema, events)
    gc.collect()
    gc.freeze()
    with tempfile.TemporaryDirectory() as name, EmbeddedRedis(Path(name)) as server:
        for run in range(repeats):
            folder = Path(name) / str(run)
            ways = [Way(way, server.url, folder) for way in (WITHOUT, ARCHIVED)]
            found.append(_measured(ways, version, entries))
    write(
        "archive_cost",
        f"{events:,} predictions of 18 numbers, a commit each {COMMIT:,}, {repeats} runs",
        [
            _row(way, [run[place] for run in found], [run[0] for run in found])
            for place, way in enumerate((WITHOUT, ARCHIVED))
        ],
    )


def _row(way: str, found: Sequence[Used], without: Sequence[Used]) -> ResultRow:
    """Sum up the runs of a way, beside those without an archive."""
    rounds, yardsticks = (
        [seconds for run in runs for seconds in run.counting] for runs in (found, without)
    )
    ratios = sorted(one / other for one, other in zip(rounds, yardsticks, strict=True))
    half, spread = len(ratios) // 2, math.ceil(math.sqrt(len(ratios)))
    worker, beside = (statistics.median(run.worker for run in runs) for runs in (found, without))
    return {
        "way": way,
        "counting µs": round(1e6 * statistics.median(rounds) / COMMIT, 2),
        "of without": round(statistics.median(ratios), 3),
        "from": round(ratios[max(0, half - spread)], 3),
        "to": round(ratios[min(len(ratios) - 1, half + spread)], 3),
        "in all": round(sum(rounds) / sum(yardsticks), 3),
        "worker µs": round(1e6 * worker, 2),
        "worker of without": round(worker / beside, 3),
    }


def _entries(schema: Schema, events: int) -> list[Fields]:
    """Make the entries of a log, some twice, some unusable; a multiple of what is sent at once."""
    now, found = int(time.time() * 1000) - events // 50 - 1000, list[Fields]()
    for place, features in enumerate(rows_of(schema, events), 1):
        event = Prediction(new_id(), "1.0.0", now + place // 50, features, 0.5, 1.5)
        packed = b"{}" if place % UNUSABLE == 0 else encode(event)
        fields = [b"t", PREDICTION, b"p", b"api", b"s", str(place).encode(), b"e", packed]
        found += [fields] * (2 if place % TWICE == 1 else 1)
    return found[: len(found) // COMMIT * COMMIT]


def _measured(
    ways: Sequence[Way], version: PublishedVersion, entries: Sequence[Fields]
) -> list[Used]:
    """Count a log both ways at once; return what each took."""
    try:
        for way in ways:
            way.begin(version)
        for way in ways:
            way.load()
        order, used = list(ways), {way: list[float]() for way in ways}
        for start in range(0, len(entries), COMMIT):
            for way in order:
                way.send(entries[start : start + COMMIT])
            for way in order:
                used[way].append(way.count(start + COMMIT))
            order.reverse()
        warm = int(len(entries) * WARM) // COMMIT
        found = []
        for way in ways:
            worker = (sum(used[way]) + way.end()) / len(entries)
            found.append(Used(used[way][warm:], worker))
        return found
    finally:
        for process in multiprocessing.active_children():
            process.kill()


def follow(told: Connection, given: Mapping[str, Any]) -> None:
    """Run a worker that does all but counting; tell when it has begun, and the CPU seconds of this
    process until it has come to the end of what was counted.
    """
    gc.freeze()  # as the command does
    gc.set_threshold(*COLLECTED)
    settings = read_settings(**given)
    client, keys = raw_reads(connect(settings.redis_url)), Keys(settings.key_prefix)
    worker = Worker(settings, part="judging")
    thread = threading.Thread(target=worker.run)
    thread.start()
    owners = [keys.judge_owner(MODEL)]
    if settings.archive_url is not None:
        owners.append(keys.archive_owner(MODEL, 0))
    _wait(lambda: client.exists(*owners) == len(owners))
    started = time.process_time()
    told.send("begun")
    told.recv()
    _wait(lambda: _followed(client, keys, archives=settings.archive_url is not None))
    told.send(time.process_time() - started)
    worker.stop.set()
    thread.join()
    client.close()


def _followed(client: redis.Redis, keys: Keys, *, archives: bool) -> bool:
    """Return whether all panes are judged, and all that was counted is archived."""
    state: Any = client.hget(keys.judge(MODEL), "state")
    panes: Any = client.xrevrange(keys.panes(MODEL, 0), count=1)
    offsets = msgspec.json.decode(state)["offsets"] if state else {}
    judged = not panes or offsets.get("0") == panes[0][0].decode()
    if not judged or not archives:
        return judged
    reached: Any = client.hget(keys.archive(MODEL, 0), "offset")
    counted: Any = client.hget(keys.count(MODEL, 0), "offset")
    return EntryId.parse(reached or b"0-0") >= EntryId.parse(counted)


def _wait(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.05)


if __name__ == "__main__":
    main()
