"""The obesity model's features: the 16 answers of the questionnaire, as the columns of the public
UCI file have them.

Used by training and by the clients that build requests. The schema declares what each question
allows, so that an answer that nobody can give is refused, not predicted with.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.models.common.columns import numbers, require
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import Feature, Schema
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
"""In alphabetical order: that of the probabilities of a fitted scikit-learn model."""

YES_NO: Final = ("no", "yes")
HOW_OFTEN: Final = ("no", "Sometimes", "Frequently", "Always")
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
"""Categorical feature to its answers, from little to much where they have an order."""
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
"""Numeric feature to its range: years, metres and kilograms of people; the scale of the
questionnaire otherwise.
"""
REQUIRED: Final = ("Age", "Height", "Weight")
"""Features without which the model says nothing; any other question may be left unanswered."""
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
        name, "numeric", nullable=nullable, minimum=RANGES[name][0], maximum=RANGES[name][1]
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
    """Bring rows into the form of the stream: the answers themselves, numbers as float64, texts as
    object.

    Returns
    -------
    DataFrame
        One column for each name of `FEATURES` in that order, the index of `raw`; NaN or None for no
        answer.

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
    """Add the body mass index, kg/m². It is made inside the model, since it is no answer that could
    drift by itself.

    Examples
    --------
    >>> with_bmi(pd.DataFrame({"Weight": [81.0], "Height": [1.8]}))["bmi"].round(6).tolist()
    [25.0]
    """
    return features.assign(bmi=features["Weight"] / features["Height"] ** 2)
