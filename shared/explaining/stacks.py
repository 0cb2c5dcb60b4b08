"""Stacks and averages of regressions: what their members contribute, by their weights.

A sum of models has the same sum of their contributions, so it is exact where they are. Pure.
"""

from typing import Any, NamedTuple

import numpy as np

from driftgauge.shared.explaining.explanation import Unexplained


class Stack(NamedTuple):
    """The members of a stack, the weight of each, and what is added to all."""

    members: list[Any]
    weights: list[float]
    constant: float


def stack_of(model: Any) -> Stack | None:
    """Return what a model is put together of; None if it is no `StackingRegressor` and no
    `VotingRegressor` of scikit-learn.

    Raises
    ------
    Unexplained
        If a stack puts its members together by anything but a linear model of their predictions.
    """
    name = type(model).__name__
    if not type(model).__module__.startswith("sklearn.ensemble"):
        return None
    if name == "VotingRegressor":
        given = model.weights or [1.0] * len(model.estimators)
        kept = [
            float(weight)
            for weight, (_, one) in zip(given, model.estimators, strict=True)
            if one != "drop"
        ]
        return Stack([*model.estimators_], [weight / sum(kept) for weight in kept], 0.0)
    if name != "StackingRegressor":
        return None
    last = model.final_estimator_
    if model.passthrough or not hasattr(last, "coef_") or not hasattr(last, "intercept_"):
        raise Unexplained(
            "is a stack that puts its members together by more than a linear model of what they "
            f"predict ({type(last).__name__})"
        )
    weights = np.ravel(last.coef_).tolist()
    return Stack([*model.estimators_], weights, float(np.ravel(last.intercept_)[0]))
