"""Judging without counting: windows and panes made directly of counts."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.pane import Alarm, Block, Pane, PaneEntry, Watermark, pack_counts
from driftgauge.shared.contract.snapshot import Snapshot
from tests.consumer.builders import NOON, cell_map, published, traffic

PUBLISHED = {"1.0.0": published("1.0.0", rows=5000), "2.0.0": published("2.0.0", seed=1, rows=3000)}
VERSIONS = {name: JudgedVersion(found.schema, found.reference) for name, found in PUBLISHED.items()}
MAPS = {name: cell_map(found) for name, found in PUBLISHED.items()}
SIZES = {name: found.size for name, found in MAPS.items()}
NO_LATENCY = pack_counts(np.zeros(64, dtype=np.int64))


def block(version: str, random: np.random.Generator, rows: int, **law: float) -> Block:
    """Draw a version's part of a pane."""
    values = traffic(random, rows, **law)
    predictions = [Prediction("i", version, NOON, row, float(random.normal())) for row in values]  # type: ignore[arg-type]
    cells = np.bincount(MAPS[version].cells(predictions).ravel(), minlength=SIZES[version])
    return Block(rows, pack_counts(cells), NO_LATENCY, {"online": rows})


@dataclass
class Stream:
    """The panes streams of a model, as counting would have written them."""

    random: np.random.Generator
    now: int = NOON
    entries: list[tuple[str, PaneEntry]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    totals: dict[int, int] = field(default_factory=dict)

    def pane(self, blocks: dict[str, Block], seconds: float = 10, partition: int = 0) -> "Stream":
        self.now += int(seconds * 1000)
        number = self.numbers[partition] = self.numbers.get(partition, 0) + 1
        events = sum(part.rows for part in blocks.values())
        self.totals[partition] = self.totals.get(partition, 0) + events
        pane = Pane(
            partition,
            number,
            self.now - 1000,
            self.now,
            events,
            self.totals[partition],
            None,
            blocks,
        )
        self.entries.append((f"{number}-0", pane))
        return self

    def panes(
        self,
        number: int,
        rows: int = 250,
        version: str = "1.0.0",
        seconds: float = 10,
        **law: float,
    ) -> "Stream":
        for _ in range(number):
            self.pane({version: block(version, self.random, rows, **law)}, seconds)
        return self

    def alarm(self, column: str = "smooth", version: str = "1.0.0", delay: int = 100) -> "Stream":
        self.now += 10
        total = self.totals.get(0, 0)
        alarm = Alarm(
            0,
            self.now,
            total,
            version,
            column,
            "adwin",
            delay,
            "mean_rank",
            0.7,
            0.5,
            200,
            "a shift",
        )
        self.entries.append((f"{self.numbers.get(0, 0)}-{len(self.entries) + 1}", alarm))
        return self

    def watermark(self, seconds: float, partition: int = 0) -> "Stream":
        self.now += int(seconds * 1000)
        mark = Watermark(partition, self.now, self.totals.get(partition, 0))
        self.entries.append((f"{self.numbers.get(partition, 0)}-{len(self.entries) + 1}", mark))
        return self


@dataclass
class EvaluatedWindow:
    alerts: list[Alert] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    current: dict[str, Snapshot] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    fields: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def states(self) -> list[tuple[str, str, str]]:
        return [(alert.feature, alert.rule, alert.state) for alert in self.alerts]

    @property
    def open(self) -> list[AlertState]:
        return [alert for alert in self.state().alerts.values() if alert.is_open]

    def state(self) -> JudgingState:
        return JudgingState.unpack(self.fields, SIZES)


def judge(
    entries: Sequence[tuple[str, PaneEntry]],
    policy: JudgingPolicy | None = None,
    cuts: Iterable[int] = (),
    shuffle: np.random.Generator | None = None,
    fields: dict[bytes, bytes] | None = None,
) -> EvaluatedWindow:
    """Judge entries cut into steps, through a checkpoint between any two, its fields in whatever
    order Redis gives them; `fields` is the checkpoint before the first.
    """
    judged = EvaluatedWindow(fields=dict(fields or {}))
    edges = sorted({0, *cuts, len(entries)})
    for first, last in itertools.pairwise(edges):
        names = list(judged.fields)
        if shuffle is not None:
            shuffle.shuffle(names)
        state = JudgingState.unpack({name: judged.fields[name] for name in names}, SIZES)
        outputs = advance(state, entries[first:last], "plant", VERSIONS, policy or JudgingPolicy())
        judged.alerts += outputs.alerts
        judged.incidents += outputs.incidents
        judged.snapshots += outputs.snapshots
        judged.current |= outputs.current
        judged.ended = (judged.ended - outputs.current.keys()) | outputs.ended
        for name, packed in state.pack_changed().items():
            judged.fields[name] = packed
            if not packed:
                del judged.fields[name]
    return judged
