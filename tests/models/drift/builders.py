"""Rows and alerts for the tests of simulations."""

from typing import Any

import numpy as np
import pandas as pd

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.posting import Posted
from driftgauge.models.drift.traffic import SimulatedRow
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

SCHEMA = Schema(
    (
        Feature("x", "numeric", nullable=True, minimum=-3, maximum=3),
        Feature("y", "numeric", nullable=True),
        Feature("c", "categorical"),
        Feature("closed", "categorical", categories=("a", "b")),
        Feature("hidden", "numeric", excluded="not watched"),
    ),
    "categorical",
    classes=("no", "yes"),
)


class Coins:
    """Independent rows; the label follows x."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)

    def labelled(self, n: int) -> Labelled:
        x = self._random.normal(size=n).clip(-3, 3)
        frame = pd.DataFrame(
            {
                "x": x,
                "y": self._random.normal(size=n),
                "c": self._random.choice(["r", "g"], n),
                "closed": "a",
                "hidden": 0.0,
            }
        )
        return Labelled(frame, np.where(x > 1, "yes", "no").astype(object))


def posted(
    label: Value, prediction: Value, x: float | None = 0.0, *, drifted: bool = False
) -> Posted:
    return Posted(
        SimulatedRow(
            {"x": x, "y": 1.0, "c": "r", "closed": "a", "hidden": 0.0}, label, None, drifted
        ),
        "id",
        prediction,
        1000,
    )


def alert(feature: str, rule: str, events: int, **changes: Any) -> Alert:
    given: dict[str, Any] = {
        "fingerprint": f"{feature}-{rule}",
        "model": "m",
        "version": "1.0.0",
        "feature": feature,
        "rule": rule,
        "severity": "critical",
        "state": "firing",
        "summary": "it moved",
        "evidence": AlertEvidence("psi", 0.3, 0.25, 0.0, 1, 1, events, 0, 1),
        "started": 0,
        "updated": 0,
        "ended": None,
        "snapshot": "",
    }
    return Alert(**{**given, **changes})
