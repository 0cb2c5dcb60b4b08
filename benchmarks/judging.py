"""Judging a long time: panes a CPU second of a replay and of a backtest, beside a loop that only
decodes the panes.

    python -m benchmarks.judging [--panes N] [--repeats R] [--data FOLDER]

Steel's rows after its first 16 weeks, which are the reference, in panes of an hour, as a worker
judges them: `advance` over batches, every report encoded as it is written, the checkpoint's fields
packed. With panes of an hour every one of them is reported. The labels come a day late. A backtest
judges the same entries without reports.
"""

import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import msgspec
import numpy as np
import pandas as pd

from benchmarks.results import ResultRow, write
from driftgauge.consumer.counting.advance import advance as count
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.advance import Rejudging, advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.offline.calibrating import parse_times
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.events import LABEL, PREDICTION, Label, Prediction, encode
from driftgauge.shared.contract.pane import Pane
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of, infer, json_values
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MODEL, TARGET, VERSION = "steel", "Usage_kWh", "1.0.0"
KNOWN = 16 * 7 * 96
"""Rows of the reference: 16 weeks of 15 minutes."""
LATE_MS = 86_400_000
BATCH = 256
"""Panes of a step: what a judging stage begins with."""

Packed = list[tuple[str, bytes]]


SMOKE = ("--panes", "20", "--repeats", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option(
    "--panes", default=1000, show_default=True, help="So many, from the first; a year has 6,000."
)
@click.option("--repeats", default=3, show_default=True)
@click.option(
    "--data", type=click.Path(path_type=Path), default=DATA, help="Folder of the public files."
)
def main(panes: int, repeats: int, data: Path) -> None:
    """Measure, print a table, write benchmarks/results/judging.json."""
    if not (data / "steel.csv").is_file():
        raise click.ClickException(f"The real data are not there: {data}. Put steel.csv into it.")
    gc.freeze()  # as a worker does
    rows: list[ResultRow] = []
    for labels in (False, True):
        version, log = labelled_log(data / "steel.csv", labels=labels)
        entries = panes_of(version, log, panes)
        loops = {
            "bare: decode the panes": partial(bare, entries),
            "replay: alerts and reports": partial(replay, entries, version),
            "backtest: alerts alone": partial(backtest, entries, version),
        }
        rates = {
            name: statistics.median(_rate(loop, panes) for _ in range(repeats))
            for name, loop in loops.items()
        }
        yardstick = next(iter(rates.values()))
        rows += [
            {
                "labels": "a day late" if labels else "none",
                "loop": name,
                "panes/CPU s": round(rate),
                "ratio": round(rate / yardstick, 4),
            }
            for name, rate in rates.items()
        ]
    write("judging", f"steel, {panes:,} panes of an hour, median of {repeats}", rows)


def labelled_log(path: Path, *, labels: bool) -> tuple[PublishedVersion, list[Entry]]:
    """Return a calibrated version of the first 16 weeks, and the log of the others; a least-squares
    model predicts.
    """
    frame = pd.read_csv(path)
    features = frame.drop(columns=["date", TARGET])
    truth = frame[TARGET].to_numpy(float)
    numbers = np.column_stack(
        [features.select_dtypes("number").to_numpy(float), np.ones(len(frame))]
    )
    said = numbers @ np.linalg.lstsq(numbers[:KNOWN], truth[:KNOWN], rcond=None)[0]
    schema = infer(features[:KNOWN], {}, pd.Series(said[:KNOWN]), TARGET, nullable=True)
    profile = build_profile(schema, columns_of(features[:KNOWN], schema), said[:KNOWN])
    layout = Layout.of(schema, profile)
    performance = (
        PerformanceReference.of(layout, said[:KNOWN], truth[:KNOWN]) if layout is not None else None
    )
    times, _ = parse_times(frame["date"], str(path))
    values = [*columns_of(features, schema), said]
    cells: list[Ints | None] = [
        column.cells(part[:KNOWN]) for column, part in zip(profile.columns, values, strict=True)
    ]
    version = PublishedVersion(
        new_manifest(MODEL, VERSION, "regression", labels=labels),
        schema,
        profile,
        performance=performance,
        calibration=calibrated(profile, timeline_of(profile, cells, times[:KNOWN])),
    )
    return version, _log(
        times[KNOWN:], [part[KNOWN:] for part in values], truth[KNOWN:] if labels else None
    )


def _log(times: Ints, values: list[Column], truth: Floats | None) -> list[Entry]:
    """Return predictions, the last column, and their labels a day later."""
    *features, said = [json_values(column) for column in values]
    rows = zip(times.tolist(), zip(*features, strict=True), said, strict=True)
    moments = [
        (at, row, PREDICTION, encode(Prediction(f"row-{row}", VERSION, at, list(given), told)))
        for row, (at, given, told) in enumerate(rows)
    ]
    if truth is not None:
        later = (times + LATE_MS).tolist()
        pairs = enumerate(zip(later, truth.tolist(), strict=True))
        moments += [
            (at, row, LABEL, encode(Label(f"row-{row}", label, at))) for row, (at, label) in pairs
        ]
    return [
        (
            f"{at}-{number}".encode(),
            [b"t", kind, b"p", b"file", b"s", str(number).encode(), b"e", payload],
        )
        for number, (at, _, kind, payload) in enumerate(sorted(moments, key=lambda one: one[:3]), 1)
    ]


def panes_of(version: PublishedVersion, log: list[Entry], most: int) -> Packed:
    """Count the log; return the entries of its first panes as they are stored."""
    labels, performance = version.manifest.labels, version.performance
    cells = CellMap(
        version.schema,
        version.reference,
        version.calibration,
        labels=labels,
        performance=performance,
    )
    state = CountingState()
    packed: Packed = []
    for first in range(0, len(log), 1000):
        batch = columns.read(log[first : first + 1000], cells.decoder)
        for number, place, entry in count(state, batch, {VERSION: cells}, CountingPolicy()).panes:
            if number > most:
                return packed
            packed.append((f"{number}-{place}", pane.encode(entry)))
    raise click.ClickException(f"There are fewer than {most} panes.")


def bare(entries: Packed) -> None:
    """Decode everything: what no judging can do without."""
    for _, packed in entries:
        found = pane.decode(packed)
        for block in found.blocks.values() if isinstance(found, Pane) else ():
            pane.unpack_counts(block.cells)


def replay(entries: Packed, version: PublishedVersion) -> None:
    """Judge in steps, as a stage does."""
    state, versions = JudgingState(), {VERSION: JudgedVersion.of(version)}
    for first in range(0, len(entries), BATCH):
        part = [
            (entry_id, pane.decode(packed)) for entry_id, packed in entries[first : first + BATCH]
        ]
        outputs = advance(state, part, MODEL, versions, JudgingPolicy())
        for alert in outputs.alerts:
            cloud_event(alert)
        for snapshot in outputs.snapshots:
            cloud_event(snapshot)
        for current in outputs.current.values():
            msgspec.json.encode(current)
        state.pack_changed()


def backtest(entries: Packed, version: PublishedVersion) -> None:
    """Judge again without reports."""
    judge = Rejudging(MODEL, {VERSION: JudgedVersion.of(version)}, JudgingPolicy())
    for _, packed in entries:
        judge.take(pane.decode(packed))


def _rate(loop: Callable[[], None], panes: int) -> float:
    began = time.process_time()
    loop()
    return panes / (time.process_time() - began)


if __name__ == "__main__":
    main()
