"""A prediction is a function of its row and the version, for many pipelines in any split."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from driftgauge.consumer.offline.model_dtypes import as_fitted
from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.shared.reference.frames import infer, rows_of
from driftgauge.shared.versions.model_frame import model_frame
from driftgauge.shared.versions.prediction import model_columns, predict

ROWS = 240
TEXTS, NUMBERS = ["plan", "region"], ["age", "visits", "paid"]


def table() -> pd.DataFrame:
    """Two columns of texts, one with missing values, and numbers, one with missing values."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "plan": random.choice(["gold", "plus", "basic"], ROWS).astype(object),
            "age": random.normal(40, 9, ROWS).round(1),
            "region": random.choice(["north", "south"], ROWS).astype(object),
            "visits": random.integers(0, 9, ROWS),
            "paid": random.random(ROWS) < 0.5,
        }
    )
    frame.loc[random.random(ROWS) < 0.2, "plan"] = np.nan
    frame.loc[random.random(ROWS) < 0.2, "age"] = np.nan
    return frame


def truth(frame: pd.DataFrame) -> Any:
    plans = frame["plan"].map({"gold": 9.0, "plus": -2.0, "basic": 1.0}).astype(float).fillna(16.0)
    return plans + frame["age"].fillna(50) / 10 + frame["visits"] + 3 * (frame["region"] == "north")


def encoded(encoder: Any, numbers: Any = "passthrough", *before: Any) -> Any:
    texts = make_pipeline(*before, encoder) if before else encoder
    columns = ColumnTransformer([("texts", texts, TEXTS), ("numbers", numbers, NUMBERS)])
    return make_pipeline(columns, SimpleImputer(), Ridge())


def as_categories(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict.fromkeys(TEXTS, "category"))


def with_none(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts whose missing values are None, as frames from JSON or a database have them."""
    plans = [None if value != value else value for value in frame["plan"]]  # noqa: PLR0124  NaN
    return frame.assign(plan=pd.Series(plans, dtype=object))


def visits_as_category(frame: pd.DataFrame) -> pd.DataFrame:
    return as_categories(frame).astype({"visits": "category"})


ORDINAL = OrdinalEncoder(
    handle_unknown="use_encoded_value", unknown_value=-9, encoded_missing_value=-1
)
SELECTED = ColumnTransformer(
    [
        ("texts", ORDINAL, make_column_selector(dtype_exclude=["number", "bool"])),
        ("rest", "passthrough", make_column_selector(dtype_include=["number", "bool"])),
    ]
)
PIPELINES: dict[str, tuple[Any, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "ordinal": (encoded(ORDINAL), pd.DataFrame.copy),
    "ordinal, None": (encoded(ORDINAL), with_none),
    "one hot": (encoded(OneHotEncoder(handle_unknown="ignore")), pd.DataFrame.copy),
    "one hot, None": (encoded(OneHotEncoder(handle_unknown="ignore")), with_none),
    "target": (encoded(TargetEncoder(target_type="continuous")), pd.DataFrame.copy),
    "imputed mode": (
        encoded(
            OneHotEncoder(handle_unknown="ignore"),
            "passthrough",
            SimpleImputer(strategy="most_frequent"),
        ),
        pd.DataFrame.copy,
    ),
    "imputed constant": (
        encoded(
            OneHotEncoder(handle_unknown="ignore"),
            make_pipeline(SimpleImputer(), StandardScaler()),
            SimpleImputer(strategy="constant", fill_value="none"),
        ),
        pd.DataFrame.copy,
    ),
    "imputed None": (
        encoded(
            OneHotEncoder(handle_unknown="ignore"),
            "passthrough",
            SimpleImputer(strategy="constant", fill_value="none", missing_values=None),
        ),
        with_none,
    ),
    "indicator": (
        encoded(
            OneHotEncoder(handle_unknown="ignore"),
            make_pipeline(SimpleImputer(add_indicator=True)),
        ),
        pd.DataFrame.copy,
    ),
    "selected by dtype": (
        make_pipeline(SELECTED, SimpleImputer(), Ridge()),
        pd.DataFrame.copy,
    ),
    "histogram boosting of codes": (
        make_pipeline(
            ColumnTransformer([("texts", ORDINAL, TEXTS)], remainder="passthrough"),
            HistGradientBoostingRegressor(categorical_features=[0, 1], max_iter=20),
        ),
        pd.DataFrame.copy,
    ),
    "histogram boosting of categories": (
        HistGradientBoostingRegressor(categorical_features="from_dtype", max_iter=20),
        as_categories,
    ),
    "lightgbm of categories": (
        LGBMRegressor(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1),
        as_categories,
    ),
    "lightgbm of numbers as categories": (
        LGBMRegressor(n_estimators=20, min_child_samples=5, verbose=-1, n_jobs=1),
        visits_as_category,
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_prediction_does_not_hang_on_who_shares_the_call(name: str) -> None:
    """A row has the pipeline's own prediction on the frame that it was fitted on: alone, in pairs,
    in a batch, and where the missing texts of a call have nothing beside them.
    """
    estimator, typed = PIPELINES[name]
    frame = typed(table())
    fitted = estimator.fit(frame, truth(table()))
    schema = infer(frame, {}, pd.Series(truth(table())), "y")
    columns = model_columns(frame, schema)
    schema = as_fitted(schema, frame, fitted, columns)
    expected = np.asarray(fitted.predict(frame))

    served = Estimator(schema, fitted)
    rows = [list(row.values()) for row in rows_of(frame, schema)]
    missing = [place for place, row in enumerate(rows) if row[0] is None]
    random = np.random.default_rng(0)
    splits = [
        [[place] for place in range(0, ROWS, 7)],
        [missing, [place for place in range(ROWS) if place not in missing]],
        [random.permutation(ROWS)[:90].tolist(), random.permutation(ROWS)[90:].tolist()],
        [list(range(ROWS))],
    ]
    for split in splits:
        for part in split:
            scores = served.scores([rows[place] for place in part])
            answers = [score.prediction for score in scores if score is not None]
            assert answers == pytest.approx(expected[part].tolist(), rel=1e-9)
    assert predict(schema, fitted, columns) == pytest.approx(expected, rel=1e-9)


def test_categories_are_found_where_the_reference_cannot_say_so() -> None:
    """A model that was fitted on categories of pandas is served from a reference in CSV, which has
    texts only.
    """
    frame = table()
    for name in ("lightgbm of categories", "histogram boosting of categories"):
        estimator, typed = PIPELINES[name]
        fitted = estimator.fit(typed(frame), truth(frame))
        schema = infer(frame, {}, pd.Series(truth(frame)), "y")
        columns = model_columns(frame, schema)
        schema = as_fitted(schema, frame, fitted, columns)
        assert predict(schema, fitted, columns) == pytest.approx(fitted.predict(typed(frame)))


def test_the_frame_is_a_function_of_the_schema() -> None:
    """Dtypes and missing markers are the same for one row, for rows without any missing text, and
    for rows without any text.
    """
    frame = table()
    schema = infer(frame)
    for part in (frame, frame[:1], frame[frame["plan"].isna()], frame[frame["plan"].notna()]):
        found = model_frame(schema, model_columns(part, schema), named=True)
        kinds = found.dtypes.astype(str).tolist()
        assert kinds == ["object", "float64", "object", "float64", "bool"]
        assert not [value for value in found["plan"] if value is None]
