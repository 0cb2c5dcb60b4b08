"""LightGBM's text format against scikit-learn's wrapper of the same model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor

from driftgauge.shared.artifacts.lightgbm_text import TextModel
from driftgauge.shared.errors import BadData

RANDOM = np.random.default_rng(3)
MATRIX = RANDOM.normal(size=(400, 3))
MATRIX[::17, 1] = np.nan
SCORES = np.nan_to_num(MATRIX) @ [1.0, -2.0, 0.5]
SMALL = {"n_estimators": 12, "num_leaves": 7, "n_jobs": 1, "verbose": -1}


def text_of(estimator: Any) -> str:
    return str(estimator.booster_.model_to_string())


def test_a_regression_predicts_the_same() -> None:
    """The text's predictions are the wrapper's, missing values included."""
    wrapper = LGBMRegressor(**SMALL).fit(MATRIX, SCORES)
    model = TextModel(text_of(wrapper), "regression")
    assert np.array_equal(model.predict(MATRIX), wrapper.predict(MATRIX))
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array(["high", "low", "mid"]), np.array([3, 7])]
)
def test_a_classifier_predicts_the_same(labels: np.ndarray) -> None:
    """Labels and probabilities of two and of several classes, whatever the labels' type, are the
    wrapper's.
    """
    truth = labels[
        np.digitize(SCORES, np.linspace(-1, 1, len(labels) - 1) if len(labels) > 2 else [0])
    ]
    wrapper = LGBMClassifier(**SMALL).fit(MATRIX, truth)
    classes = tuple(map(str, wrapper.classes_))
    model = TextModel(text_of(wrapper), "binary" if len(labels) == 2 else "multiclass", classes)
    assert np.allclose(
        model.predict_proba(MATRIX), wrapper.predict_proba(MATRIX), rtol=0, atol=1e-15
    )
    assert model.predict(MATRIX).tolist() == [str(label) for label in wrapper.predict(MATRIX)]
    assert tuple(model.classes_) == classes


@pytest.mark.parametrize("values", [["x", "y", "z"], [10, 20, 30]])
def test_categories_are_those_of_the_training(values: list[Any]) -> None:
    """A category reaches the model as text, is matched by value and not by place, and a new one
    counts as missing.
    """
    column = np.array(values)[RANDOM.integers(0, 3, 400)]
    frame = pd.DataFrame({"n": MATRIX[:, 0], "c": pd.Categorical(column)})
    wrapper = LGBMRegressor(**SMALL).fit(frame, SCORES + 5 * (column == values[2]))
    model = TextModel(text_of(wrapper), "regression")
    streamed = pd.DataFrame(
        {"n": MATRIX[:, 0], "c": [str(value) for value in column]}, dtype=object
    ).astype({"n": float})
    assert np.array_equal(model.predict(streamed), wrapper.predict(frame))
    few = streamed.tail(1)
    assert np.array_equal(model.predict(few), wrapper.predict(frame.tail(1)))
    unseen = model.predict(few.assign(c="never seen"))
    missing = wrapper.predict(frame.tail(1).assign(c=pd.Categorical([None], categories=values)))
    assert np.array_equal(unseen, missing)


def test_what_does_not_fit_is_refused() -> None:
    """A text that is no model, another task, another number of classes or categories: each with its
    own message.
    """
    wrapper = LGBMRegressor(**SMALL).fit(MATRIX, SCORES)
    with pytest.raises(BadData, match="no LightGBM model"):
        TextModel("no model", "regression")
    with pytest.raises(BadData, match="1 outputs a row"):
        TextModel(text_of(wrapper), "multiclass", ("a", "b", "c"))
    with pytest.raises(BadData, match="has 2 classes, but the schema names 3: a, b, c"):
        TextModel(text_of(wrapper), "binary", ("a", "b", "c"))
    with pytest.raises(BadData, match="0 categorical features, the rows have 1"):
        TextModel(text_of(wrapper), "regression").predict(
            pd.DataFrame({"a": [1.0], "b": [1.0], "c": ["x"]})
        )
