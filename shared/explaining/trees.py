"""Contributions of boosted trees, by the algorithm of their own libraries (TreeSHAP, Lundberg et
al. 2020): exact, and without reference rows, since the trees know how many rows of the training
took each branch.

Each function returns the shape (rows, outputs, features + 1): an output is a number, the log odds
of the second of two classes, or the raw score of each class; the last place is the base. Pure.
"""

from typing import Any

import numpy as np

from driftgauge.shared.arrays import Floats


def of_trees(model: Any, rows: Any) -> Floats | None:
    """Return the contributions of a model of boosted trees, None if it is none.

    Parameters
    ----------
    model
        A native model of ours (`raw_contributions`), or a wrapper of scikit-learn's kind of
        LightGBM, XGBoost or CatBoost.
    rows
        Matrix or frame as the model takes it.

    Raises
    ------
    Exception
        Whatever the library raises, such as that it cannot explain this kind of tree.
    """
    if hasattr(model, "raw_contributions"):
        found: Floats = model.raw_contributions(rows)
        return found
    libraries = {one.__module__.partition(".")[0] for one in type(model).__mro__}
    if "lightgbm" in libraries and hasattr(model, "booster_"):
        return of_lightgbm(model, rows)
    if "xgboost" in libraries and hasattr(model, "get_booster"):
        return of_xgboost(model.get_booster(), rows)
    if "catboost" in libraries and hasattr(model, "get_cat_feature_indices"):
        return of_catboost(model, rows)
    return None


def of_lightgbm(model: Any, rows: Any) -> Floats:
    """Return the contributions of a booster of LightGBM, or of its wrapper."""
    found = np.asarray(model.predict(rows, pred_contrib=True, num_threads=1), dtype=np.float64)
    return found.reshape(len(found), -1, rows.shape[1] + 1)


def of_xgboost(booster: Any, rows: Any) -> Floats:
    """Return the contributions of a booster of XGBoost, by the trees that it predicts with."""
    import xgboost

    matrix = xgboost.DMatrix(rows, nthread=1, enable_categorical=True)
    found = booster.predict(
        matrix,
        pred_contribs=True,
        iteration_range=best_trees(booster),
        validate_features=False,
        strict_shape=True,
    )
    return np.asarray(found, dtype=np.float64)


def best_trees(booster: Any) -> tuple[int, int]:
    """Return which trees of XGBoost's predict, as it takes them: after early stopping those up to
    the best one, else all, which is (0, 0).
    """
    best = booster.attributes().get("best_iteration")
    return (0, 0) if best is None else (0, int(best) + 1)


def of_catboost(model: Any, rows: Any) -> Floats:
    """Return the contributions of a model of CatBoost."""
    import catboost

    pool = catboost.Pool(rows, cat_features=model.get_cat_feature_indices() or None)
    found = np.asarray(
        model.get_feature_importance(pool, type="ShapValues", thread_count=1), dtype=np.float64
    )
    return found if found.ndim > 2 else found[:, None, :]
