"""The Log page on an archive of 100 million rows: time to its first rows, over HTTP.

    python -m benchmarks.scale.log_page [--rows N] [--days D] [--requests R] [--folder PATH]

A script makes the archive (long_archive.py), unless it is in the folder already: a file a day, of
18 features, with a label of every tenth prediction. Then the real API is asked, one request after
the other, for the newest rows, for those before a random moment of the last year, and for random
ids; as JSON, as `GET /predictions` gives them, and as the page. The log in Redis is empty, so all
rows come from the archive. Each request is measured with the files in memory, and with the files
dropped from it before. The yardstick is pyarrow, which reads the last row group of the same day's
file whole.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import httpx
import numpy as np
import pyarrow.parquet as pq

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import Fleet, Usage, fleet
from benchmarks.scale.long_archive import DAY_MS, VERSION, make
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.writing import read_head
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

MODEL: Final = "bench"
ROWS: Final = 50
"""Rows of a page."""
YEAR: Final = 365
GOAL_MS: Final = 300
REFERENCE: Final = 2000
SMOKE = ("--rows", "4000", "--days", "4", "--requests", "2")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--rows", default=100_000_000, show_default=True)
@click.option("--days", default=400, show_default=True)
@click.option("--requests", default=50, show_default=True, help="Requests of each kind.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the archive is made and kept; default: a folder that is removed.",
)
def main(rows: int, days: int, requests: int, folder: Path | None) -> None:
    """Measure, print a table, write benchmarks/results/log_page.json."""
    with tempfile.TemporaryDirectory() as own:
        place = folder or Path(own)
        end_ms = archived(place, rows, days)
        files = list(place.rglob("*.parquet"))
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files):,} files, {size / 1e9:.1f} GB")
        with fleet([_version()], ("API",), str(place)) as found:
            asked = list(measure(found, files, end_ms, min(days, YEAR), requests))
    asked = [{"rows": rows, **row} for row in asked]
    write("log_page", f"predictions of {days} days, {size / rows:.0f} bytes each", asked)


def archived(folder: Path, rows: int, days: int) -> int:
    """Make the archive unless it is there; return when it ends, in Unix ms."""
    store = FolderStore(folder)
    head = read_head(store, MODEL, "p0")
    if head is not None:
        return EntryId.parse(head.end).ms
    end_ms = int(time.time() * 1000) // DAY_MS * DAY_MS
    begun = time.process_time()
    made = make(store, MODEL, _schema(), rows, days, end_ms, lambda _: None)
    print(f"{made:,} rows were made in {time.process_time() - begun:.0f} CPU s")
    return end_ms


def measure(
    found: Fleet, files: list[Path], end_ms: int, days: int, requests: int
) -> Iterator[ResultRow]:
    """Ask the API in each way."""
    random = np.random.default_rng(5)
    by_day = sorted(path for path in files if "predictions/" in str(path))

    def moment() -> dict[str, Any]:
        return {"until": int(end_ms - random.integers(0, days * DAY_MS))}

    def name() -> dict[str, Any]:
        path = by_day[int(random.integers(0, len(by_day)))]
        ids = pq.read_table(path, columns=["id"])["id"]
        return {"id": ids[int(random.integers(0, len(ids)))].as_py()}

    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "the newest": dict,
        "before a random moment": moment,
        "by id": name,
    }
    with httpx.Client(base_url=found.url, trust_env=False, timeout=60) as http:
        for way, parameters in ways.items():
            for form in ("JSON", "page"):
                for is_cold in (False, True):
                    yield _row(
                        found, http, files, (way, form), parameters, requests, is_cold=is_cold
                    )
    yield _yardstick(by_day, files, requests, random)


def _row(
    found: Fleet,
    http: httpx.Client,
    files: list[Path],
    what: tuple[str, str],
    parameters: Callable[[], dict[str, Any]],
    requests: int,
    *,
    is_cold: bool,
) -> ResultRow:
    way, form = what
    path = "/predictions" if form == "JSON" else "/dashboard/log"
    took, begun = [], 0.0
    for number in range(requests + 1):
        query = {"model": MODEL, **({"limit": ROWS} if form == "JSON" else {}), **parameters()}
        if "until" in query and form == "page":
            query["until"] = np.datetime_as_string(np.datetime64(query["until"], "ms"))
        if is_cold:
            drop(files)
        if number == 1:  # the first one warms up
            begun = Usage.of(found.pids["API"]).cpu_s
        started = time.perf_counter()
        answer = http.get(path, params=query, headers={"Accept": "text/html"})
        took.append(time.perf_counter() - started)
        assert answer.is_success, answer.text
        rows = len(answer.json()["predictions"]) if form == "JSON" else answer.text.count("<tr>")
        assert rows, answer.text
    cpu = Usage.of(found.pids["API"]).cpu_s - begun
    return _told(f"{way}, {form}", took[1:], cpu / requests, is_cold=is_cold)


def _yardstick(
    by_day: list[Path], files: list[Path], requests: int, random: np.random.Generator
) -> ResultRow:
    took, cpu = [], 0.0
    for _ in range(requests):
        path = by_day[int(random.integers(0, len(by_day)))]
        drop(files)
        started, used = time.perf_counter(), time.process_time()
        opened = pq.ParquetFile(path)
        opened.read_row_group(opened.num_row_groups - 1, use_threads=False)
        took.append(time.perf_counter() - started)
        cpu += time.process_time() - used
    return _told("pyarrow reads a row group", took, cpu / requests, is_cold=True)


def _told(what: str, took: list[float], cpu_s: float, *, is_cold: bool) -> ResultRow:
    times = [1000 * one for one in took]
    return {
        "what": what,
        "files": "dropped before" if is_cold else "in memory",
        "median ms": round(statistics.median(times), 1),
        "p95 ms": round(float(np.percentile(times, 95)), 1),
        "slowest ms": round(max(times), 1),
        "CPU ms": round(1000 * cpu_s, 1),
        "goal ms": GOAL_MS,
    }


def drop(files: list[Path]) -> None:
    """Drop files from the memory of Linux."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _schema() -> Schema:
    numbers = [Feature(f"x{place}", "numeric") for place in range(12)]
    texts = [Feature(f"c{place}", "categorical") for place in range(6)]
    return Schema((*numbers, *texts), "numeric")


def _version() -> PublishedVersion:
    random = np.random.default_rng(0)
    columns: list[Column] = [
        random.normal(size=REFERENCE)
        if feature.kind == "numeric"
        else np.array(random.choice(["city1", "city2"], REFERENCE), dtype=object)
        for feature in _schema().features
    ]
    profile = build_profile(_schema(), columns, random.normal(size=REFERENCE))
    return PublishedVersion(new_manifest(MODEL, VERSION, "monitor"), _schema(), profile)


if __name__ == "__main__":
    main()
