"""The obesity model's features: the 16 answers of a questionnaire, as in the public UCI file.

Training and the clients that build requests share this module. The schema declares which answers
each question allows, so that the API refuses an impossible answer instead of predicting with it.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.models.common.columns import numbers, require
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.reading import read_table

TARGET: Final = "NObeyesdad"
CLASSES: Final = (
    "Insufficient_Weight",
    "Normal_Weight",
    "Obesity_Type_I",
    "Obesity_Type_II",
    "Obesity_Type_III",
    "Overweight_Level_I",
    "Overweight_Level_II",
)
"""The classes in alphabetical order, in which a fitted scikit-learn model has its probabilities."""

YES_NO: Final = ("no", "yes")
HOW_OFTEN: Final = ("no", "Sometimes", "Frequently", "Always")
"""Answers to how often, from never to always."""
ANSWERS: Final[dict[str, tuple[str, ...]]] = {
    "Gender": ("Female", "Male"),
    "family_history_with_overweight": YES_NO,
    "FAVC": YES_NO,
    "CAEC": HOW_OFTEN,
    "SMOKE": YES_NO,
    "SCC": YES_NO,
    "CALC": HOW_OFTEN,
    "MTRANS": ("Walking", "Bike", "Motorbike", "Public_Transportation", "Automobile"),
}
"""Categorical feature to its allowed answers, in ascending order if they have one."""
RANGES: Final[dict[str, tuple[float, float]]] = {
    "Age": (10, 100),
    "Height": (1.2, 2.3),
    "Weight": (25, 300),
    "FCVC": (1, 3),
    "NCP": (1, 4),
    "CH2O": (1, 3),
    "FAF": (0, 3),
    "TUE": (0, 2),
}
"""Numeric feature to its range."""
UNITS: Final = {"Age": "years", "Height": "m", "Weight": "kg"}
"""Unit of each feature that has one; the other numbers are on the questionnaire's scales."""
REQUIRED: Final = ("Age", "Height", "Weight")
"""Features that the model cannot do without; all other questions may be left unanswered."""
FEATURES: Final = (
    "Gender",
    "Age",
    "Height",
    "Weight",
    "family_history_with_overweight",
    "FAVC",
    "FCVC",
    "NCP",
    "CAEC",
    "SMOKE",
    "CH2O",
    "SCC",
    "FAF",
    "TUE",
    "CALC",
    "MTRANS",
)
"""All features, in the order of the file and of the stream."""


def _feature(name: str) -> Feature:
    nullable = name not in REQUIRED
    if name in ANSWERS:
        return Feature(name, "categorical", nullable=nullable, categories=ANSWERS[name])
    return Feature(
        name,
        "numeric",
        nullable=nullable,
        minimum=RANGES[name][0],
        maximum=RANGES[name][1],
        unit=UNITS.get(name, ""),
    )


SCHEMA: Final = Schema(
    tuple(map(_feature, FEATURES)), prediction="categorical", target=TARGET, classes=CLASSES
)


def read_raw(path: Path) -> pd.DataFrame:
    """Read the UCI file.

    Returns
    -------
    DataFrame
        The columns of `FEATURES`, then `TARGET`; rows in the order of the file.

    Raises
    ------
    BadData
        If the file cannot be read, lacks a column, or has values of another kind or an unknown
        class in one.
    """
    frame = read_table(path)
    require(frame, (*FEATURES, TARGET), f"{path}, which should be the UCI obesity file,")
    frame = frame[[*FEATURES, TARGET]].copy()
    for name in RANGES:
        frame[name] = numbers(frame[name], path)
    unknown = sorted(set(frame[TARGET].astype(str)) - set(CLASSES))
    if unknown:
        raise BadData(
            f"{path}: {TARGET} has {', '.join(unknown[:5])}; known are {', '.join(CLASSES)}."
        )
    return frame


def engineer(raw: pd.DataFrame) -> pd.DataFrame:
    """Convert raw rows to features: the answers themselves, numbers as float64, texts as object.

    Returns
    -------
    DataFrame
        One column for each name of `FEATURES` in that order, with the index of `raw`. A missing
        answer is NaN or None.

    Raises
    ------
    BadData
        If a column is missing.
    """
    require(raw, FEATURES, "The frame")
    columns: dict[str, Any] = {
        name: raw[name].astype(object if name in ANSWERS else np.float64) for name in FEATURES
    }
    return pd.DataFrame(columns, index=raw.index)


def with_bmi(features: pd.DataFrame) -> pd.DataFrame:
    """Return the features with the body mass index, kg/m², in an additional column `bmi`.

    It is computed inside the model and is no feature of the schema, because it cannot drift
    independently of height and weight.

    Examples
    --------
    >>> with_bmi(pd.DataFrame({"Weight": [81.0], "Height": [1.8]}))["bmi"].round(6).tolist()
    [25.0]
    """
    return features.assign(bmi=features["Weight"] / features["Height"] ** 2)
