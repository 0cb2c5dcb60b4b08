"""Gradient-boosted trees as all demo models set them: reproducible, silent, and quick on a single
row.
"""

from typing import Any, Final

from lightgbm import LGBMClassifier, LGBMRegressor

_COMMON: Final[dict[str, Any]] = {
    "n_jobs": 1,  # threads cost more than they give for a few rows
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def regressor(seed: int, **settings: Any) -> LGBMRegressor:
    """Make a regressor that is not fitted yet."""
    return LGBMRegressor(random_state=seed, **_COMMON, **settings)


def classifier(seed: int, **settings: Any) -> LGBMClassifier:
    """Make a classifier that is not fitted yet."""
    return LGBMClassifier(random_state=seed, **_COMMON, **settings)
