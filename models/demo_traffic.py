"""The demo's traffic: rows without end, each as it is and as the drifting sensor would show it."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from models.simulation import BATCH_ROWS, shift
from models.training import DemoModel, Trained
from shared.events import Value
from shared.schema import rows_of

SHIFT_SD: Final = 0.5
"""How far the sensor is off, in standard deviations of the reference."""

Row = dict[str, Value]


def paired_rows(model: DemoModel, trained: Trained, seed: int, *, in_order: bool) -> Iterator[tuple[Row, Row]]:
    """Give the features of one request after the other, without drift and with it.

    Parameters
    ----------
    in_order
        Keep the order of a file's rows; else they are shuffled, again and again. A simulator's have none.
    """
    scale = float(np.nanstd(trained.holdout[model.drifting_feature]))
    for frame in _frames(model, trained, seed, in_order=in_order):
        drifted = shift(frame, model.drifting_feature, SHIFT_SD, scale)
        yield from zip(rows_of(frame, model.schema), rows_of(drifted, model.schema), strict=True)


def _frames(model: DemoModel, trained: Trained, seed: int, *, in_order: bool) -> Iterator[pd.DataFrame]:
    simulator, random = model.simulator(seed), np.random.default_rng(seed)
    while True:
        if trained.stream is None:
            yield simulator.labelled(BATCH_ROWS).features
        elif in_order:
            yield trained.stream.sort_index()
        else:
            yield trained.stream.iloc[random.permutation(len(trained.stream))]
