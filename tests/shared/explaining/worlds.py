"""Rows of numbers and a category, and what they mean, for models that are to be explained."""

from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.explaining.exact import explained
from driftgauge.shared.explaining.explanation import Explanation
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.prediction import model_columns, model_inputs

RANDOM = np.random.default_rng(20)
FRAME = pd.DataFrame(RANDOM.normal(2, 1, size=(400, 3)).round(3), columns=["a", "b", "c"])
FRAME["city"] = RANDOM.choice(["rome", "oslo", "bonn"], 400, p=[0.5, 0.3, 0.2])
PRICE = FRAME.a * 2 - FRAME.b * (FRAME.c > 2) + 3 * (FRAME.city == "rome")
COUNT = np.exp(PRICE / 4).round()
SOLD = np.where(PRICE > 4, "yes", "no")
KIND = np.where(PRICE > 5, "high", np.where(PRICE < 2, "low", "mid"))
NUMBERS = ["a", "b", "c"]
ALL = [*NUMBERS, "city"]


def schema_of(columns: list[str], dropped: str = "") -> Schema:
    return Schema(
        tuple(
            Feature(
                name,
                "categorical" if name == "city" else "numeric",
                nullable=True,
                pii="drop" if name == dropped else "keep",
            )
            for name in columns
        )
    )


def reference_of(schema: Schema, frame: pd.DataFrame = FRAME) -> ReferenceProfile:
    return build_profile(schema, columns_of(frame, schema), None)


def explanations(
    fitted: Any, columns: list[str], frame: pd.DataFrame = FRAME, dropped: str = ""
) -> list[Explanation]:
    """Explain the rows of a frame, one by one, as the API gives them to the model."""
    schema = schema_of(columns, dropped)
    reference = reference_of(schema)

    def inputs(rows: Any) -> Any:
        table = pd.DataFrame(rows, columns=columns)
        return model_inputs(schema, fitted, model_columns(table, schema))

    return [
        one
        for row in frame[columns].to_numpy(dtype=object).tolist()
        for one in explained(fitted, [row], inputs, schema, reference)
    ]


def total(explanation: Explanation) -> float:
    return explanation.base + sum(explanation.contributions)
