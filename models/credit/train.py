"""Training of the credit model on the UCI file or simulated rows: see models/common/training.py.

Nothing is shuffled. Rows are in the order of time: the model is chosen and fitted on the first
80 % and evaluated on the last 20 %, as it would be on months to come.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.models.common.simulation import Labelled
from driftgauge.models.common.training import DemoModel, Trained, command, evaluate, require_rows
from driftgauge.models.credit import tuning
from driftgauge.models.credit.candidates import (
    CANDIDATES,
    Candidate,
    Hyperparameters,
    fold_scores,
    steadiest,
    steadiness,
)
from driftgauge.models.credit.features import (
    CLASSES,
    SCHEMA,
    engineer,
    in_time_order,
    labels_of,
    read_raw,
)
from driftgauge.models.credit.simulate import DRIFTING_FEATURE, CardHolders
from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.gates import Gates

MIN_ROWS: Final = 600
"""Least rows to train on; with fewer, the folds are too small to compare models."""
TRAINED_SHARE: Final = 0.8
METRICS: Final = (
    "f1:0",
    "f1:1",
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "log_loss",
    "f1_weighted",
    "f1_macro",
)


def train(
    data: Path | None, seed: int = 0, rows: int = 8000, trials: int = tuning.TRIALS
) -> Trained:
    """Choose, tune and fit a model on the first 80 % of the rows; the others are held out.

    Parameters
    ----------
    data
        The UCI file, or one like it with a column `date`; None trains on simulated rows.
    seed
        Seed of simulator, models and tuning.
    rows
        Number of rows to simulate; unused with a file.
    trials
        Sets of hyperparameters that tuning tries if Optuna is installed; 0 keeps the default ones.

    Raises
    ------
    BadData
        If the file does not fit, has too few rows, or a class is not in both parts.
    """
    raw = in_time_order(CardHolders((seed, 1)).rows(rows) if data is None else read_raw(data))
    labelled = Labelled(engineer(raw), labels_of(raw))
    return replace(fit(labelled, seed, str(data or "the simulator"), trials), source=data)


def fit(rows: Labelled, seed: int, source: str, trials: int = 0) -> Trained:
    """Choose and fit a model on the first 80 % of given rows; the others are held out.

    Parameters
    ----------
    rows
        Rows in the order of time.
    seed
        Seed of models and tuning.
    source
        Name of the rows' origin, for errors.
    trials
        Sets of hyperparameters that tuning tries if Optuna is installed; 0 keeps the default ones.

    Raises
    ------
    BadData
        If there are too few rows, or a class is not in both parts.
    """
    features, labels = rows
    require_rows(len(features), MIN_ROWS, source)
    end = int(len(features) * TRAINED_SHARE)
    for first, last in ((0, end // 6), (end, len(features))):  # the first fold is fitted on a sixth
        if set(labels[first:last]) != set(CLASSES):
            raise BadData(
                f"{source} has no default, or nothing else, from row {first} to {last} in the "
                f"order of time."
            )
    past, known = features[:end], labels[:end]
    chosen, settings, remarks = _chosen(past, known, seed, trials)
    estimator = chosen.build(seed, settings).fit(past, known)
    holdout = Labelled(features[end:], labels[end:])
    predictions, metrics = evaluate(estimator, SCHEMA, holdout, METRICS)
    return Trained(estimator, past, *holdout, predictions, metrics, remarks=remarks)


def _chosen(
    features: pd.DataFrame, labels: NDArray[np.object_], seed: int, trials: int
) -> tuple[Candidate, Hyperparameters, tuple[str, ...]]:
    """Choose a candidate and its hyperparameters; the texts say how, for the user."""
    scores = {each.name: fold_scores(_default(each, seed), features, labels) for each in CANDIDATES}
    chosen = next(each for each in CANDIDATES if each.name == steadiest(scores))
    remarks = [
        f"{name}: F1 of class 0 {np.mean(found):.4f}, less standard deviation "
        f"{steadiness(found):.4f}"
        for name, found in scores.items()
    ]
    settings = chosen.default
    if trials and tuning.installed():
        settings, value = tuning.tune(chosen, features, labels, seed, trials)
        remarks.append(f"Tuned in {trials} trials: {chosen.name}, {value:.4f}.")
    else:
        remarks.append(
            f"Chosen: {chosen.name}, not tuned"
            + ("." if not trials else " (Optuna is not installed).")
        )
    return chosen, settings, tuple(remarks)


def _default(candidate: Candidate, seed: int) -> Any:
    return lambda: candidate.build(seed, candidate.default)


MODEL = DemoModel(
    name="credit",
    summary="whether a card holder defaults next month",
    schema=SCHEMA,
    task="binary",
    gates=Gates(
        minimum={"f1:0": 0.85, "roc_auc": 0.7}, methods=("predict", "predict_proba"), tolerance=0.1
    ),
    metrics=METRICS,
    drifting_feature=DRIFTING_FEATURE,
    simulator=CardHolders,
    train=train,
    fit=fit,
)

main = command(MODEL)

if __name__ == "__main__":
    main()
