"""The models that the APIs of a chaos run predict with: one that is quick, and one that hangs while
a file exists.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

QUICK, HANGING = "furnace", "oven"
SCHEMA = Schema((Feature("heat", "numeric"), Feature("time", "numeric")))
REFERENCE_ROWS = 2000


class Sum:
    """The sum of the features, which does not come while the gate exists.

    Parameters
    ----------
    gate
        Path of a file.
    """

    def __init__(self, gate: Path) -> None:
        self.gate = gate

    def predict(self, rows: Any) -> NDArray[np.float64]:
        while self.gate.exists():
            time.sleep(0.05)
        found: NDArray[np.float64] = np.asarray(rows, dtype=np.float64).sum(axis=1)
        return found


def predicting(name: str, version: str) -> PublishedVersion:
    """Make the version of a model that predicts."""
    rows = np.random.default_rng(11).normal(size=(REFERENCE_ROWS, 2))
    reference = build_profile(SCHEMA, [rows[:, 0], rows[:, 1]], rows.sum(axis=1))
    return PublishedVersion(new_manifest(name, version, task="regression"), SCHEMA, reference)
