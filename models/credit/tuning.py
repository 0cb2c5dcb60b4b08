"""A brief search for better settings of the chosen model, where Optuna is installed (the extra
`tune`).
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.models.credit.candidates import Candidate, Ranges, Settings, fold_scores, steadiness
from driftgauge.shared.extras import needs

TRIALS: Final = 8


def tune(
    candidate: Candidate,
    features: pd.DataFrame,
    labels: NDArray[np.object_],
    seed: int,
    trials: int = TRIALS,
) -> tuple[Settings, float]:
    """Search for settings that are steadier than the default ones, which are tried first.

    Returns
    -------
    settings, steadiness
        The best ones found; the default ones if nothing is better.

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
    """Whether Optuna is there."""
    return find_spec("optuna") is not None


def _suggested(trial: Any, ranges: Ranges) -> Settings:
    return {name: _suggest(trial, name, low, high) for name, (low, high) in ranges.items()}


def _suggest(trial: Any, name: str, low: float, high: float) -> float:
    whole = isinstance(low, int)
    suggest: Callable[..., float] = trial.suggest_int if whole else trial.suggest_float
    return suggest(name, low, high, log=not whole)
