"""False incidents in traffic that does not drift: rows of real files, through counting and judging
with everything on.

- In random order: whole rows of a file are drawn, so the columns depend on each other as they do
  there. 1,000 features are rows of the files side by side, each drawn by itself. The budget is
  raised, so that many are due: one false alarm in `PER_ALARM` events, at 100,000 events a day.
- In order of time: the weeks of a year in random order, of which the first 16 are the reference, a
  pane a day, at the default budget of one in 30 days. 1,000 features are years side by side, each
  with an order of its own.

An incident may be fewer than its alerts, since alerts of one moment are one incident.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from rich.progress import track
from scipy import stats

from benchmarks.detection.notifications import transitions
from benchmarks.detection.ordered import REFERENCE_WEEKS, Rows, bike, permuted, profile_of, steel
from benchmarks.detection.ordered import timeline as timeline_of
from benchmarks.detection.scoring import TAIL
from benchmarks.detection.traffic import REFERENCE_ROWS, cell_map, read
from benchmarks.results import ResultRow
from driftgauge.consumer.counting.advance import advance as count
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.advance import advance as judge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Prediction, encode
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion

FILES: Final = {
    "steel": "steel.csv",
    "bike": "bike_sharing_hour.csv",
    "credit": "credit_default.csv",
}
NOON: Final = 1_763_640_000_000
DAY_MS: Final = 86_400_000
EVENTS_PER_DAY: Final = 100_000
EVENTS_PER_MONTH: Final = 30 * EVENTS_PER_DAY
PER_ALARM: Final = 20_000
"""Events for one false alarm at the raised budget: ten windows."""
BATCH: Final = 2000
WIDE: Final = 1000
"""Features of a wide model."""
SHARE: Final = 2
"""Part of the events of a file that a wide model gets, which cost as much."""

Value = float | str | None


@dataclass
class Told:
    """What came of a log."""

    alerts: int
    incidents: list[Incident]

    @property
    def last(self) -> list[Incident]:
        """Each incident as it was last."""
        return list({one.id: one for one in self.incidents}.values())


def run(
    batches: Iterable[Sequence[Entry]],
    version: PublishedVersion,
    cells: CellMap,
    counting: CountingPolicy,
    judging: JudgingPolicy,
) -> Told:
    """Count and judge a log, batch after batch."""
    counted, judged, told = CountingState(), JudgingState(), Told(0, [])
    versions = {"1.0.0": JudgedVersion.of(version)}
    for batch in batches:
        read_ = columns.read(batch, cells.decoder)
        panes = count(counted, read_, {"1.0.0": cells}, counting).panes
        entries = [(f"{number}-{place}", pane) for number, place, pane in panes]
        outputs = judge(judged, entries, "real", versions, judging)
        counted.changed.clear()
        judged.changed.clear()
        told.alerts += sum(
            alert.state == "firing" and alert.change == "state" for alert in outputs.alerts
        )
        told.incidents += outputs.incidents
    return told


def entry(number: int, at: int, kind: bytes, payload: bytes) -> Entry:
    """Return an entry of the log."""
    fields = [b"t", kind, b"p", b"api", b"s", str(number).encode(), b"e", payload]
    return f"{at}-{number}".encode(), fields


# -- in random order -------------------------------------------------------------------------------


class Table(NamedTuple):
    """A file: its columns, and its rows as an event has them."""

    columns: list[Column]
    rows: list[list[Value]]

    @classmethod
    def of(cls, path: Path) -> "Table":
        """Read a CSV file."""
        return cls.with_columns(read(path))

    @classmethod
    def with_columns(cls, found: list[Column]) -> "Table":
        """Make the rows of columns."""
        plain = [np.asarray(column, dtype=object).tolist() for column in found]
        cells = [[None if value != value else value for value in column] for column in plain]  # noqa: PLR0124  NaN
        return cls(found, [list(row) for row in zip(*cells, strict=True)])

    def taken(self, rows: Ints) -> list[Column]:
        """Return the columns of some rows."""
        return [
            [column[row] for row in rows.tolist()] if isinstance(column, list) else column[rows]
            for column in self.columns
        ]


def in_random_order(data: Path, events: int, seeds: int) -> Iterator[ResultRow]:
    """Yield the alerts and incidents of drawn rows of each file, of 18 normal features, and of all
    of these side by side; `events` in all for each.
    """
    normal = np.random.default_rng(0).normal(size=(18, 20_000))
    tables = {"normal": Table.with_columns(list(normal))} | {
        name: Table.of(data / file) for name, file in FILES.items() if (data / file).is_file()
    }
    models = {name: ([table], events) for name, table in tables.items()}
    for name, (blocks, number) in {**models, "all": (_wide(tables), events // SHARE)}.items():
        each = -(-number // seeds)
        found = [
            _drawn(blocks, each, seed) for seed in track(range(seeds), f"{name}: random order")
        ]
        features = sum(len(table.columns) for table in blocks)
        due = each * seeds / PER_ALARM
        yield _row(f"{name}, {features:,} features, random order", due, found)


def _wide(tables: dict[str, Table]) -> list[Table]:
    """Return files side by side until they have as many columns as a wide model."""
    found: list[Table] = []
    left = WIDE
    while left:
        for table in tables.values():
            part = Table(table.columns[:left], [row[:left] for row in table.rows])
            found += [part] if left else []
            left -= len(part.columns)
    return found


def _drawn(blocks: list[Table], events: int, seed: int) -> Told:
    random = np.random.default_rng(seed)

    def rows(number: int) -> list[Ints]:
        return [random.integers(0, len(table.rows), number) for table in blocks]

    places = zip(blocks, rows(REFERENCE_ROWS), strict=True)
    cells = cell_map([column for table, place in places for column in table.taken(place)])
    manifest = new_manifest("real", "1.0.0", "monitor")

    def batches() -> Iterator[list[Entry]]:
        for first in range(0, events, BATCH):
            drawn = rows(min(BATCH, events - first))
            parts = [
                [table.rows[place] for place in places.tolist()]
                for table, places in zip(blocks, drawn, strict=True)
            ]
            joined = [list(chain.from_iterable(row)) for row in zip(*parts, strict=True)]
            yield [_event(number, row) for number, row in enumerate(joined, first + 1)]

    budget = EVENTS_PER_MONTH / PER_ALARM
    return run(
        batches(),
        PublishedVersion(manifest, cells.schema, cells.reference),
        cells,
        CountingPolicy(false_alarms_per_month=budget),
        JudgingPolicy(false_alarms_per_month=budget),
    )


def _event(number: int, row: list[Value]) -> Entry:
    at = NOON + number * DAY_MS // EVENTS_PER_DAY
    return entry(number, at, b"p", encode(Prediction(f"id{number}", "1.0.0", at, row, None)))


# -- in order of time ------------------------------------------------------------------------------


def in_order(data: Path, seeds: int, wide_seeds: int) -> Iterator[ResultRow]:
    """Yield the alerts and incidents of permuted weeks of each file, and of many side by side."""
    years = {"steel": steel(data), "bike": bike(data)} if data.is_dir() else {}
    for name, rows in years.items():
        found = [
            _in_weeks(permuted(rows, seed), seed)
            for seed in track(range(seeds), f"{name}: in order")
        ]
        yield _of_weeks(name, len(rows.columns), found)
    if years and wide_seeds:
        seeded = track(range(wide_seeds), "many: in order")
        wide = [_in_weeks(_side_by_side(years["steel"], seed), seed) for seed in seeded]
        yield _of_weeks("steel", WIDE, wide)


def _in_weeks(rows: Rows, seed: int) -> tuple[float, Told]:
    """Return the days that are judged, and what is told in them."""
    known = 7 * REFERENCE_WEEKS
    reference, stream = rows.part(0, known), rows.part(known, rows.days + 1)
    profile = profile_of(reference)
    version = JudgedVersion(
        rows.schema, profile, calibrated(profile, timeline_of(profile, reference), seed=seed)
    )
    found, told = transitions(version, stream), Told(0, [])
    told.incidents = [incident for moved in found for incident in moved.incidents]
    told.alerts = sum(
        alert.state == "firing" and alert.change == "state"
        for moved in found
        for alert in moved.alerts
    )
    return rows.days - known, told


def _side_by_side(rows: Rows, seed: int) -> Rows:
    """Return a year of as many columns as a wide model, of years with an order of their own."""
    copies = -(-WIDE // len(rows.columns))
    parts = [permuted(rows, seed * copies + copy) for copy in range(copies)]
    least = min(len(part.times) for part in parts)
    features = [
        msgspec.structs.replace(feature, name=f"{feature.name}_{copy}")
        for copy in range(copies)
        for feature in rows.schema.features
    ]
    schema = msgspec.structs.replace(rows.schema, features=tuple(features[:WIDE]))
    joined = tuple(column[:least] for part in parts for column in part.columns)
    return Rows(schema, joined[:WIDE], parts[0].times[:least])


def _of_weeks(name: str, features: int, found: list[tuple[float, Told]]) -> ResultRow:
    months = sum(days for days, _ in found) / 30
    told = [one for _, one in found]
    return _row(f"{name}, {features:,} features, permuted weeks", months, told)


def _row(traffic: str, due: float, found: list[Told]) -> ResultRow:
    """Return a row of the table, with the exact interval of a Poisson rate (Garwood 1936)."""
    incidents = sum(len(one.last) for one in found)
    low = stats.chi2.ppf(TAIL, 2 * incidents) / 2 if incidents else 0.0
    high = stats.chi2.ppf(1 - TAIL, 2 * incidents + 2) / 2
    return {
        "traffic": traffic,
        "allowed": round(due, 1),
        "alerts": sum(one.alerts for one in found),
        "incidents": incidents,
        "messages": sum(moved.notify for one in found for moved in one.incidents),
        "of allowed": f"{incidents / due:.2f} ({low / due:.2f}-{high / due:.2f})",
    }
