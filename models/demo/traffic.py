"""The demo's endless traffic: each row with and without the drift, and its true value."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.models.common.perturbations import shift
from driftgauge.models.common.simulation import BATCH_ROWS, Labelled
from driftgauge.models.common.training import DemoModel, Trained
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.frames import json_values, rows_of

SHIFT_SD: Final = 0.5
"""Shift of the drifting feature, in its standard deviations in the reference."""


@dataclass(frozen=True)
class PairedRow:
    """A row without and with the drift, by feature name; its true value is the same for both."""

    clean: dict[str, Value]
    drifted: dict[str, Value]
    label: Value


def paired_rows(
    model: DemoModel, trained: Trained, seed: int, *, in_order: bool
) -> Iterator[PairedRow]:
    """Draw rows without end: from the simulator, or from the rows that a file left for traffic.

    Parameters
    ----------
    in_order
        True if the rows of a file keep their order. If not, they are shuffled again on each pass.
    """
    scale = float(np.nanstd(trained.holdout[model.drifting_feature]))
    for rows in _batches(model, trained, seed, in_order=in_order):
        drifted = shift(rows.features, model.drifting_feature, SHIFT_SD, scale)
        both = (rows_of(frame, model.schema) for frame in (rows.features, drifted))
        yield from map(PairedRow, *both, json_values(rows.labels))


def _batches(
    model: DemoModel, trained: Trained, seed: int, *, in_order: bool
) -> Iterator[Labelled]:
    simulator, random = model.simulator(seed), np.random.default_rng(seed)
    while True:
        if trained.stream is None:
            yield simulator.labelled(BATCH_ROWS)
        else:
            features, labels = trained.stream
            order = np.argsort(features.index) if in_order else random.permutation(len(features))
            yield Labelled(features.iloc[order], labels[order])
