"""Counting: events a CPU second of the process that counts, from a real Redis, beside the fastest
loop that only reads and decodes, and beside whylogs, where it is installed.

    python -m benchmarks.counting [--events N] [--repeats R]

The process does all that the one that counts does in production: the online detectors, panes,
roll-ups, commits; with labels it also writes each prediction to a hash, and reads it there again.
Judging and reports have a process of their own (`driftgauge worker` on more than one core); one mix
has them in the same. At the pace of live traffic a pane closes once in a second of logical time,
which has 20,000 events; while it catches up, after each 250 events.

The bare loop reads with XREAD COUNT 1000 and decodes with msgspec, garbage collector off. whylogs
profiles the same rows from memory, without a stream or drift. Each runs in a process of its own.
What counts is the CPU time of that process, from the first quarter of the events to the last one:
wall time would measure what else the machine does. An event is an entry.
"""

import gc
import importlib
import importlib.util
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec
import numpy as np
import pandas as pd
import redis

from benchmarks.results import ResultRow, write
from driftgauge.consumer.commands.worker import COLLECTED
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.worker import Part, Worker
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import LABEL, PREDICTION, Label, Prediction, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.settings import read_settings

MODEL = "bench"
Pace = Literal["live", "catching up"]
SPACING_MS: Final[Mapping[Pace, float]] = {"live": 0.05, "catching up": 10}
"""Logical time between events. At the second a pane of 250 is older than a second, so it closes
when it is full."""
BARE: Final = "bare: XREAD 1000 and msgspec"
LOOK_S: Final = 0.1
"""Pause between looks at what is committed: each costs the process that is measured."""
WARM: Final = 0.25
"""Share of the events before which nothing is measured: modules are loaded, detectors made."""


@dataclass(frozen=True)
class Mix:
    """A mix of events: numbers of numeric and categorical features, and how many of the latter
    define segments (20 values and OTHER). With labels, the second half of the entries are the
    labels of the first half, in another order.
    """

    name: str
    numeric: int
    categorical: int
    segments: int = 0
    labels: bool = False
    detectors: bool = True
    pace: Pace = "live"
    part: Part = "counting"


MIXES = (
    Mix("18 numeric", 18, 0),
    Mix("18 numeric, catching up", 18, 0, pace="catching up"),
    Mix("18 numeric, catching up, judging in one process", 18, 0, pace="catching up", part="all"),
    Mix("18 numeric, no online detectors", 18, 0, detectors=False),
    Mix("12 numeric + 6 categorical", 12, 6),
    Mix("12 numeric + 6 categorical, 3 segments of 21", 12, 6, segments=3),
    Mix("18 numeric, and labels", 18, 0, labels=True),
    Mix("12 numeric + 6 categorical, and labels", 12, 6, labels=True),
    Mix("12 numeric + 6 categorical, 3 segments of 21, and labels", 12, 6, segments=3, labels=True),
)


