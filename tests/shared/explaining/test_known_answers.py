"""Contributions against those of the package shap."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftgauge.shared.artifacts import format_named
from driftgauge.shared.explaining.linear import of_linear
from driftgauge.shared.explaining.sampling import estimated, walks
from driftgauge.shared.explaining.trees import of_trees
from tests.shared.explaining.test_exact import SMALL, catboost, library
from tests.shared.explaining.worlds import (
    FRAME,
    KIND,
    NUMBERS,
    PRICE,
    reference_of,
    schema_of,
    total,
)

TREES = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=2
objective=regression
feature_names=a b c
feature_infos=[-3.28:3.11] [-2.5:2.97] [-2.94:3.06]

Tree=0
num_leaves=5
num_cat=0
split_feature=2 0 1 0
split_gain=188.003 48.348 47.2761 34.1869
threshold=0.10500000000000002 -0.034999999999999996 0.24500000000000002 0.060000000000000012
decision_type=2 2 2 2
left_child=3 -2 -3 -1
right_child=1 2 -4 -5
leaf_value=-1.0603040293218762 -0.3186530322242867 -0.17635000305871168 0.69732707954943174 \
-0.59798964581578162
leaf_weight=87 77 30 32 74
leaf_count=87 77 30 32 74
internal_value=-0.480033 -0.0540454 0.27458 -0.847812
internal_weight=300 139 62 161
internal_count=300 139 62 161
is_linear=0
shrinkage=1


Tree=1
num_leaves=5
num_cat=0
split_feature=2 2 1 0
split_gain=72.8841 35.9954 15.7899 24.319
threshold=0.63500000000000012 -0.78499999999999992 -0.23999999999999996 0.025000000000000005
decision_type=2 2 2 2
left_child=1 -1 -3 -4
right_child=-2 2 3 -5
leaf_value=-0.47119274011767304 0.42309985831870062 -0.19808304877820568 -0.13576730269383877 \
0.37849173033609984
leaf_weight=61 76 71 47 45
leaf_count=61 76 71 47 45
internal_value=8.67682e-10 -0.143552 -0.0209376 0.115772
internal_weight=300 224 163 92
internal_count=300 224 163 92
is_linear=0
shrinkage=0.5


end of trees
"""
"""Two trees of LightGBM 4.7.0."""
ROWS = np.array([[0.5, -1.0, 2.0], [1.2, 1.2, -0.4]])


def test_trees_are_explained_as_by_shap() -> None:
    """Values of shap 0.51.0, `TreeExplainer` by its own code (`model.model_type = "internal"`)."""
    model = format_named("model.txt").load(TREES.encode(), "regression", ())
    found = of_trees(model, ROWS)
    assert found is not None
    wanted = [
        [0.23178064, -0.3112707, 0.80627326, -0.48003334],
        [0.44909579, 0.21577078, -0.40433115, -0.48003334],
    ]
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-7)


FACTORS: dict[str, list[float]] = {"a": [0.0, 1.0, 2.0], "b": [-1.0, 1.0], "c": [0.0, 4.0]}
"""Values of independent features, each as often as the others."""
WORLD = pd.DataFrame([*itertools.product(*FACTORS.values())], columns=[*FACTORS])
ROW = [2.0, -1.0, 4.0]


@pytest.mark.long
def test_linear_models_are_explained_as_by_shap() -> None:
    """Values of shap 0.51.0, `LinearExplainer` with WORLD as its background."""
    model = LogisticRegression()
    model.classes_, model.coef_ = np.array([0, 1]), np.array([[0.8, -1.5, 0.25]])
    model.intercept_ = np.array([-0.4])
    mean = WORLD.mean().to_numpy()[None]
    found = of_linear(model, np.array([ROW]), mean)
    assert found.ravel() == pytest.approx([0.8, 1.5, 0.5, 0.9])


def curved(rows: Any) -> Any:
    return rows[:, 0] * rows[:, 1] + np.exp(rows[:, 2] / 4) * rows[:, 0]


def test_an_estimate_is_near_the_values_of_shap() -> None:
    """Values of shap 0.51.0, `explainers.Exact` of `curved` with WORLD as its background: within
    five standard errors, the base by the spread of what the model gives for WORLD; a right
    estimate is out of these once in 60,000 seeds.
    """
    schema = schema_of(NUMBERS)
    planned = walks(ROW, schema, reference_of(schema, WORLD))
    values = curved(np.array(planned.rows, dtype=float))
    found = estimated(planned.orders, values, "prediction")
    exact = np.array([1.78871137, -1.5, 1.28871137])
    assert found.standard_errors is not None
    errors = np.array(found.standard_errors)
    assert (np.abs(found.contributions - exact) <= 5 * errors).all()
    assert (errors < 0.3).all()
    pairs = len(planned.orders)
    spread = curved(WORLD.to_numpy()).std() / pairs**0.5
    assert found.base == pytest.approx(1.85914091, abs=5 * spread)
    assert total(found) == pytest.approx(curved(np.array([ROW]))[0])


def boosted(name: str) -> Any:
    rows = FRAME[NUMBERS].to_numpy()
    match name:
        case "lightgbm":
            return LGBMRegressor(**SMALL).fit(rows, PRICE)
        case "lightgbm classes":
            return LGBMClassifier(**SMALL).fit(rows, KIND)
        case "xgboost":
            return library("xgboost").XGBRegressor(n_estimators=9, nthread=1).fit(rows, PRICE)
    return catboost("CatBoostRegressor", PRICE, NUMBERS)


@pytest.mark.long  # the package is large, and no dependency; its answers stand above
@pytest.mark.parametrize("name", ["lightgbm", "lightgbm classes", "xgboost", "catboost"])
def test_trees_are_explained_as_by_an_installed_shap(name: str) -> None:
    """Where the package is installed, its own algorithm gives the same."""
    shap = pytest.importorskip("shap", reason="shap is not installed: pip install shap")
    fitted, rows = boosted(name), FRAME[NUMBERS].to_numpy()[:40]
    explainer = shap.TreeExplainer(fitted)
    if name != "catboost":  # whose trees shap does not read itself
        explainer.model.model_type = "internal"
    found = of_trees(fitted, rows)
    assert found is not None
    wanted = np.asarray(explainer.shap_values(rows)).reshape(len(rows), len(NUMBERS), -1)
    np.testing.assert_allclose(found[:, :, :-1], wanted.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_linear_models_are_explained_as_by_an_installed_shap() -> None:
    """Where the package is installed, its means of the same rows give the same."""
    shap = pytest.importorskip("shap", reason="shap is not installed: pip install shap")
    rows = FRAME[NUMBERS].to_numpy()
    fitted = LinearRegression().fit(rows, PRICE)
    masker = shap.maskers.Independent(rows, max_samples=len(rows))
    wanted = shap.LinearExplainer(fitted, masker)(rows[:40])
    found = of_linear(fitted, rows[:40], rows.mean(axis=0)[None])
    np.testing.assert_allclose(found[:, 0, :-1], wanted.values, atol=1e-9)
