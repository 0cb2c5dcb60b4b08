"""The models that are compared for credit default, and how one of them is chosen.

Each is evaluated on folds in the order of time: it is fitted on the rows before a fold and scored
on the fold. The best one has the highest mean minus standard deviation of the F1 of class 0 over
the folds, so that a steady model wins over one that is good in some months and bad in others.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftgauge.models.common import trees
from driftgauge.models.credit.features import CODES, NUMERIC

FOLDS: Final = 5
RARE: Final = 0.01
"""Codes with a smaller share of the rows, and codes unknown in training, are one category."""

Hyperparameters = dict[str, Any]
Ranges = dict[str, tuple[float, float]]
"""Name of a hyperparameter to its least and largest value; whole numbers if both bounds are."""


@dataclass(frozen=True)
class Candidate:
    """A kind of model that is compared with others.

    Parameters
    ----------
    build
        Function that makes an unfitted model from a seed and hyperparameters.
    default
        Hyperparameters for the comparison.
    ranges
        Hyperparameters that tuning may change.
    """

    name: str
    build: Callable[[int, Hyperparameters], Any]
    default: Hyperparameters
    ranges: Ranges


def _forest(seed: int, settings: Hyperparameters) -> Pipeline:
    return Pipeline(
        [
            ("codes", _coded()),
            ("forest", RandomForestClassifier(random_state=seed, n_jobs=1, **settings)),
        ]
    )


def _boosted(seed: int, settings: Hyperparameters) -> Pipeline:
    return Pipeline([("codes", _coded()), ("trees", trees.classifier(seed, **settings))])


def _logistic(seed: int, settings: Hyperparameters) -> Pipeline:
    steps = [
        ("codes", _coded()),
        ("complete", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("scale", StandardScaler()),
        ("logistic", LogisticRegression(random_state=seed, max_iter=2000, **settings)),
    ]
    return Pipeline(steps)


def _coded() -> ColumnTransformer:
    codes = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RARE, sparse_output=False
    )
    return ColumnTransformer(
        [("codes", codes, list(CODES)), ("numbers", "passthrough", list(NUMERIC))]
    )


CANDIDATES: Final = (
    Candidate(
        "random forest",
        _forest,
        {"n_estimators": 60, "max_depth": 8, "min_samples_leaf": 20, "max_features": 0.2},
        {"max_depth": (5, 12), "min_samples_leaf": (5, 60), "max_features": (0.1, 0.5)},
    ),
    Candidate(
        "LightGBM",
        _boosted,
        {"n_estimators": 100, "num_leaves": 15, "learning_rate": 0.05, "min_child_samples": 20},
        {"num_leaves": (4, 31), "learning_rate": (0.02, 0.15), "min_child_samples": (10, 100)},
    ),
    Candidate("logistic regression", _logistic, {"C": 1.0}, {"C": (0.01, 10.0)}),
)


def fold_scores(
    model: Callable[[], Any], features: pd.DataFrame, labels: NDArray[np.object_]
) -> list[float]:
    """Compute the F1 of class 0 on each of `FOLDS` folds in the order of time.

    For each fold the model is fitted on all rows before it.

    Parameters
    ----------
    model
        Function that makes an unfitted model.
    features, labels
        Rows in the order of time.
    """
    scores = []
    for past, next_ in TimeSeriesSplit(FOLDS).split(features):
        predictions = model().fit(features.iloc[past], labels[past]).predict(features.iloc[next_])
        scores.append(float(f1_score(labels[next_], predictions, pos_label="0", zero_division=0)))
    return scores


def steadiness(scores: Sequence[float]) -> float:
    """Return the mean minus the sample standard deviation of the scores of the folds.

    Examples
    --------
    >>> steadiness([0.8, 0.9, 1.0])
    0.8
    """
    return statistics.fmean(scores) - statistics.stdev(scores)


def steadiest(scores: Mapping[str, Sequence[float]]) -> str:
    """Return the name with the highest `steadiness`; of equal ones the first.

    Examples
    --------
    >>> steadiest({"good in one month": [0.5, 0.99, 0.98], "steady": [0.8, 0.8, 0.8]})
    'steady'
    """
    return max(scores, key=lambda name: steadiness(scores[name]))
