"""Contributions of linear models: a coefficient times the distance from the reference's mean.

These are the Shapley values of a linear model whose features are independent (Štrumbelj and
Kononenko 2014), and exact. Of categories and truth values, which have no mean, the most frequent
one is what a row is held against. Pure.
"""

from typing import Any, Final

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Value
from driftgauge.shared.explaining.explanation import Unexplained
from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
from driftgauge.shared.reference.schema import Schema

CLOSE: Final = 1e-6
"""Largest difference of a sum from what the model gives, relative to its parts."""


def of_linear(model: Any, rows: Any, mean: Any) -> Floats:
    """Return the contributions of a linear model, shape (rows, outputs, columns + 1), the base
    last.

    Parameters
    ----------
    model
        A fitted model with `coef_` and `intercept_`, as scikit-learn's are.
    rows, mean
        Rows, and the row that they are held against, as the model takes them.

    Raises
    ------
    Unexplained
        If what it predicts is not linear in its columns.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[0, 0], [1, 0], [0, 1]], [1, 3, 6])  # 1 + 2x + 5y
    >>> of_linear(model, np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]])).round(9).tolist()
    [[[4.0, 0.0, 8.0]]]
    """
    values, middle = np.asarray(rows, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    slopes = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    if slopes.shape[1] != values.shape[1]:
        raise _not_linear(model)
    base = np.ravel(model.intercept_) + slopes @ middle[0]
    parts = slopes * (values - middle)[:, None, :]
    found = np.concatenate((parts, np.broadcast_to(base[:, None], (*parts.shape[:2], 1))), axis=2)
    _check(model, rows, found)
    return found


def require_linear(model: Any) -> None:
    """Refuse a model without coefficients.

    Raises
    ------
    Unexplained
        If it has none.
    """
    if not hasattr(model, "coef_") or not hasattr(model, "intercept_"):
        raise Unexplained(
            f"is of a kind that gives no contributions of its own ({type(model).__name__}), unlike "
            "LightGBM, XGBoost, CatBoost and linear models"
        )


def mean_row(schema: Schema, reference: ReferenceProfile) -> list[Value]:
    """Return the row that others are held against: the mean of each number in the reference, and
    the most frequent category or truth value; missing where the reference has missing values alone.

    Raises
    ------
    Unexplained
        If the reference does not have the values of a feature: it is personal, or a time.
    """
    require_values(schema)
    row: list[Value] = []
    for feature, column in zip(schema.features, reference.columns, strict=False):
        if isinstance(column, CategoricalReference):
            row.append(column.categories[0] if column.categories else None)
        elif feature.kind == "boolean" and column.mean is not None:
            row.append(float(column.mean >= 0.5))
        else:
            row.append(column.mean)
    return row


def require_values(schema: Schema) -> None:
    """Refuse a schema of which the reference does not have every feature's values.

    Raises
    ------
    Unexplained
        If a feature is personal, or a time: its age is what the reference has.
    """
    personal = [feature.name for feature in schema.features if feature.pii != "keep"]
    if personal:
        raise Unexplained(
            f"has personal features ({', '.join(personal)}), whose values its reference does not "
            "have"
        )
    times = [feature.name for feature in schema.features if feature.kind == "timestamp"]
    if times:
        raise Unexplained(
            f"has times among its features ({', '.join(times)}), of which its reference has ages "
            "alone"
        )


def _check(model: Any, rows: Any, parts: Floats) -> None:
    """Refuse a model that has coefficients and predicts otherwise."""
    sums = parts.sum(axis=2)
    if hasattr(model, "decision_function"):
        given = np.reshape(model.decision_function(rows), (len(sums), -1))
    else:
        given = np.reshape(np.asarray(model.predict(rows), dtype=np.float64), (len(sums), -1))
    reach = CLOSE * (1 + np.abs(parts).sum(axis=2))
    if given.shape != sums.shape:
        raise _not_linear(model)
    with np.errstate(over="ignore"):
        exponents = np.exp(sums)
    linear = np.abs(given - sums) <= reach
    logarithmic = np.abs(given - exponents) <= CLOSE * (1 + np.abs(given))
    if not (linear.all() or logarithmic.all()):
        raise _not_linear(model)


def _not_linear(model: Any) -> Unexplained:
    return Unexplained(
        f"has coefficients that do not add up to what it predicts ({type(model).__name__})"
    )
