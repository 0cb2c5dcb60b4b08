"""Incidents: how many false ones against the budget, and what people are told of planted faults.

    python -m benchmarks.detection.incidents [--events N] [--faults] [--data FOLDER]

- False ones: calm.py.
- Planted faults: the demo's steel plant with labels, a fault at a known event; how many incidents
  it becomes, how soon, how often people are told, and the last headline and action.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
import pandas as pd
from rich.progress import track

from benchmarks.detection.calm import NOON, PER_ALARM, Told, entry, in_order, in_random_order, run
from benchmarks.results import ResultRow, write
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.models.common.training import Trained
from driftgauge.models.steel.features import engineer
from driftgauge.models.steel.simulate import DRIFTING_FEATURE, SteelPlant
from driftgauge.models.steel.train import SCHEMA, train
from driftgauge.shared.contract.events import Label, Prediction, encode
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
STEP_MS: Final = 20
DELAY_MS: Final = 4000
"""Of a label after its prediction."""
PLANTED: Final = 3000
"""The event from which on a fault is there."""
LAST: Final = 6000
SMOKE = ("--events", "2000", "--seeds", "1", "--years", "1", "--wide-years", "0", "--no-faults")
"""Arguments of the smallest run, which CI starts."""


# -- planted faults --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A fault: what it does to the features, to the true values, and to the latency (ms)."""

    name: str
    features: Callable[[pd.DataFrame, Trained], None] = lambda _frame, _trained: None
    truth: Callable[[np.ndarray], np.ndarray] = lambda values: values
    latency: float = 5.0


def _shifted(
    feature: str, sd: float, since: int = PLANTED
) -> Callable[[pd.DataFrame, Trained], None]:
    def change(frame: pd.DataFrame, trained: Trained) -> None:
        frame.loc[frame.index >= since, feature] += sd * float(np.std(trained.holdout[feature]))

    return change


def _missing(frame: pd.DataFrame, _: Trained) -> None:
    lost = (frame.index >= PLANTED) & (np.random.default_rng(0).random(len(frame)) < 0.2)
    frame.loc[lost, DRIFTING_FEATURE] = np.nan


def _every(frame: pd.DataFrame, trained: Trained) -> None:
    for name in frame.columns:
        _shifted(str(name), 0.7)(frame, trained)


def _two(frame: pd.DataFrame, trained: Trained) -> None:
    _shifted(DRIFTING_FEATURE, 1.0)(frame, trained)
    _shifted("leading_power_factor", -1.0, PLANTED + 2000)(frame, trained)


FAULTS: Final = (
    Fault("nothing"),
    Fault("one sensor, .5 sd too high", _shifted(DRIFTING_FEATURE, 0.5)),
    Fault("one sensor, 1 sd too low", _shifted(DRIFTING_FEATURE, -1.0)),
    Fault("20 % of one sensor missing", _missing),
    Fault("all sensors, .7 sd too high", _every),
    Fault("two sensors, 2,000 events apart", _two),
    Fault("the concept changes", truth=lambda values: values * 1.3),
    Fault("a slow service", latency=150.0),
    Fault("a slow service and a sensor", _shifted(DRIFTING_FEATURE, 0.5), latency=150.0),
)


def planted() -> Iterator[ResultRow]:
    """Yield what people are told of each fault."""
    trained = train(None, seed=0, rows=20_000)
    profile = build_profile(SCHEMA, columns_of(trained.holdout, SCHEMA), trained.predictions)
    layout = Layout.of(SCHEMA, profile)
    assert layout is not None  # the model predicts
    performance = PerformanceReference.of(
        layout, trained.predictions.tolist(), trained.truth.tolist(), None
    )
    manifest = new_manifest("steel", "1.0.0", "regression", labels=True)
    version = PublishedVersion(manifest, SCHEMA, profile, performance=performance)
    cell_map = CellMap(SCHEMA, profile, labels=True, performance=performance)
    for fault in track(FAULTS, "planted faults"):
        found = run([_log(fault, trained)], version, cell_map, CountingPolicy(), JudgingPolicy())
        yield from _rows(fault, found)


def _log(fault: Fault, trained: Trained) -> list[Entry]:
    rows = SteelPlant(0).rows(LAST)
    clean = engineer(rows)
    frame = clean.copy()
    fault.features(frame, trained)
    predictions = trained.estimator.predict(frame.to_numpy()).tolist()
    truth = rows["Usage_kWh"].to_numpy(dtype=float, copy=True)
    truth[PLANTED:] = fault.truth(truth[PLANTED:])
    moments: list[tuple[int, int, bytes, bytes]] = []
    for place, (row, said) in enumerate(zip(frame.to_numpy().tolist(), predictions, strict=True)):
        at = NOON + STEP_MS * place
        values = [None if value != value else value for value in row]  # noqa: PLR0124  NaN
        late = fault.latency if place >= PLANTED else 5.0
        event = Prediction(f"id{place}", "1.0.0", at, values, said, late)
        moments.append((at, place, b"p", encode(event)))
        label = Label(f"id{place}", float(truth[place]), at + DELAY_MS)
        moments.append((at + DELAY_MS, place, b"l", encode(label)))
    return [
        entry(number, at, kind, payload)
        for number, (at, _, kind, payload) in enumerate(sorted(moments), 1)
    ]


def _rows(fault: Fault, found: Told) -> Iterator[ResultRow]:
    nothing = {
        "fault": fault.name,
        "incidents": len(found.last),
        "alerts": found.alerts,
        "after": "",
        "messages": 0,
        "headline": "",
        "action": "",
    }
    if not found.last:
        yield nothing
    for one in found.last:
        own = [moved for moved in found.incidents if moved.id == one.id]
        yield {
            **nothing,
            "after": round((one.opened - NOON) / STEP_MS) - PLANTED,
            "messages": sum(moved.notify for moved in own),
            "headline": one.headline,
            "action": f"{one.action}: {one.advice}",
        }


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="Of each file, in all.")
@click.option("--seeds", default=20, show_default=True, help="References drawn of each file.")
@click.option("--years", default=40, show_default=True, help="Years of permuted weeks.")
@click.option("--wide-years", default=4, show_default=True, help="Those of 1,000 features.")
@click.option("--faults/--no-faults", default=True, help="Plant faults, too.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=DATA, help="Folder of the public files."
)
def main(events: int, seeds: int, years: int, wide_years: int, data: Path, *, faults: bool) -> None:
    """Measure, print tables, write benchmarks/results/incidents.json and planted_faults.json."""
    title = (
        f"traffic without drift; in random order one false alarm in {PER_ALARM:,} events allowed"
    )
    found = [*in_random_order(data, events, seeds), *in_order(data, years, wide_years)]
    write("incidents", title, found)
    if faults:
        write("planted_faults", f"at event {PLANTED:,} of the steel plant", list(planted()))


if __name__ == "__main__":
    main()
