"""Contributions of boosted trees, by the algorithm of their own libraries (TreeSHAP, Lundberg et
al. 2020): exact, and without reference rows, since the trees know how many rows of the training
took each branch.

Each function returns the shape (rows, outputs, features + 1): an output is a number, the log odds
of the second of two classes, or the raw score of each class; the last place is the base. Pure.
"""

from typing import Any, Final

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.explaining.explanation import Unexplained

CLOSE: Final = 1e-4
"""Largest difference of a sum from a score, relative to its parts; some libraries add up in single
precision.
"""


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
    Unexplained
        If they do not add up to the score of a row.
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
        raw = model.predict(rows, output_margin=True)
        return of_xgboost(model.get_booster(), rows, model.missing, raw)
    if "catboost" in libraries and hasattr(model, "get_cat_feature_indices"):
        return of_catboost(model, rows)
    return None


def of_lightgbm(model: Any, rows: Any) -> Floats:
    """Return the contributions of a booster of LightGBM, or of its wrapper."""
    found = np.asarray(model.predict(rows, pred_contrib=True, num_threads=1), dtype=np.float64)
    raw = model.predict(rows, raw_score=True, num_threads=1)
    return _checked(found.reshape(len(found), -1, rows.shape[1] + 1), raw)


def of_xgboost(booster: Any, rows: Any, missing: float = np.nan, raw: Any = None) -> Floats:
    """Return the contributions of a booster of XGBoost, by the trees that it predicts with.

    Parameters
    ----------
    missing
        The number that stands for a missing value.
    raw
        Raw scores of the rows, as its wrapper gives them; None if it has none.
    """
    import xgboost

    matrix = xgboost.DMatrix(rows, missing=missing, nthread=1, enable_categorical=True)
    asked = {"iteration_range": best_trees(booster), "validate_features": False}
    found = booster.predict(matrix, pred_contribs=True, strict_shape=True, **asked)
    if raw is None:
        raw = booster.predict(matrix, output_margin=True, **asked)
    return _checked(np.asarray(found, dtype=np.float64), raw)


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
    raw = model.predict(pool, prediction_type="RawFormulaVal", thread_count=1)
    return _checked(found if found.ndim > 2 else found[:, None, :], raw)


def _checked(parts: Floats, raw: Any) -> Floats:
    """Return contributions that add up to the raw scores of their rows.

    Raises
    ------
    Unexplained
        If they do not.
    """
    scores = np.asarray(raw, dtype=np.float64).reshape(len(parts), -1)
    sums, size = parts.sum(axis=2), np.abs(parts).max(axis=2)
    if scores.shape != sums.shape or (np.abs(sums - scores) > CLOSE * (1 + size)).any():
        raise Unexplained("has contributions by its library that do not add up to its own score")
    return parts
