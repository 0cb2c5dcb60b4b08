"""Real rows in their real order: false episodes of replay thresholds, and what they still find.

    python -m benchmarks.detection.ordered [--quick] [--data FOLDER]

- Permuted weeks: the weeks of a year in random order; the first 16 are the reference, the others
  the stream. Nothing drifts beyond what weeks do, so every episode is false.
- Real order: 16 weeks are the reference, what follows is the stream. From a random day on one
  continuous feature moves by .5 standard deviations; found if its own alarm, off before, is on
  within 7 days; beside it the same without a shift.
- Integrity in real order: from a random moment on 10 % of one feature's values are missing, or 2 %
  are a category that was never seen; events until integrity's alarm, in windows of 2,000 events
  evaluated every 25.

Results of a prototype are beside ours. Injection and scoring are here, outside product code.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import numpy as np
import pandas as pd
from rich.progress import track

from benchmarks.results import ResultRow, write
from driftgauge.consumer.judging.evaluating import integrity
from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.day_bins import DayBins, week_rows
from driftgauge.consumer.judging.ordered.days import DAY_MS, timeline_of
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.ordered.replay_threshold import episodes, rate, relative, weekly
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.models.steel.features import CALENDAR, engineer, read_raw
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.calibration import Calibration, Timeline
from driftgauge.shared.reference.frames import columns_of, infer
from driftgauge.shared.reference.profile import Column, NumericReference, ReferenceProfile
from driftgauge.shared.reference.schema import Schema

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REFERENCE_WEEKS = 16
SHIFT_SD = 0.5
DISTINCT = 50
"""A feature with fewer distinct values is not shifted: any step away from its atoms is found."""
STEP_EVENTS = 25
MEASURED = {
    "steel": {
        "episodes": ".92",
        "alarm": "22 %",
        "found": "100 %",
        "calm": "8 %",
        "missing": "56",
        "unseen": "296",
    },
    "bike": {
        "episodes": "1.22",
        "alarm": "16 %",
        "found": "54 %",
        "calm": "10 %",
        "missing": "-",
        "unseen": "-",
    },
}
"""Results of a prototype; steel's events to an integrity alarm are for real order."""


