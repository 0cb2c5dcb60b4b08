"""Backtests of an archive: a year of predictions is read, counted and judged, beside pyarrow that
only reads the same rows.

    python -m benchmarks.scale.backtesting [--rows N] [--days D] [--repeats R]

The archive has a file a day, as `driftgauge archive compact` leaves it, of 18 features, and a label
of every tenth prediction. It is counted by the detectors that are on by default, and judged by one
policy. What counts is the CPU time of this process, the median of some runs. The yardstick reads
the columns of the same files into tables, by pyarrow alone, on one core.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import pyarrow.parquet as pq

from benchmarks.results import ResultRow, write
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.offline.archived.backtesting import Known
from driftgauge.consumer.running.settled import counting_policy, judging_policy
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.writing import write_groups
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.settings import read_settings

MODEL: Final = "bench"
DAY_MS: Final = 86_400_000
START_MS: Final = 1_735_689_600_000
"""2025-01-01, in ms."""
CITIES: Final = [f"city{number}" for number in range(50)]
MIXES: Final = {"18 numeric": (18, 0), "12 numeric, 6 categorical": (12, 6)}
SMOKE = ("--rows", "3000", "--days", "2", "--repeats", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--days", default=365, show_default=True)
@click.option("--repeats", default=1, show_default=True)
def main(rows: int, days: int, repeats: int) -> None:
    """Measure, print a table, write benchmarks/results/backtesting.json."""
    found: list[ResultRow] = []
    for mix, features in MIXES.items():
        with tempfile.TemporaryDirectory() as folder:
            version = _version(*features)
            number = _archive(FolderStore(Path(folder)), version, rows, days)
            panes: list[int] = []
            ours, alone = (
                statistics.median(_seconds(work) for _ in range(repeats))
                for work in (
                    lambda: panes.append(_backtest(Path(folder), version)),  # noqa: B023  it is called here
                    lambda: _read(Path(folder)),
                )
            )
        found.append(
            {
                "features": mix,
                "rows": number,
                "panes": panes[-1],
                "CPU s": round(ours, 2),
                "rows/CPU s": round(number / ours),
                "pyarrow reads alone, CPU s": round(alone, 2),
                "ratio": round(ours / alone, 1),
            }
        )
    write("backtesting", f"{rows:,} rows of {days} days, a label of every tenth", found)


def _version(numeric: int, categorical: int) -> PublishedVersion:
    numbers = [Feature(f"x{place}", "numeric") for place in range(numeric)]
    texts = [Feature(f"c{place}", "categorical") for place in range(categorical)]
    schema = Schema((*numbers, *texts), "numeric")
    columns: list[Column] = [np.array(one) for one in _columns(schema, 5000, 0)]
    profile = build_profile(schema, columns, np.random.default_rng(1).normal(size=5000))
    manifest = new_manifest(MODEL, "1.0.0", task="regression", labels=True)
    return PublishedVersion(manifest, schema, profile)


def _columns(schema: Schema, number: int, seed: int) -> list[Any]:
    random = np.random.default_rng(seed)
    return [
        random.normal(size=number)
        if feature.kind == "numeric"
        else np.array(CITIES, dtype=object)[random.integers(0, len(CITIES), number)]
        for feature in schema.features
    ]


def _archive(store: FolderStore, version: PublishedVersion, number: int, days: int) -> int:
    """Write a year as the worker would, a cut a day; return the number of rows."""
    each = number // days
    end = f"{START_MS}-0"
    for day in range(days):
        begin, end = end, f"{START_MS + (day + 1) * DAY_MS}-0"
        random = np.random.default_rng(day)
        ms = START_MS + day * DAY_MS + 1 + np.sort(random.integers(0, DAY_MS - 20_000, each))
        columns = [one.tolist() for one in _columns(version.schema, each, day)]
        told = zip(ms.tolist(), zip(*columns, strict=True), random.normal(size=each), strict=True)
        events = [
            Prediction(f"{day}-{place}", "1.0.0", at, list(features), float(made), 1.5)
            for place, (at, features, made) in enumerate(told)
        ]
        rows = Rows(0)
        rows.add_predictions(version.schema, events, ms, np.zeros(each, np.int64))
        chosen = events[::10]
        rows.add_labels(
            [Label(one.id, 0.5, one.time + 9000) for one in chosen],
            ms[::10] + 9000,
            np.ones(len(chosen), np.int64),
        )
        write_groups(store, MODEL, 0, (begin, end), rows.groups(), lambda: None)
    return each * days


def _backtest(folder: Path, version: PublishedVersion) -> int:
    """Count and judge the archive; return the number of panes."""
    settings = read_settings(redis_url=None)
    versions = {"1.0.0": JudgedVersion.of(version)}
    past = Known({"1.0.0": version}).past(
        counting_policy(settings, 0, 1), FolderStore(folder), Range(MODEL), click.echo
    )
    judged = rejudge(past.panes(), MODEL, versions, [judging_policy(settings, 1)])
    return sum(isinstance(entry, Pane) for entry, _ in judged)


def _read(folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        pq.read_table(file, use_threads=False)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