SMOKE = ("--events", "1000", "--repeats", "1", "--mix", "18 numeric")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--events", default=400_000, show_default=True, help="A multiple of 2,000.")
@click.option("--repeats", default=3, show_default=True)
@click.option(
    "--mix",
    "chosen",
    multiple=True,
    type=click.Choice([mix.name for mix in MIXES]),
    help="Only this one; repeatable.",
)
def main(events: int, repeats: int, chosen: tuple[str, ...]) -> None:
    """Measure, print a table, write benchmarks/results/counting.json."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        for place, mix in enumerate(mix for mix in MIXES if not chosen or mix.name in chosen):
            prefix = f"bench-{place}"
            predictions = events // 2 if mix.labels else events
            ids = publish(server.url, prefix, predictions, mix)
            if mix.labels:
                tell(server.url, prefix, ids)
            bare, worker = [], []
            for repeat in range(repeats):
                bare.append(_measured(bare_loop, server.url, prefix, events, repeat))
                worker.append(
                    _measured(
                        partial(whole_worker, detectors=mix.detectors, part=mix.part),
                        server.url,
                        prefix,
                        events,
                        repeat,
                    )
                )
            yardstick, ours = statistics.median(bare), statistics.median(worker)
            said = f"the worker, {'everything' if mix.detectors else 'all else'} on"
            rows += [_row(mix, BARE, yardstick, yardstick), _row(mix, said, ours, yardstick)]
            _clear(server.url, prefix)
    other = whylogs_profiles(events)
    if other is not None:
        said = "whylogs, from memory, no stream, no drift"
        rows.append(_row(MIXES[0], said, other, float(rows[0]["events/CPU s"])))
    write("counting", f"{events:,} events, median of {repeats}", rows)


def publish(url: str, prefix: str, events: int, mix: Mix) -> list[str]:
    """Fill a log, and publish its version; return the ids of the predictions."""
    numeric, categorical, segments = mix.numeric, mix.categorical, mix.segments
    spacing_ms = SPACING_MS[mix.pace]
    random = np.random.default_rng(0)
    schema = Schema(
        (
            *(Feature(f"n{i}", "numeric", nullable=True) for i in range(numeric)),
            *(Feature(f"c{i}", "categorical", nullable=True) for i in range(categorical)),
        ),
        segments=tuple(f"c{i}" for i in range(segments)),
    )
    reference: list[Column] = _columns(random, 20_000, numeric, categorical)
    profile = build_profile(schema, reference, random.normal(size=20_000))
    version = PublishedVersion(
        new_manifest(MODEL, "1.0.0", "monitor", labels=mix.labels), schema, profile
    )
    client, keys = connect(url), Keys(prefix)
    client.hset(keys.versions(MODEL), "1.0.0", version.pack())
    client.sadd(keys.models, MODEL)
    rows = list(
        zip(
            *(
                np.asarray(column).tolist()
                for column in _columns(random, events, numeric, categorical)
            ),
            strict=True,
        )
    )
    predictions = random.normal(size=events).round(4).tolist()
    first_ms = time.time_ns() // 1_000_000 - int(events * spacing_ms)
    ids = [new_id() for _ in range(events)]
    for start in range(0, events, 5000):
        pipe = client.pipeline(transaction=False)
        for i in range(start, min(start + 5000, events)):
            event = Prediction(
                id=ids[i],
                version="1.0.0",
                time=first_ms + int(i * spacing_ms),
                features=list(rows[i]),
                prediction=predictions[i],
                latency_ms=1.5,
            )
            pipe.execute_command(
                "XADD",
                keys.log(MODEL, 0),
                "*",
                "t",
                PREDICTION,
                "p",
                "bench",
                "s",
                i + 1,
                "e",
                encode(event),
            )
        pipe.execute()
    client.close()
    return ids


def tell(url: str, prefix: str, ids: list[str]) -> None:
    """Append a label of each prediction, in random order."""
    client, key = connect(url), Keys(prefix).log(MODEL, 0)
    random = np.random.default_rng(1)
    order, truths, now = (
        random.permutation(len(ids)).tolist(),
        random.normal(size=len(ids)).tolist(),
        time.time_ns(),
    )
    for start in range(0, len(ids), 5000):
        pipe = client.pipeline(transaction=False)
        for place in range(start, min(start + 5000, len(ids))):
            payload = encode(Label(ids[order[place]], truths[place], now // 1_000_000))
            pipe.execute_command(
                "XADD", key, "*", "t", LABEL, "p", "labels", "s", place + 1, "e", payload
            )
        pipe.execute()
    client.close()


def bare_loop(url: str, prefix: str, events: int, _repeat: int) -> float:
    """Read and decode everything; return events a CPU second."""
    client, key = raw_reads(connect(url, single_connection_client=True)), Keys(prefix).log(MODEL, 0)
    decoders = {
        kind: msgspec.json.Decoder(event).decode_lines
        for kind, event in ((PREDICTION, Prediction), (LABEL, Label))
    }
    gc.disable()
    offset, done, started = "0-0", 0, time.process_time()
    while done < events:
        reply: Any = client.execute_command("XREAD", "COUNT", 1000, "STREAMS", key, offset)
        entries = reply[0][1]
        decoders[entries[0][1][1]](b"\n".join([entry[1][7] for entry in entries]))
        offset = entries[-1][0]
        done += len(entries)
    return events / (time.process_time() - started)


def whole_worker(
    url: str, prefix: str, events: int, repeat: int, *, detectors: bool, part: Part
) -> float:
    """Run a worker until the committed checkpoint has everything; return events a CPU second."""
    client, keys = connect(url), Keys(prefix)
    kept = {keys.log(MODEL, 0), keys.versions(MODEL), keys.models}
    for key in [name.decode() for name in client.scan_iter(f"{prefix}:*")]:
        if key not in kept:
            client.delete(key)
    gc.set_threshold(*COLLECTED)  # as the command does
    settings = read_settings(redis_url=url, key_prefix=prefix, detectors=None if detectors else ())
    worker = Worker(settings, part=part)
    thread = threading.Thread(target=worker.run, name=f"worker-{repeat}")
    thread.start()
    first = _reached(client, keys, int(events * WARM))
    started = time.process_time()
    last = _reached(client, keys, events)
    used_s = time.process_time() - started
    worker.stop.set()
    thread.join()
    client.close()
    return (last - first) / used_s


def _reached(client: redis.Redis, keys: Keys, events: int) -> int:
    """Wait until so many events are committed; return how many are."""
    while True:
        packed: Any = client.hget(keys.count(MODEL, 0), counters.FIELD)
        found = msgspec.json.decode(packed, type=Counters) if packed else Counters()
        counted = found.events + found.labels.joined
        if counted >= events:
            return counted
        time.sleep(LOOK_S)


def whylogs_profiles(events: int) -> float | None:
    """Profile the rows of the first mix with whylogs; return events a CPU second, None if it is not
    installed.
    """
    if importlib.util.find_spec("whylogs") is None:
        return None
    why = importlib.import_module("whylogs")
    columns = _columns(np.random.default_rng(0), events, 18, 0)
    frame = pd.DataFrame({f"n{place}": column for place, column in enumerate(columns)})
    why.log(frame[: events // 10])
    started = time.process_time()
    why.log(frame)
    return events / (time.process_time() - started)


def _row(mix: Mix, loop: str, rate: float, yardstick: float) -> ResultRow:
    return ResultRow(
        {
            "features": mix.name,
            "loop": loop,
            "pace": mix.pace,
            "events/CPU s": round(rate),
            "ratio": round(rate / yardstick, 3),
        }
    )


def _clear(url: str, prefix: str) -> None:
    """Delete the keys of a mix, so that the server holds one at a time."""
    client = connect(url)
    client.delete(*client.scan_iter(f"{prefix}:*"))
    client.close()


def _measured(measure: Callable[[str, str, int, int], float], *arguments: Any) -> float:
    """Run a measurement in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def _columns(
    random: np.random.Generator, rows: int, numeric: int, categorical: int
) -> list[Column]:
    numbers: list[Column] = [random.normal(size=rows).round(4) for _ in range(numeric)]
    names = np.array([f"category-{i}" for i in range(30)], dtype=object)
    return numbers + [names[random.integers(0, len(names), rows)] for _ in range(categorical)]


if __name__ == "__main__":
    main()
