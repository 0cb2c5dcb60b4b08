"""A short search for better hyperparameters of the chosen model, with Optuna (the extra `tune`)."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.models.credit.candidates import (
    Candidate,
    Hyperparameters,
    Ranges,
    fold_scores,
    steadiness,
)
from driftgauge.shared.extras import needs

TRIALS: Final = 8
"""Sets of hyperparameters that are tried if nothing else is asked for."""


def tune(
    candidate: Candidate,
    features: pd.DataFrame,
    labels: NDArray[np.object_],
    seed: int,
    trials: int = TRIALS,
) -> tuple[Hyperparameters, float]:
    """Search for hyperparameters with a higher `steadiness` than the default ones.

    Parameters
    ----------
    features, labels
        Rows in the order of time.
    trials
        Sets to try, the default ones first.

    Returns
    -------
    settings
        The best hyperparameters that were found, perhaps the default ones.
    steadiness
        Their score.

    Raises
    ------
    NotInstalled
        If Optuna is not installed.
    """
    with needs("tune"):
        import optuna

    def measured(trial: optuna.Trial) -> float:
        settings = candidate.default | _suggested(trial, candidate.ranges)
        return steadiness(fold_scores(lambda: candidate.build(seed, settings), features, labels))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(
        {name: value for name, value in candidate.default.items() if name in candidate.ranges}
    )
    study.optimize(measured, n_trials=trials)
    return candidate.default | study.best_params, float(study.best_value)


def installed() -> bool:
    """Return whether Optuna is installed."""
    return find_spec("optuna") is not None


def _suggested(trial: Any, ranges: Ranges) -> Hyperparameters:
    return {name: _suggest(trial, name, low, high) for name, (low, high) in ranges.items()}


def _suggest(trial: Any, name: str, low: float, high: float) -> float:
    whole = isinstance(low, int)
    suggest: Callable[..., float] = trial.suggest_int if whole else trial.suggest_float
    return suggest(name, low, high, log=not whole)
