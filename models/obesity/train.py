"""Training of the obesity model on the UCI file or simulated rows: see models/common/training.py.

Rows with the same answers are kept on one side of the split; otherwise the model would be evaluated
on rows that it was trained on.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from driftgauge.models.common import trees
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.common.training import DemoModel, Trained, command, evaluate, require_rows
from driftgauge.models.obesity.features import (
    ANSWERS,
    CLASSES,
    FEATURES,
    SCHEMA,
    TARGET,
    engineer,
    read_raw,
    with_bmi,
)
from driftgauge.models.obesity.simulate import DRIFTING_FEATURE, People
from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.gates import Gates

MIN_ROWS: Final = 400
"""Least rows to train on; with fewer, half of them are too few."""
METRICS: Final = ("accuracy", "f1_weighted", "f1_macro", "balanced_accuracy", "roc_auc", "log_loss")


def train(data: Path | None, seed: int = 0, rows: int = 8000) -> Trained:
    """Train on half of the rows; the other half is held out.

    Parameters
    ----------
    data
        The UCI file; None trains on simulated rows.
    seed
        Seed of simulator, split and model.
    rows
        Number of rows to simulate; unused with a file.

    Raises
    ------
    BadData
        If the file does not fit, has too few rows, or a class is not in both halves.
    """
    raw = People((seed, 1)).rows(rows) if data is None else read_raw(data)
    labelled = Labelled(engineer(raw), raw[TARGET].to_numpy(dtype=object))
    return replace(fit(labelled, seed, str(data or "the simulator")), source=data)


def fit(rows: Labelled, seed: int, source: str) -> Trained:
    """Train on half of the given rows; the other half is held out.

    Parameters
    ----------
    seed
        Seed of split and model.
    source
        Name of the rows' origin, for errors.

    Raises
    ------
    BadData
        If there are too few rows, or a class is not in both halves.
    """
    features, labels = rows
    require_rows(len(features), MIN_ROWS, source)
    fitted, held = halves(features, seed)
    absent = [name for name in CLASSES for part in (fitted, held) if name not in labels[part]]
    if absent:
        raise BadData(
            f"{source} has too few rows of {', '.join(sorted(set(absent)))} to train on and "
            f"measure."
        )
    estimator = _pipeline(seed).fit(features.iloc[fitted], labels[fitted])
    holdout = Labelled(features.iloc[held], labels[held])
    predictions, metrics = evaluate(estimator, SCHEMA, holdout, METRICS)
    return Trained(estimator, features.iloc[fitted], *holdout, predictions, metrics)


def halves(features: pd.DataFrame, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows at random into two halves, with equal rows in the same half.

    Returns
    -------
    one, other
        Positions of the rows of each half.

    Examples
    --------
    >>> twice = pd.DataFrame({"Age": [20.0, 30.0, 20.0, 40.0], "SMOKE": ["no", "no", "no", "yes"]})
    >>> one, other = (half.tolist() for half in halves(twice, seed=1))
    >>> (0 in one) == (2 in one), sorted(one + other)
    (True, [0, 1, 2, 3])
    """
    content = features.groupby(list(features.columns), dropna=False, sort=False).ngroup()
    one, other = next(
        GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=seed).split(
            features, groups=content
        )
    )
    return one, other


def _pipeline(seed: int) -> Pipeline:
    """Build the model: the index is added, answers are coded in their order, and trees are grown.

    A missing or unknown answer is NaN, which the trees can handle.
    """
    coder = OrdinalEncoder(
        categories=[list(answers) for answers in ANSWERS.values()],
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
    )
    coded: Any = ColumnTransformer(
        [
            ("coded", coder, list(ANSWERS)),
            ("numbers", "passthrough", [*(n for n in FEATURES if n not in ANSWERS), "bmi"]),
        ]
    )
    grown = trees.classifier(seed, n_estimators=120, num_leaves=15, learning_rate=0.1)
    return Pipeline([("bmi", FunctionTransformer(with_bmi)), ("answers", coded), ("trees", grown)])


MODEL = DemoModel(
    name="obesity",
    summary="a person's level of obesity",
    schema=SCHEMA,
    task="multiclass",
    gates=Gates(
        minimum={"accuracy": 0.9, "f1_weighted": 0.9, "roc_auc": 0.98},
        methods=("predict", "predict_proba"),
        tolerance=0.1,
    ),
    metrics=METRICS,
    drifting_feature=DRIFTING_FEATURE,
    simulator=People,
    train=train,
    fit=fit,
)

main = command(MODEL)

if __name__ == "__main__":
    main()
