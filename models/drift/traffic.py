"""The rows of a simulation, in the order in which they are posted, each with what is known of
it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.kinds import Injection, apply
from driftgauge.models.drift.shapes import Shape, amount
from driftgauge.models.drift.source import Source
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.frames import json_values, rows_of
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.reference.schema import Schema

BATCH: Final = 100
"""Rows that are changed by the same strength; no batch spans the beginning of the drift."""


@dataclass(frozen=True)
class SimulatedRow:
    """A row.

    Parameters
    ----------
    features
        By name, as a request has them.
    label
        The true value, None where the source does not know it.
    prediction
        Of a row that is not to be scored, else None.
    changed
        Whether it is of the new world.
    """

    features: dict[str, Value]
    label: Value
    prediction: Value
    drifted: bool


@dataclass(frozen=True)
class DriftSchedule:
    """How many events, from which on they drift, and how."""

    events: int
    start: int
    shape: Shape


def batches(
    source: Source, schema: Schema, injection: Injection, schedule: DriftSchedule, seed: int
) -> Iterator[list[SimulatedRow]]:
    """Give the rows of a simulation."""
    random = np.random.default_rng((seed, 2))
    place = 0
    while place < schedule.events:
        end = min(place + BATCH, schedule.events if place >= schedule.start else schedule.start)
        share, strength = amount(
            schedule.shape, np.arange(place, end), schedule.start, schedule.events - schedule.start
        )
        rows = source.simulator.labelled(end - place)
        plain = _rows(rows, schema, scored=source.scored, drifted=False)
        if place >= schedule.start:
            changed = apply(injection.perturbations(float(strength.mean())), rows, random)
            drawn = random.random(len(share)) < share
            other = _rows(changed, schema, scored=source.scored, drifted=True)
            plain = [
                new if hit else old
                for hit, new, old in zip(drawn.tolist(), other, plain, strict=True)
            ]
        yield plain
        place = end


def _rows(rows: Labelled, schema: Schema, *, scored: bool, drifted: bool) -> list[SimulatedRow]:
    features = rows_of(rows.features, schema, scored=scored)
    has_prediction = not scored and PREDICTION in rows.features.columns
    made: list[Value] = (
        json_values(rows.features[PREDICTION].tolist())
        if has_prediction
        else [None] * len(features)
    )
    labels = json_values(rows.labels)
    return [
        SimulatedRow(given, label, prediction, drifted)
        for given, label, prediction in zip(features, labels, made, strict=True)
    ]
