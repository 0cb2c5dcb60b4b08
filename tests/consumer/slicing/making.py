"""Archives with a planted slice, and without one."""

from pathlib import Path

import numpy as np
import pandas as pd

from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.archive.making import NOON, prediction, write

NAMES = np.array(["no", "yes"])
SCHEMA = Schema(
    (
        Feature("age", "numeric", nullable=True),
        Feature("region", "categorical", nullable=True),
        Feature("load", "numeric", nullable=True),
        Feature("paid", "boolean", nullable=True),
    ),
    "categorical",
    classes=("no", "yes"),
)


def frame(rows: int, seed: int = 0, *, planted: bool = True) -> pd.DataFrame:
    """Make rows with labels; in the planted slice the model errs more, and the load is higher."""
    rng = np.random.default_rng(seed)
    age, region = rng.uniform(18, 80, rows), rng.choice(["north", "south", "east", "west"], rows)
    bad = (region == "north") & (age < 35) & planted
    truth = rng.integers(0, 2, rows)
    wrong = rng.random(rows) < np.where(bad, 0.4, 0.1)
    return pd.DataFrame(
        {
            "age": age,
            "region": region,
            "load": rng.normal(size=rows) + bad,
            "paid": rng.integers(0, 2, rows) > 0,
            "prediction": NAMES[np.where(wrong, 1 - truth, truth)],
            "label": NAMES[truth],
        }
    )


def archive(folder: Path, rows: pd.DataFrame, *, scored: float = 1.0) -> None:
    """Archive rows as predictions with their labels; this share of them, the first ones, have
    probabilities.
    """
    predictions = [
        prediction(
            place,
            NOON + place * 1000,
            features=[row.age, row.region, row.load, float(row.paid)],
            prediction=row.prediction,
            probabilities=None
            if place >= scored * len(rows)
            else [0.8, 0.2]
            if row.prediction == "no"
            else [0.2, 0.8],
        )
        for place, row in enumerate(rows.itertuples())
    ]
    labels = [Label(f"id{place}", one, NOON) for place, one in enumerate(rows.label)]
    write(FolderStore(folder), 0, predictions, labels, schema=SCHEMA)
