from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from driftgauge.shared.explaining.explanation import Unexplained
from driftgauge.shared.explaining.steps import columns_of, parted, through
from tests.shared.explaining.worlds import ALL, FRAME, NUMBERS

CITIES = FRAME[ALL].assign(rare=["x", "y"] * 190 + ["z", "q"] * 10)


@pytest.mark.parametrize(
    ("step", "owners"),
    [
        (OrdinalEncoder(), [0, 1]),
        (OneHotEncoder(), [0, 0, 0, 1, 1, 1, 1]),
        (OneHotEncoder(drop="first"), [0, 0, 1, 1, 1]),
        (OneHotEncoder(min_frequency=50), [0, 0, 0, 1, 1, 1]),
        (OneHotEncoder(max_categories=2, drop="first"), [0, 1]),
    ],
)
def test_an_encoder_makes_columns_of_its_own_feature(step: Any, owners: list[int]) -> None:
    """As many as it has categories, less those that it drops or puts together."""
    rows = CITIES[["city", "rare"]]
    made = through([step.fit(rows)], rows)
    assert made.owners.tolist() == owners
    assert made.rows.shape == (len(rows), len(owners))


@pytest.mark.parametrize("named", [True, False])
def test_columns_side_by_side_are_told_apart(named: bool) -> None:  # noqa: FBT001  a parameter
    """By names, places, slices and masks; dropped ones are in no column, others pass through."""
    rows = CITIES[[*ALL, "rare"]] if named else CITIES[[*ALL, "rare"]].to_numpy()
    step = make_column_transformer(
        (OneHotEncoder(), ["city"] if named else [3]),
        ("drop", ["rare"] if named else slice(4, 5)),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["c", "a"] if named else [2, 0]),
        remainder="passthrough",
    ).fit(rows)
    assert columns_of(step, 5).tolist() == [3, 3, 3, 2, 0, 1]
    masked = make_column_transformer(
        (StandardScaler(), np.array([False, True, False, False, False]))
    ).fit(rows)
    assert columns_of(masked, 5).tolist() == [1]


def test_steps_that_do_nothing_are_passed() -> None:
    """None, `passthrough` and a function that is none."""
    steps, model = parted(
        make_pipeline("passthrough", None, FunctionTransformer(), LinearRegression()).fit(
            FRAME[NUMBERS], FRAME.a
        )
    )
    assert through(steps, FRAME[NUMBERS]).owners.tolist() == [0, 1, 2]
    assert isinstance(model, LinearRegression)
    assert parted(model) == ([], model)


class Scaler(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
    """One of a user's own: nobody knows what it does."""


@pytest.mark.parametrize(
    "step",
    [
        PCA(3),
        PolynomialFeatures(),
        SimpleImputer(add_indicator=True),
        FunctionTransformer(np.log1p),
        Scaler(),
        make_column_transformer((PCA(2), [0, 1]), remainder="passthrough"),
    ],
)
def test_what_may_mix_features_is_refused(step: Any) -> None:
    """Also a step of which nobody knows."""
    rows = FRAME[NUMBERS].to_numpy()
    with pytest.raises(Unexplained, match="which may mix features"):
        through([step.fit(rows)], rows)
