import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from driftgauge.models.credit import tuning
from driftgauge.models.credit.candidates import Candidate, Hyperparameters, fold_scores, steadiness

SMALL_TREE = Candidate(
    "tree",
    lambda seed, settings: DecisionTreeClassifier(random_state=seed, **settings),
    {"max_depth": 1, "min_samples_leaf": 5},
    {"max_depth": (1, 6), "min_samples_leaf": (1, 40)},
)


@pytest.fixture(scope="module")
def stripes() -> tuple[pd.DataFrame, np.ndarray]:
    """A stripe of labels that a stump cannot tell apart, and a deeper tree can."""
    x = np.random.default_rng(0).random(600)
    return pd.DataFrame({"x": x}), np.where(np.abs(x - 0.5) < 1 / 6, "0", "1").astype(object)


def found(stripes: tuple[pd.DataFrame, np.ndarray], trials: int) -> tuple[Hyperparameters, float]:
    pytest.importorskip("optuna")
    return tuning.tune(SMALL_TREE, *stripes, seed=1, trials=trials)


def test_tuning_finds_better_settings_within_their_ranges(
    stripes: tuple[pd.DataFrame, np.ndarray],
) -> None:
    """The settings found are in their ranges, as good as said, and better than the default ones."""
    settings, value = found(stripes, trials=10)
    assert 1 < settings["max_depth"] <= 6
    assert 1 <= settings["min_samples_leaf"] <= 40
    assert value == steadiness(fold_scores(lambda: SMALL_TREE.build(1, settings), *stripes))
    assert value > steadiness(
        fold_scores(lambda: SMALL_TREE.build(1, SMALL_TREE.default), *stripes)
    )


def test_tuning_is_reproducible_and_starts_from_the_default(
    stripes: tuple[pd.DataFrame, np.ndarray],
) -> None:
    """One seed finds the same settings again; one trial tries the default ones."""
    assert found(stripes, trials=5) == found(stripes, trials=5)
    assert found(stripes, trials=1)[0] == SMALL_TREE.default
