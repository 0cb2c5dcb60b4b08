"""Archiving: predictions a CPU second from a log in a real Redis to Parquet files, beside pyarrow's
own writer on the same rows, which are tables in memory there.

    python -m benchmarks.scale.archiving [--events N] [--repeats R]

The stage reads and decodes the log, leaves out what was not counted, gives the values the types of
the schema, writes files of 100,000 rows with checksums and manifests, and commits. There are two
yardsticks: pyarrow's writer alone, which gets the tables that the stage wrote, from memory; and
pyarrow's own reader of JSON lines with that writer, on the same rows as text, as they stand in a
log. What counts is the CPU time of this process, the median of some runs. Then the panes of as many
predictions, 250 each, are archived by their own stage: a core's time and bytes of each.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import redis

from benchmarks.results import ResultRow, write
from driftgauge.consumer.commands.worker import COLLECTED
from driftgauge.consumer.stages.archiving.archiving import Archiving
from driftgauge.consumer.stages.archiving.panes import Panes
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.writing import parquet
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.events import PREDICTION, Prediction, encode
from driftgauge.shared.contract.keys import FORMAT, FORMAT_FIELD, Keys
from driftgauge.shared.contract.pane import FIELD, Block, Pane, pack_counts
from driftgauge.shared.contract.pane import encode as encode_pane
from driftgauge.shared.identifiers import new_id
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.settings import Settings, read_settings

MODEL: Final = "bench"
CUT: Final = 100_000
PANE: Final = 250
"""Predictions of a pane."""
CITIES: Final = [f"city{number}" for number in range(50)]
MIXES: Final = {"18 numeric": (18, 0), "12 numeric, 6 categorical": (12, 6)}
SMOKE = ("--events", "3000", "--repeats", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--events", default=300_000, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(events: int, repeats: int) -> None:
    """Measure, print a table, write benchmarks/results/archiving.json."""
    gc.freeze()  # as the command does
    gc.set_threshold(*COLLECTED)
    rows: list[ResultRow] = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        client = raw_reads(connect(server.url))
        for mix, (numeric, categorical) in MIXES.items():
            schema = schema_of(numeric, categorical)
            keys = Keys(f"b{numeric}")
            profile = _fill(client, keys, schema, events)
            settings = read_settings(
                redis_url=server.url, key_prefix=keys.prefix, lease_ms=600_000, archive_rows=CUT
            )
            places = [Path(folder) / f"{numeric}-{place}" for place in range(repeats)]
            ours = [_archive(client, settings, keys, place, events) for place in places]
            tables = _tables(places[0], events)
            size = sum(file.stat().st_size for file in places[0].rglob("*.parquet"))
            lines = _lines(schema, events)
            panes = _panes(profile, schema, events)
            pane_s, pane_bytes = _archive_panes(
                client, settings, keys, Path(folder) / f"{numeric}-panes", panes
            )
            rate, alone, json = (
                events / statistics.median(found)
                for found in (
                    ours,
                    [_seconds(partial(_write, tables)) for _ in range(repeats)],
                    [_seconds(partial(_write_json, lines)) for _ in range(repeats)],
                )
            )
            rows.append(
                {
                    "features": mix,
                    "rows/CPU s": round(rate),
                    "writer alone": round(alone),
                    "ratio": round(rate / alone, 2),
                    "pyarrow from JSON": round(json),
                    "ratio to JSON": round(rate / json, 2),
                    "bytes a row": round(size / events),
                    "CPU ms a pane": round(1000 * pane_s / len(panes), 2),
                    "bytes a pane": round(pane_bytes / len(panes)),
                }
            )
        client.close()
    write("archiving", f"{events:,} predictions, files of {CUT:,} rows, zstd", rows)


def schema_of(numeric: int, categorical: int) -> Schema:
    """Return a schema of so many features."""
    numbers = [Feature(f"x{place}", "numeric") for place in range(numeric)]
    texts = [Feature(f"c{place}", "categorical") for place in range(categorical)]
    return Schema((*numbers, *texts), "numeric")


def rows_of(schema: Schema, number: int) -> Iterator[list[Any]]:
    """Yield rows, the same each time."""
    random = np.random.default_rng(0)
    columns = [
        random.normal(size=number).round(4).tolist()
        if feature.kind == "numeric"
        else [CITIES[place] for place in random.integers(0, len(CITIES), number)]
        for feature in schema.features
    ]
    for row in zip(*columns, strict=True):
        yield list(row)


def make_version(schema: Schema) -> PublishedVersion:
    """Return a version whose reference has rows of the schema."""
    columns: list[Column] = [
        np.array(values, dtype=float if feature.kind == "numeric" else object)
        for feature, values in zip(
            schema.features, zip(*rows_of(schema, 1000), strict=True), strict=True
        )
    ]
    profile = build_profile(schema, columns, np.arange(1000.0))
    return PublishedVersion(new_manifest(MODEL, "1.0.0", task="regression"), schema, profile)


def _fill(client: redis.Redis, keys: Keys, schema: Schema, events: int) -> ReferenceProfile:
    """Publish a version, log events, and say that all are counted; return the reference."""
    version = make_version(schema)
    client.hset(keys.versions(MODEL), "1.0.0", version.pack())
    now = int(time.time() * 1000)
    with client.pipeline(transaction=False) as pipe:
        for place, features in enumerate(rows_of(schema, events), 1):
            event = Prediction(new_id(), "1.0.0", now + place // 50, features, 0.5, 1.5)
            fields: dict[Any, Any] = {
                b"t": PREDICTION,
                b"p": b"api",
                b"s": place,
                b"e": encode(event),
            }
            pipe.xadd(keys.log(MODEL, 0), fields, id=f"{now + place // 50}-{place}")
            if place % 5000 == 0 or place == events:
                pipe.execute()
    counted: dict[Any, Any] = {
        FORMAT_FIELD: FORMAT,
        b"offset": f"{now + events // 50}-{events}",
        b"counters": msgspec.json.encode(Counters(events=events)),
    }
    client.hset(keys.count(MODEL, 0), mapping=counted)
    return version.reference


def _archive(
    client: redis.Redis, settings: Settings, keys: Keys, folder: Path, events: int
) -> float:
    """Archive the whole log; return the CPU seconds."""
    client.delete(keys.archive(MODEL, 0), keys.archive_owner(MODEL, 0))
    quick = settings.model_copy(update={"archive_seconds": 1e-9})
    versions = PublishedVersions(client, keys, MODEL)
    stage = Archiving(client, quick, keys, MODEL, 0, FolderStore(folder), versions)
    assert stage.checkpoint.acquire()
    stage.load()

    def work() -> None:
        while stage.archived.predictions < events:
            stage.turn()

    seconds = _seconds(work)
    stage.close()
    return seconds


def _panes(profile: ReferenceProfile, schema: Schema, events: int) -> list[bytes]:
    """Return panes of rows, as counting writes them."""
    now, found = int(time.time() * 1000), []
    rows = list(rows_of(schema, min(events, 50 * PANE)))
    for number in range(1, max(1, events // PANE) + 1):
        place = number * PANE % len(rows)
        values = zip(*(rows[place:] + rows)[:PANE], strict=True)
        columns: list[Column] = [
            np.array(column, dtype=float if feature.kind == "numeric" else object)
            for feature, column in zip(schema.features, values, strict=True)
        ]
        cells = profile.cells([*columns, np.arange(float(PANE))])
        counts = np.bincount(cells.ravel(), minlength=int(profile.offsets[-1]))
        block = Block(PANE, pack_counts(counts), b"", {})
        closed = Pane(0, number, now, now, PANE, number * PANE, None, {"1.0.0": block})
        found.append(encode_pane(closed))
    return found


class _AtOnce(Panes):
    """Reads as many panes at a time as a cut has."""

    entries = Panes.most


def _archive_panes(
    client: redis.Redis, settings: Settings, keys: Keys, folder: Path, panes: list[bytes]
) -> tuple[float, int]:
    """Archive panes; return the CPU seconds, and the bytes of the files."""
    stream, store = keys.panes(MODEL, 0), FolderStore(folder)
    quick = settings.model_copy(update={"archive_seconds": 1e-9})
    versions = PublishedVersions(client, keys, MODEL)
    sink = _AtOnce(client, quick, keys, MODEL, 0, store, versions)
    stage = Follower(client, quick, keys, MODEL, stream, sink, 0)
    assert stage.checkpoint.acquire()
    stage.load()
    for number, packed in enumerate(panes, 1):
        fields: dict[Any, Any] = {FIELD: packed}
        client.xadd(stream, fields, id=f"{number}-0")

    def work() -> None:
        last = f"{len(panes)}-0"
        while client.hget(stage.checkpoint.key, "offset") != last.encode():
            stage.turn()

    seconds = _seconds(work)
    stage.close()
    return seconds, sum(file.stat().st_size for file in folder.glob("panes/**/*.parquet"))


def _tables(folder: Path, events: int) -> list[Any]:
    """Return what was written, as tables of a file's size in memory."""
    table = pa.Table.from_batches(
        list(scan(FolderStore(folder), "predictions", Range(MODEL), click.echo))
    )
    assert table.num_rows == events
    return [table.slice(start, CUT).combine_chunks() for start in range(0, events, CUT)]


def _lines(schema: Schema, events: int) -> list[bytes]:
    """Return the same rows as JSON lines of flat objects, which pyarrow's own reader takes."""
    now = int(time.time() * 1000)
    found = []
    for place, row in enumerate(rows_of(schema, events)):
        named = dict(zip(schema.names, row, strict=True))
        own = {"id": new_id(), "version": "1.0.0", "time": now + place // 50}
        found.append(encode({**own, **named, "prediction": 0.5, "latency_ms": 1.5}))
    return [b"\n".join(found[start : start + CUT]) for start in range(0, events, CUT)]


def _write(tables: list[Any]) -> None:
    for table in tables:
        parquet(table)


def _write_json(lines: list[bytes]) -> None:
    for block in lines:
        pq.write_table(
            pa_json.read_json(pa.BufferReader(block)), pa.BufferOutputStream(), compression="zstd"
        )


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
