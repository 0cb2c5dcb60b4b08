"""Predicting whole columns."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.prediction import (
    class_labels,
    model_columns,
    model_inputs,
    predict,
    probabilities,
)

FRAME = pd.DataFrame({"c": ["a", None, "b"], "y": [1.0, np.nan, 3.0], "x": [3, 2, 1]})
NUMBERS = Schema((Feature("x", "numeric"), Feature("y", "numeric", nullable=True)))
MIXED = Schema(
    (Feature("y", "numeric", nullable=True), Feature("c", "categorical", nullable=True)),
    "categorical",
)


class Answers:
    """Gives what it was told to give."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, _: Any) -> Any:
        return self.answer


def test_inputs_are_as_the_model_was_fitted() -> None:
    """A matrix in the schema's order; a frame for a model that knows names, or if there are
    categories.
    """
    columns = model_columns(FRAME, NUMBERS)
    matrix = model_inputs(NUMBERS, None, columns)
    assert np.array_equal(matrix, [[3, 1], [2, np.nan], [1, 3]], equal_nan=True)
    named = LinearRegression().fit(FRAME[["x"]].assign(y=1.0), [1, 2, 3])
    assert list(model_inputs(NUMBERS, named, columns).columns) == ["x", "y"]
    mixed = model_inputs(MIXED, None, model_columns(FRAME, MIXED))
    assert mixed["c"].isna().tolist() == [False, True, False]
    assert mixed["y"].dtype == np.float64


def test_labels_and_probabilities_have_one_order() -> None:
    """Whole numbers as labels are text without a decimal point, in the predictions and in the
    classes.
    """
    fitted = LogisticRegression().fit([[0.0], [1.0], [2.0]], [7.0, 3.0, 3.0])
    schema = Schema((Feature("x", "numeric"),), "categorical")
    columns = model_columns(FRAME, schema)
    found = probabilities(schema, fitted, columns)
    assert found is not None
    assert class_labels(fitted) == ("3", "7")
    assert predict(schema, fitted, columns) == [
        class_labels(fitted)[place] for place in found.argmax(axis=1)
    ]
    assert probabilities(schema, Answers([1]), columns) is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0, 2.0], "shape"),
        ([[1.0]] * 3, "shape"),
        ([1.0, np.nan, np.inf], "no finite number for 2 of 3"),
        (["a"] * 3, "no num"),
    ],
)
def test_unusable_predictions_are_refused(answer: Any, message: str) -> None:
    """One finite number a row, or an error that says what came instead."""
    with pytest.raises(BadData, match=message):
        predict(NUMBERS, Answers(answer), model_columns(FRAME, NUMBERS))


def test_absent_columns_are_named() -> None:
    """All of them at once."""
    with pytest.raises(BadData, match="lack these columns of the schema: x, y"):
        model_columns(FRAME[["c"]], NUMBERS)
