"""Judging of labels without counting: panes and deltas of a classifier, made directly of rows."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.contract.pane import (
    DELAY_EDGES_S,
    Block,
    Delta,
    Pane,
    PaneEntry,
    Revised,
    pack_changes,
    pack_counts,
)
from driftgauge.shared.performance import Layout, PerformanceReference, Sums
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON

CLASSES = ("no", "yes")
SCHEMA = Schema((Feature("x", "numeric"), Feature("y", "numeric")), "categorical", classes=CLASSES)
NAMES = ("1.0.0", "2.0.0")
"""Versions, alike but for what they predict."""
NO_LATENCY = pack_counts(np.zeros(64, dtype=np.int64))
ACCURACY = 0.8
"""Of the reference; a row's score is high where its x is."""


@dataclass
class Rows:
    """Predictions with their labels."""

    values: Floats
    predictions: list[str]
    labels: list[str]
    probabilities: Floats

    def sums(self, layout: Layout, chosen: slice = slice(None)) -> Sums:
        return Sums.of(
            layout, self.predictions[chosen], self.labels[chosen], self.probabilities[chosen]
        )


def rows(
    random: np.random.Generator, number: int, wrong: float = 1 - ACCURACY, shift: float = 0.0
) -> Rows:
    """Draw rows of a model that is wrong for a share of them; `shift` moves a feature that it does
    not use.
    """
    values = random.normal(size=(number, 2))
    values[:, 1] = np.clip(values[:, 1] + shift, -2.5, 2.5)  # never out of the reference's range
    said = values[:, 0] > 0
    true = said ^ (random.random(number) < wrong)
    scores = np.where(said, ACCURACY, 1 - ACCURACY)
    names = np.array(CLASSES)
    return Rows(
        values,
        names[said.astype(int)].tolist(),
        names[true.astype(int)].tolist(),
        np.column_stack([1 - scores, scores]),
    )


def published() -> PublishedVersion:
    known = rows(np.random.default_rng(0), 4000)
    profile = build_profile(SCHEMA, list(known.values.T), known.predictions)
    layout = Layout.of(SCHEMA, profile)
    assert layout is not None
    performance = PerformanceReference.of(
        layout, known.predictions, known.labels, known.probabilities
    )
    return PublishedVersion(
        new_manifest("plant", "1.0.0", "binary", labels=True),
        SCHEMA,
        profile,
        performance=performance,
    )


PUBLISHED = published()
VERSION = JudgedVersion.of(PUBLISHED)
MAP = CellMap(SCHEMA, PUBLISHED.reference, labels=True, performance=PUBLISHED.performance)
assert PUBLISHED.performance is not None
assert PUBLISHED.performance.labels is not None
LABELS = PUBLISHED.performance.labels
LAYOUT = Layout("categorical", CLASSES, scored=True)


@dataclass
class LabelledStream:
    """The panes stream of a model, as counting would have written it; labels come when `label` says
    so.
    """

    random: np.random.Generator
    partition: int = 0
    now: int = NOON
    entries: list[tuple[str, PaneEntry]] = field(default_factory=list)
    rows: dict[int, Rows] = field(default_factory=dict)
    versions: dict[int, str] = field(default_factory=dict)
    deltas: int = 0
    since_pane: int = 0

    def panes(
        self,
        number: int,
        size: int = 250,
        wrong: float = 1 - ACCURACY,
        shift: float = 0.0,
        missing: float = 0.0,
        version: str = "1.0.0",
    ) -> "LabelledStream":
        """Write panes; `missing` is the share of rows without the feature that the model does not
        use.
        """
        for _ in range(number):
            self.now += 10_000
            self.since_pane = 0
            found = rows(self.random, size, wrong, shift)
            place = len(self.rows) + 1
            self.rows[place] = found
            self.versions[place] = version
            lost = round(missing * size)
            events = [
                Prediction(
                    "i",
                    version,
                    self.now,
                    [row[0], None if place_ < lost else row[1]],
                    said,
                    probabilities=given.tolist(),
                )
                for place_, (row, said, given) in enumerate(
                    zip(found.values.tolist(), found.predictions, found.probabilities, strict=True)
                )
            ]
            cells = np.bincount(MAP.cells(events).ravel(), minlength=MAP.size)
            scores = pack_counts(MAP.score_counts(events))
            block = Block(size, pack_counts(cells), NO_LATENCY, {"online": size}, scores)
            total = size * place
            pane = Pane(
                self.partition,
                place,
                self.now - 9000,
                self.now,
                size,
                total,
                None,
                {version: block},
            )
            self.entries.append((f"{place}-0", pane))
        return self

    def label(
        self, panes: Iterable[int], chosen: slice = slice(None), delay_s: float = 60
    ) -> "LabelledStream":
        """Bring the labels of some rows of some panes."""
        revised = []
        for place in panes:
            sums = self.rows[place].sums(LAYOUT, chosen)
            delays = np.zeros(len(DELAY_EDGES_S) + 1, dtype=np.int64)
            delays[np.searchsorted(DELAY_EDGES_S, delay_s)] = sums.rows
            cells = np.bincount(
                LABELS.cells(self.rows[place].labels[chosen]), minlength=len(LABELS.counts)
            )
            packed = pack_counts(delays), sums.pack(), pack_changes(cells)
            revised.append(Revised(place, self.versions[place], sums.rows, 0, *packed))
        return self.revise(revised)

    def revise(self, revised: list[Revised]) -> "LabelledStream":
        self.deltas += 1
        self.since_pane += 1
        self.now += 10
        last = len(self.rows)
        total = sum(len(found.labels) for found in self.rows.values())
        delta = Delta(self.partition, self.now, total, self.deltas, revised)
        self.entries.append((f"{last}-{self.since_pane}", delta))
        return self


def judge_labels(
    entries: Sequence[tuple[str, PaneEntry]],
    policy: JudgingPolicy | None = None,
    cuts: Iterable[int] = (),
    version: JudgedVersion = VERSION,
) -> tuple[Outputs, dict[bytes, bytes]]:
    """Judge entries cut into steps, through a checkpoint between any two; give all outputs, and the
    checkpoint.
    """
    fields: dict[bytes, bytes] = {}
    all_ = Outputs()
    edges = sorted({0, *cuts, len(entries)})
    for first, last in itertools.pairwise(edges):
        state = JudgingState.unpack(fields, dict.fromkeys(NAMES, MAP.size))
        found = advance(
            state,
            entries[first:last],
            "plant",
            dict.fromkeys(NAMES, version),
            policy or JudgingPolicy(),
        )
        all_.alerts += found.alerts
        all_.incidents += found.incidents
        all_.snapshots += found.snapshots
        all_.current |= found.current
        fields = {
            name: packed for name, packed in {**fields, **state.pack_changed()}.items() if packed
        }
    return all_, fields
