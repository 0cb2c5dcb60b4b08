"""LightGBM with the settings of all demo models: reproducible, silent, and fast on single rows."""

from typing import Any, Final

from lightgbm import LGBMClassifier, LGBMRegressor

_COMMON: Final[dict[str, Any]] = {
    "n_jobs": 1,  # for a few rows, threads cost more time than they save
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def regressor(seed: int, **settings: Any) -> LGBMRegressor:
    """Return an unfitted regressor; `settings` are LightGBM's own."""
    return LGBMRegressor(random_state=seed, **_COMMON, **settings)


def classifier(seed: int, **settings: Any) -> LGBMClassifier:
    """Return an unfitted classifier; `settings` are LightGBM's own."""
    return LGBMClassifier(random_state=seed, **_COMMON, **settings)
