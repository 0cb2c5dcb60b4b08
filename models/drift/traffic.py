"""The rows of a simulation in the order in which they are posted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.models.common.perturbations import perturbed
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.injection import Injection
from driftgauge.models.drift.plan import DriftShape
from driftgauge.models.drift.shapes import amount
from driftgauge.models.drift.source import Source
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.frames import json_values, rows_of
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.reference.schema import Schema

BATCH: Final = 100
"""Rows that drift by the same strength; no batch spans the beginning of the drift."""


@dataclass(frozen=True)
class SimulatedRow:
    """One row to post, with what is known of it.

    Parameters
    ----------
    features
        Feature name to value, as a request has them; None for missing.
    label
        The true value; None where the source does not know it.
    prediction
        The prediction of a row that the API is not to score; otherwise None.
    drifted
        True if the row was perturbed.
    """

    features: dict[str, Value]
    label: Value
    prediction: Value
    drifted: bool


@dataclass(frozen=True)
class DriftSchedule:
    """The rows between which a drift happens.

    Parameters
    ----------
    events
        Rows in all.
    start
        Position of the first row that may drift, from 0.
    """

    events: int
    start: int
    shape: DriftShape


def batches(
    source: Source, schema: Schema, injection: Injection, schedule: DriftSchedule, seed: int
) -> Iterator[list[SimulatedRow]]:
    """Draw the rows of a simulation, up to `BATCH` at a time.

    Parameters
    ----------
    seed
        Seed of the drift's own randomness; the source has its own.
    """
    random = np.random.default_rng((seed, 2))
    place = 0
    while place < schedule.events:
        end = min(place + BATCH, schedule.events if place >= schedule.start else schedule.start)
        share, strength = amount(
            schedule.shape, np.arange(place, end), schedule.start, schedule.events - schedule.start
        )
        drawn = source.simulator.labelled(end - place)
        rows = _rows(drawn, schema, scored=source.scored, drifted=False)
        if place >= schedule.start:
            after = perturbed(injection.perturbations(float(strength.mean())), drawn, random)
            drifted = random.random(len(share)) < share
            others = _rows(after, schema, scored=source.scored, drifted=True)
            rows = [
                new if drifts else old
                for drifts, new, old in zip(drifted.tolist(), others, rows, strict=True)
            ]
        yield rows
        place = end


def _rows(drawn: Labelled, schema: Schema, *, scored: bool, drifted: bool) -> list[SimulatedRow]:
    features = rows_of(drawn.features, schema, scored=scored)
    has_prediction = not scored and PREDICTION in drawn.features.columns
    predictions: list[Value] = (
        json_values(drawn.features[PREDICTION].tolist())
        if has_prediction
        else [None] * len(features)
    )
    labels = json_values(drawn.labels)
    return [
        SimulatedRow(row, label, prediction, drifted)
        for row, label, prediction in zip(features, labels, predictions, strict=True)
    ]