@dataclass(frozen=True)
class Rows:
    """A file in time order: schema, columns, times (ms)."""

    schema: Schema
    columns: tuple[Column, ...]
    times: Ints

    def part(self, first_day: int, last_day: int) -> "Rows":
        """Return the rows of some days, counted from the first row's."""
        start = int(self.times[0]) // DAY_MS
        first, last = np.searchsorted(
            self.times // DAY_MS, (start + first_day, start + last_day)
        ).tolist()
        return Rows(
            self.schema,
            tuple(values[first:last] for values in self.columns),
            self.times[first:last],
        )

    @property
    def days(self) -> int:
        return int(self.times[-1] // DAY_MS - self.times[0] // DAY_MS)


@cache
def steel(folder: Path) -> Rows:
    """Return the steel model's features and the load type as a category."""
    raw = read_raw(folder / "steel.csv")
    frame = engineer(raw).drop(columns=list(CALENDAR)).assign(load=raw["Load_Type"])
    return _rows(frame, raw["time"])


@cache
def bike(folder: Path) -> Rows:
    """Return what is measured, and the weather as a category."""
    raw = pd.read_csv(folder / "bike_sharing_hour.csv")
    frame = raw[["temp", "atemp", "hum", "windspeed", "casual", "registered"]].astype(float)
    frame = frame.assign(weather=raw["weathersit"].astype(str))
    return _rows(frame, pd.to_datetime(raw["dteday"]) + pd.to_timedelta(raw["hr"], unit="h"))


def _rows(frame: pd.DataFrame, times: pd.Series) -> Rows:
    schema = infer(frame)
    return Rows(
        schema,
        tuple(columns_of(frame, schema)),
        times.to_numpy(dtype="datetime64[ms]").astype(np.int64),
    )


def profile_of(rows: Rows) -> ReferenceProfile:
    return build_profile(rows.schema, list(rows.columns), None)


def timeline(profile: ReferenceProfile, rows: Rows) -> Timeline:
    cells: list[Ints | None] = [
        column.cells(values) for column, values in zip(profile.columns, rows.columns, strict=True)
    ]
    return timeline_of(profile, cells, rows.times)


def permuted(rows: Rows, seed: int) -> Rows:
    """Return the rows with their weeks in random order."""
    random = np.random.default_rng(seed)
    order = random.permutation(rows.days // 7)
    parts = [rows.part(7 * week, 7 * week + 7) for week in order.tolist()]
    shift = [(place - week) * 7 * DAY_MS for place, week in enumerate(order.tolist())]
    columns = tuple(
        np.concatenate(values).tolist() if isinstance(values[0], list) else np.concatenate(values)
        for values in zip(*(part.columns for part in parts), strict=True)
    )
    times = np.concatenate([part.times + moved for part, moved in zip(parts, shift, strict=True)])
    return Rows(rows.schema, columns, times)


def permuted_weeks(rows: Rows, seed: int) -> tuple[float, float, float]:
    """Return false episodes per 30 days, share of time in alarm, and what the calibration had said
    of the rate.
    """
    mixed = permuted(rows, seed)
    reference, stream = (
        mixed.part(0, 7 * REFERENCE_WEEKS),
        mixed.part(7 * REFERENCE_WEEKS, 7 * (rows.days // 7)),
    )
    profile = profile_of(reference)
    made = calibrated(profile, timeline(profile, reference), seed=seed)
    scores = relative(*_judged(profile, made, stream), 0.0)
    began, alarm = episodes(scores[None])
    return rate(began, len(scores)), float(alarm[0]), made.realised or 0.0


def real_order(rows: Rows, seed: int) -> tuple[bool, bool, bool]:
    """Tell whether a feature was in alarm before, and within the 7 days after, with a shift and
    without.
    """
    random = np.random.default_rng(seed)
    origin = int(random.integers(0, rows.days - 7 * REFERENCE_WEEKS - 28))
    reference = rows.part(origin, origin + 7 * REFERENCE_WEEKS)
    stream = rows.part(origin + 7 * REFERENCE_WEEKS, origin + 7 * REFERENCE_WEEKS + 21)
    profile = profile_of(reference)
    made = calibrated(profile, timeline(profile, reference), seed=seed)
    place = int(random.choice(_continuous(rows)))
    late = stream.times >= stream.times[0] // DAY_MS * DAY_MS + 7 * DAY_MS
    column = profile.columns[place]
    assert isinstance(column, NumericReference)
    values = np.where(
        late, np.asarray(stream.columns[place]) + SHIFT_SD * (column.sd or 0), stream.columns[place]
    )
    shifted = Rows(
        rows.schema, (*stream.columns[:place], values, *stream.columns[place + 1 :]), stream.times
    )
    found = []
    for tried in (shifted, stream):
        psi, thresholds = _judged(profile, made, tried)
        found.append(bool((psi[1:8, place] > thresholds[place]).any()))
    return bool(psi[0, place] > thresholds[place]), found[0], found[1]


def _judged(profile: ReferenceProfile, made: Calibration, stream: Rows) -> tuple[Floats, Floats]:
    """Return the PSI of every 7 whole days of a stream, and the thresholds; infinite for a column
    without one.
    """
    bins = DayBins.of(profile, week_rows(made.timeline))
    days = timeline(profile, stream)
    psi = bins.psi(bins.pool(made.timeline.totals), weekly(bins.pool(days.counts)))
    return psi, np.array(
        [np.inf if found.threshold is None else found.threshold for found in made.features]
    )


def _continuous(rows: Rows) -> list[int]:
    return [
        place
        for place, values in enumerate(rows.columns)
        if not isinstance(values, list) and len(np.unique(values)) >= DISTINCT
    ]


def integrity_delay(rows: Rows, seed: int, rule: integrity.Rule) -> int:
    """Return events until integrity's alarm after 10 % became missing, or 2 % a new category, in
    real order.
    """
    random = np.random.default_rng(seed)
    origin = int(random.integers(0, rows.days - 7 * REFERENCE_WEEKS - 60))
    reference = rows.part(origin, origin + 7 * REFERENCE_WEEKS)
    profile = profile_of(reference)
    made = calibrated(profile, timeline(profile, reference), seed=seed)
    place = (
        len(rows.columns) - 1 if rule == "unseen" else int(random.integers(len(rows.columns) - 1))
    )
    version = JudgedVersion(rows.schema, profile, made)
    law = next(check.law for check in version.checks if (check.column, check.rule) == (place, rule))
    per_day = len(rows.times) / rows.days
    alpha = levels(JudgingPolicy(), per_day, len(rows.columns)).integrity
    broken = np.cumsum(random.random(20_000) < (0.02 if rule == "unseen" else 0.1))
    policy = JudgingPolicy()
    for events in range(STEP_EVENTS, len(broken), STEP_EVENTS):
        window = min(events, policy.window_events)
        count = broken[events - 1] - (broken[events - window - 1] if events > window else 0)
        if count >= integrity.limit(law, policy.window_events, alpha):
            return events
    return len(broken)


def mean(values: list[float]) -> str:
    """Return a mean with its 95 % confidence interval, normal."""
    half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{np.mean(values):.2f} ± {half:.2f}"


def share(found: list[bool]) -> str:
    """Return a share with its 95 % confidence interval (Wilson)."""
    n, p, z = len(found), float(np.mean(found)), 1.96
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    return f"{p:.0%} ({low:.0%} to {high:.0%})"


def tables(seeds: int, folder: Path = DATA) -> list[ResultRow]:
    """Measure both files."""
    rows_found: list[ResultRow] = []
    for name, rows in (("steel", steel(folder)), ("bike", bike(folder))):
        permuted = [
            permuted_weeks(rows, seed) for seed in track(range(seeds), f"{name}: permuted weeks")
        ]
        shifts = [real_order(rows, seed) for seed in track(range(3 * seeds), f"{name}: real order")]
        missing = [integrity_delay(rows, seed, "missing") for seed in range(seeds)]
        unseen = [integrity_delay(rows, seed, "unseen") for seed in range(seeds)]
        figures = {
            "episodes": (
                "permuted weeks, false episodes per 30 days",
                mean([one for one, _, _ in permuted]),
            ),
            "alarm": (
                "permuted weeks, share of time in alarm",
                mean([one for _, one, _ in permuted]),
            ),
            "realised": (
                "what the calibration said of the rate",
                mean([one for _, _, one in permuted]),
            ),
            "before": (
                "real order, in alarm before the shift",
                share([before for before, _, _ in shifts]),
            ),
            "found": (
                "real order, .5 sd found within 7 days",
                share([found for before, found, _ in shifts if not before]),
            ),
            "calm": (
                "real order, no shift: alarm within 7 days",
                share([calm for before, _, calm in shifts if not before]),
            ),
            "missing": ("10 % missing, median events to alarm", f"{np.median(missing):.0f}"),
            "unseen": ("2 % new category, median events to alarm", f"{np.median(unseen):.0f}"),
        }
        rows_found += [
            {
                "data": name,
                "figure": said,
                "measured": value,
                "prototype": MEASURED[name].get(key, "-"),
            }
            for key, (said, value) in figures.items()
        ]
    return rows_found


SMOKE = ("--seeds", "1")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--quick", is_flag=True, help="5 seeds.")
@click.option("--seeds", default=40, show_default=True)
@click.option(
    "--data", type=click.Path(path_type=Path), default=DATA, help="Folder of the public files."
)
def main(data: Path, seeds: int, *, quick: bool) -> None:
    """Measure, print a table, write benchmarks/results/ordered.json."""
    if not data.is_dir():
        raise click.ClickException(
            f"The real data are not there: {data}. Put steel.csv and bike_sharing_hour.csv into it."
        )
    seeds = 5 if quick else seeds
    write(
        "ordered",
        f"{REFERENCE_WEEKS} weeks of reference, {seeds} seeds (real order: {3 * seeds})",
        tables(seeds, data),
    )


if __name__ == "__main__":
    main()
