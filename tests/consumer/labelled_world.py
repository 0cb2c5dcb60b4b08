"""A real file as labelled traffic: a model is fitted on some rows, others are its reference, and
the rest come as a stream whose labels are late, shuffled, partly missing and partly doubled.
Counted and judged by the pure core alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin

from driftgauge.consumer.counting.advance import advance as count
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.judging.advance import advance as judge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.events import Label, Prediction, encode
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.snapshot import Performance, Snapshot
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import NOON

MISSING, DOUBLED = 0.1, 0.05
STEP_MS = 100
TICK = [b"t", b"k"]


@dataclass
class Scored:
    """Rows with what the model says of them, and their labels."""

    features: Floats
    predictions: list[str]
    labels: list[str]
    probabilities: Floats
    groups: list[list[str]] = field(default_factory=list)
    """Values of the segment features, which the model does not see: one list of each row."""


Seen = tuple[int, Performance, int, int]


@dataclass
class World:
    """A fitted model, its published version, and the rows that have not come yet."""

    version: PublishedVersion
    estimator: Any
    features: Floats
    labels: list[str]
    reference_labels: list[str]
    groups: list[list[str]]
    reference: Scored

    @classmethod
    def of(
        cls,
        features: pd.DataFrame,
        labels: list[str],
        estimator: ClassifierMixin,
        fitted: int,
        reference: int,
        groups: pd.DataFrame | None = None,
    ) -> "World":
        """Split shuffled rows into those to fit on, the reference, and the stream; `groups` are
        features that part the rows into segments.
        """
        order = np.random.default_rng(0).permutation(len(labels))
        values, truth = features.to_numpy(dtype=np.float64)[order], [labels[row] for row in order]
        names = [str(name) for name in groups] if groups is not None else []
        parts = groups.to_numpy()[order].tolist() if groups is not None else []
        estimator.fit(values[:fitted], truth[:fitted])  # type: ignore[attr-defined]  # every classifier has it
        schema = Schema(
            (
                *(Feature(str(name), "numeric", nullable=True) for name in features),
                *(Feature(name, "categorical") for name in names),
            ),
            "categorical",
            segments=tuple(names),
            classes=tuple(estimator.classes_.tolist()),  # type: ignore[attr-defined]  # a fitted classifier has them
        )
        held = slice(fitted, fitted + reference)
        known = _scored(estimator, values[held], truth[held], parts[held])
        columns = [
            *values[held].T,
            *([row[place] for row in parts[held]] for place in range(len(names))),
        ]
        profile = build_profile(schema, columns, known.predictions)
        layout = Layout.of(schema, profile)
        assert layout is not None
        performance = PerformanceReference.of_version(
            schema, profile, [*columns, known.predictions], known.labels, known.probabilities
        )
        manifest = new_manifest(
            "real", "1.0.0", "binary" if layout.binary else "multiclass", labels=True
        )
        version = PublishedVersion(manifest, schema, profile, performance=performance)
        rest = slice(fitted + reference, None)
        return cls(version, estimator, values[rest], truth[rest], truth[held], parts[rest], known)

    def stream(
        self, change: Callable[[Floats, list[str]], tuple[Floats, list[str]]] | None = None
    ) -> Scored:
        """Score the rows of the stream, changed before (what the model sees) or after (what comes
        true).
        """
        features, labels = (
            change(self.features.copy(), list(self.labels))
            if change
            else (self.features, self.labels)
        )
        return _scored(self.estimator, features, labels, self.groups)


def _scored(estimator: Any, features: Floats, labels: list[str], groups: list[list[str]]) -> Scored:
    return Scored(
        features,
        estimator.predict(features).tolist(),
        labels,
        estimator.predict_proba(features),
        groups,
    )


@dataclass
class Traffic:
    """The log of a stream: each prediction, then its label some time later, unless it is one of the
    missing.

    `row_of` is the row that a label at each place of the log belongs to, None for a prediction;
    `labels` what it says. A share of `corrected` rows get another label first.
    """

    log: list[Entry] = field(default_factory=list)
    row_of: list[int | None] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, rows: Scored, seed: int = 1, mean_delay_ms: float = 20_000, corrected: float = 0.0
    ) -> "Traffic":
        random = np.random.default_rng(seed)
        moments: list[tuple[float, int, bytes, bytes, str]] = []
        for row, (values, said) in enumerate(
            zip(rows.features.tolist(), rows.predictions, strict=True)
        ):
            at = NOON + row * STEP_MS
            given = rows.probabilities[row].tolist()
            features = [None if value != value else value for value in values]  # noqa: PLR0124  NaN is missing
            features += rows.groups[row] if rows.groups else []
            event = Prediction(f"id{row}", "1.0.0", at, features, said, probabilities=given)  # type: ignore[arg-type]  # floats
            moments.append((at, row, b"p", encode(event), ""))
            if random.random() < MISSING:
                continue
            copies = 2 if random.random() < DOUBLED else 1
            for late in random.exponential(mean_delay_ms, copies):
                true = rows.labels[row]
                if corrected and random.random() < corrected:
                    wrong = rows.labels[row - 1]
                    moments.append(
                        (
                            at + late / 2,
                            row,
                            b"l",
                            encode(Label(f"id{row}", wrong, int(at + late / 2))),
                            wrong,
                        )
                    )
                moments.append(
                    (at + late, row, b"l", encode(Label(f"id{row}", true, int(at + late))), true)
                )
        found = cls()
        for number, (at, row, kind, payload, label) in enumerate(sorted(moments), start=1):
            fields = [b"t", kind, b"p", b"api", b"s", str(number).encode(), b"e", payload]
            found.log.append((f"{int(at)}-{number}".encode(), fields))
            found.row_of.append(row if kind == b"l" else None)
            found.labels.append(label)
        return found


@dataclass
class Run:
    """Counting and judging of a log, step by step."""

    world: World
    pane_events: int = 250
    policy: JudgingPolicy = field(default_factory=JudgingPolicy)
    alerts: list[Alert] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    current: Snapshot | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    """The current one after each chunk."""

    def take(self, traffic: Traffic, chunks: int = 12) -> list[Seen]:
        """Judge the log in chunks, each ended by a tick, so that all labels of closed panes are
        told.

        Returns
        -------
        list of (entries taken, performance, first pane and last pane of the labelled window)
        """
        version = self.world.version
        maps = {
            "1.0.0": CellMap(
                version.schema, version.reference, labels=True, performance=version.performance
            )
        }
        judged, panes = JudgingState(), CountingState()
        seen = []
        for part in np.array_split(np.arange(len(traffic.log)), chunks):
            last = traffic.log[part[-1]][0].split(b"-")
            entries = [traffic.log[place] for place in part] + [
                (last[0] + b"-" + last[1] + b"0", TICK)
            ]
            outputs = count(
                panes, columns.read(entries), maps, CountingPolicy(pane_events=self.pane_events)
            )
            told = [(f"{number}-{place}", entry) for number, place, entry in outputs.panes]
            found = judge(judged, told, "real", {"1.0.0": JudgedVersion.of(version)}, self.policy)
            self.alerts += found.alerts
            self.incidents += found.incidents
            self.current = found.current.get("1.0.0", self.current)
            if self.current is None:
                continue
            assert self.current.performance is not None
            window = judged.labelled["1.0.0"]
            spans = window.spans[0]
            self.snapshots.append(self.current)
            seen.append(
                (int(part[-1]) + 1, self.current.performance, spans[0].first, spans[-1].last)
            )
        return seen
