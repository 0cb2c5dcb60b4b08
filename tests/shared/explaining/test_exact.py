"""Every kind of model that has contributions of its own: they add up to what it predicts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor, StackingRegressor, VotingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftgauge.shared.artifacts import format_named
from driftgauge.shared.explaining.explanation import Unexplained
from tests.shared.explaining.worlds import (
    ALL,
    COUNT,
    FRAME,
    KIND,
    NUMBERS,
    PRICE,
    SOLD,
    explanations,
    total,
)

SMALL: dict[str, Any] = {"n_estimators": 12, "num_leaves": 7, "n_jobs": 1, "verbose": -1}


def library(name: str) -> Any:
    """Import a library; without it the test is skipped, but never in CI."""
    if os.environ.get("CI"):
        return __import__(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[test]'")


class Case(NamedTuple):
    """A model, the scale on which it is explained, the columns that it takes, and how it is asked
    for its raw score, where that is no function of what it predicts.
    """

    fitted: Any
    scale: str
    columns: list[str] = NUMBERS
    raw: Callable[[Any, Any], Any] | None = None


def encoded() -> Any:
    """A usual frame of a model: missing numbers are filled and scaled, categories are one-hot."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), (numbers, NUMBERS)
    )


def lightgbm_text(task: Any, target: Any, kind: Any, columns: list[str] = NUMBERS) -> Any:
    rows = FRAME[columns].astype({"city": "category"} if "city" in columns else {})
    fitted = kind(**SMALL).fit(rows, target)
    classes = tuple(getattr(fitted, "classes_", ()))
    text = fitted.booster_.model_to_string().encode()
    return format_named("model.txt").load(text, task, classes)


def xgboost_file(kind: str, target: Any, task: Any, classes: tuple[str, ...] = ()) -> Any:
    fitted = getattr(library("xgboost"), kind)(n_estimators=9, nthread=1)
    fitted.fit(FRAME[NUMBERS], target)
    content = bytes(fitted.get_booster().save_raw("json"))
    return format_named("model.ubj").load(content, task, classes)


def xgboost_stopped() -> Any:
    """Trees beyond the best one are in the file, and neither predict nor explain."""
    fitted = library("xgboost").XGBRegressor(n_estimators=40, early_stopping_rounds=1, nthread=1)
    noise = [(FRAME[NUMBERS].head(40), np.random.default_rng(1).normal(size=40))]
    fitted.fit(FRAME[NUMBERS], PRICE, eval_set=noise, verbose=False)
    assert fitted.best_iteration + 1 < fitted.get_booster().num_boosted_rounds()
    return fitted


def catboost(kind: str, target: Any, columns: list[str], **more: Any) -> Any:
    fitted = getattr(library("catboost"), kind)(
        iterations=8, verbose=False, thread_count=1, allow_writing_files=False, **more
    )
    categories = ["city"] if "city" in columns else None
    return fitted.fit(FRAME[columns], target, cat_features=categories)


def catboost_file(tmp: str, *given: Any, **more: Any) -> Any:
    fitted = catboost(*given, **more)
    fitted.save_model(tmp)
    return format_named("model.cbm").load(Path(tmp).read_bytes(), "monitor", ())


def decided(fitted: Any, rows: Any) -> Any:
    return fitted.decision_function(rows)


NUMBER = (KIND == "high").astype(int) + 2 * (KIND == "low")
CASES: dict[str, Callable[[str], Case]] = {
    "lightgbm": lambda _: Case(LGBMRegressor(**SMALL).fit(FRAME[NUMBERS], PRICE), "prediction"),
    "lightgbm matrix": lambda _: Case(
        LGBMRegressor(**SMALL).fit(FRAME[NUMBERS].to_numpy(), PRICE), "prediction"
    ),
    "lightgbm poisson": lambda _: Case(
        LGBMRegressor(**SMALL, objective="poisson").fit(FRAME[NUMBERS], COUNT), "log_prediction"
    ),
    "lightgbm square root": lambda _: Case(
        LGBMRegressor(**SMALL, reg_sqrt=True).fit(FRAME[NUMBERS], COUNT),
        "margin",
        raw=lambda fitted, rows: np.sqrt(fitted.predict(rows)),
    ),
    "lightgbm binary": lambda _: Case(
        LGBMClassifier(**SMALL).fit(FRAME[NUMBERS], SOLD), "log_odds"
    ),
    "lightgbm classes": lambda _: Case(
        LGBMClassifier(**SMALL).fit(FRAME[NUMBERS], KIND),
        "margin",
        raw=lambda fitted, rows: fitted.predict(rows, raw_score=True),
    ),
    "lightgbm text": lambda _: Case(
        lightgbm_text("regression", PRICE, LGBMRegressor), "prediction"
    ),
    "lightgbm text binary": lambda _: Case(
        lightgbm_text("binary", SOLD, LGBMClassifier), "log_odds"
    ),
    "lightgbm text classes": lambda _: Case(
        lightgbm_text("multiclass", KIND, LGBMClassifier),
        "margin",
        raw=lambda fitted, rows: fitted._booster.predict(rows, raw_score=True),
    ),
    "lightgbm text with categories": lambda _: Case(
        lightgbm_text("regression", PRICE, LGBMRegressor, columns=ALL), "prediction", ALL
    ),
    "lightgbm forest": lambda _: Case(
        LGBMRegressor(**SMALL, boosting_type="rf", bagging_freq=1, bagging_fraction=0.5).fit(
            FRAME[NUMBERS], PRICE
        ),
        "margin",  # it adds the trees up, and predicts their mean
        raw=lambda fitted, rows: 12 * fitted.predict(rows),
    ),
    "lightgbm in a search": lambda _: Case(
        GridSearchCV(
            make_pipeline(StandardScaler(), LGBMRegressor(**SMALL)),
            {"lgbmregressor__num_leaves": [5, 7]},
            cv=2,
        ).fit(FRAME[NUMBERS], PRICE),
        "prediction",
    ),
    "lightgbm in a pipeline": lambda _: Case(
        make_pipeline(encoded(), LGBMClassifier(**SMALL)).fit(FRAME[ALL], SOLD), "log_odds", ALL
    ),
    "xgboost": lambda _: Case(xgboost_stopped(), "prediction"),
    "xgboost with a number for missing": lambda _: Case(
        library("xgboost")
        .XGBRegressor(n_estimators=9, nthread=1, missing=FRAME.a[0])
        .fit(FRAME[NUMBERS], PRICE),
        "prediction",
    ),
    "xgboost classes": lambda _: Case(
        library("xgboost").XGBClassifier(n_estimators=9, nthread=1).fit(FRAME[NUMBERS], NUMBER),
        "margin",
        raw=lambda fitted, rows: fitted.predict(rows, output_margin=True),
    ),
    "xgboost logistic": lambda _: Case(
        library("xgboost")
        .XGBRegressor(n_estimators=9, nthread=1, objective="reg:logistic")
        .fit(FRAME[NUMBERS], PRICE.rank(pct=True)),
        "log_odds",
    ),
    "xgboost file": lambda _: Case(xgboost_file("XGBRegressor", PRICE, "regression"), "prediction"),
    "xgboost file binary": lambda _: Case(
        xgboost_file("XGBClassifier", SOLD == "yes", "binary", ("no", "yes")), "log_odds"
    ),
    "catboost": lambda _: Case(catboost("CatBoostRegressor", PRICE, ALL), "prediction", ALL),
    "catboost classes": lambda _: Case(
        catboost("CatBoostClassifier", KIND, ALL),
        "margin",
        ALL,
        lambda fitted, rows: fitted.predict(rows, prediction_type="RawFormulaVal"),
    ),
    "catboost file": lambda tmp: Case(
        catboost_file(tmp, "CatBoostRegressor", COUNT, NUMBERS, loss_function="Poisson"),
        "log_prediction",
    ),
    "catboost file binary": lambda tmp: Case(
        catboost_file(tmp, "CatBoostClassifier", SOLD, ALL), "log_odds", ALL
    ),
    "stack": lambda _: Case(
        StackingRegressor(
            [("trees", LGBMRegressor(**SMALL)), ("line", make_pipeline(StandardScaler(), Ridge()))],
            cv=3,
        ).fit(FRAME[NUMBERS], PRICE),
        "prediction",
    ),
    "average": lambda _: Case(
        VotingRegressor(
            [("trees", LGBMRegressor(**SMALL)), ("none", "drop"), ("line", Ridge())],
            weights=[3, 9, 1],
        ).fit(FRAME[NUMBERS], PRICE),
        "prediction",
    ),
    "linear": lambda _: Case(LinearRegression().fit(FRAME[NUMBERS], PRICE), "prediction"),
    "linear of scaled": lambda _: Case(
        make_pipeline(StandardScaler(), Ridge()).fit(FRAME[NUMBERS].to_numpy(), PRICE),
        "prediction",
    ),
    "linear of encoded": lambda _: Case(
        make_pipeline(encoded(), LogisticRegression()).fit(FRAME[ALL], SOLD), "log_odds", ALL
    ),
    "linear of classes": lambda _: Case(
        LogisticRegression().fit(FRAME[NUMBERS], KIND), "margin", raw=decided
    ),
    "linear of counts": lambda _: Case(
        PoissonRegressor(max_iter=1000).fit(FRAME[NUMBERS], COUNT), "log_prediction"
    ),
    "linear without probabilities": lambda _: Case(
        RidgeClassifier().fit(FRAME[NUMBERS], SOLD), "margin", raw=decided
    ),
}


def predicted(case: Case, rows: pd.DataFrame, about: str | None) -> Any:
    """Return what the sums have to be, from what the model itself answers."""
    fitted = case.fitted
    named = hasattr(fitted, "feature_names_in_") or case.columns == ALL
    given = rows if named else rows.to_numpy()
    if case.raw is not None:
        raw = np.asarray(case.raw(fitted, given), dtype=float)
        if raw.ndim == 1:
            return raw
        return raw[range(len(raw)), fitted.predict_proba(given).argmax(axis=1)]
    numbers = fitted.predict_proba(given)[:, 1] if about else fitted.predict(given)
    if case.scale == "log_odds":
        return np.log(numbers / (1 - numbers))
    return np.log(numbers) if case.scale == "log_prediction" else numbers


@pytest.mark.parametrize("name", CASES)
def test_contributions_add_up_to_the_prediction(name: str, tmp_path: Any) -> None:
    """Base and contributions of a row are what the model itself predicts, on the scale that is
    told; of several classes they are the raw score of the one that is predicted.
    """
    case = CASES[name](str(tmp_path / "model"))
    rows = FRAME[case.columns].head(25)
    found = explanations(case.fitted, case.columns, rows)
    assert {one.scale for one in found} == {case.scale}
    assert {len(one.contributions) for one in found} == {len(case.columns)}
    wanted = predicted(case, rows, found[0].about)
    np.testing.assert_allclose([total(one) for one in found], wanted, rtol=1e-4, atol=1e-5)
    if not len(getattr(case.fitted, "classes_", ())):
        assert {one.about for one in found} == {None}
    elif len(case.fitted.classes_) == 2:
        assert {one.about for one in found} == {"yes"}
    else:
        answers = np.asarray(case.fitted.predict(rows)).ravel()
        assert [one.about for one in found] == [str(one) for one in answers]


def test_a_category_has_one_contribution() -> None:
    """The columns of a one-hot encoder are one feature; a feature that the prediction does not
    depend on contributes nothing.
    """
    target = 5.0 * (FRAME.city == "rome")
    fitted = make_pipeline(encoded(), LinearRegression()).fit(FRAME[ALL], target)
    rows = FRAME.assign(a=9.0).groupby("city").head(1)
    found = explanations(fitted, ALL, rows)
    away = [-5.0 * (city != "rome") for city in rows.city]  # rome is the most frequent
    np.testing.assert_allclose(
        [one.contributions for one in found], [[0, 0, 0, value] for value in away], atol=1e-9
    )


def test_a_missing_value_is_explained() -> None:
    """A missing number is what the imputer makes of it, and trees have a branch for it."""
    row = FRAME[ALL].head(1).assign(a=None)
    linear = make_pipeline(encoded(), Ridge()).fit(FRAME[ALL], PRICE)
    (found,) = explanations(linear, ALL, row)
    assert found.contributions[0] == pytest.approx(0, abs=1e-9)
    assert total(found) == pytest.approx(linear.predict(row.astype({"a": float}))[0])
    trees = LGBMRegressor(**SMALL).fit(FRAME[NUMBERS], PRICE)
    (found,) = explanations(trees, NUMBERS, row)
    wanted = trees.predict(row[NUMBERS].astype({"a": float}))[0]
    assert total(found) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("fitted", "reason"),
    [
        (RandomForestRegressor(3), "no contributions of its own .RandomForestRegressor"),
        (make_pipeline(PCA(2), LinearRegression()), "step PCA before its model, which may mix"),
        (make_pipeline(PCA(2), LGBMRegressor(**SMALL)), "step PCA"),
        (LGBMRegressor(**SMALL, linear_tree=True), "not implemented for linear trees"),
        (
            StackingRegressor([("line", Ridge())], RandomForestRegressor(3)),
            "more than a linear model of what they predict .RandomForestRegressor",
        ),
        (StackingRegressor([("line", Ridge())], passthrough=True), "more than a linear model"),
        (
            VotingRegressor([("line", Ridge()), ("counts", PoissonRegressor())]),
            "a member whose contributions are on another scale .PoissonRegressor",
        ),
    ],
)
def test_what_cannot_be_explained_says_why(fitted: Any, reason: str) -> None:
    """A model without contributions of its own, one behind a step that mixes features, and trees
    that their own library cannot explain.
    """
    fitted.fit(FRAME[NUMBERS].to_numpy(), PRICE - PRICE.min())
    with pytest.raises(Exception, match=reason):
        explanations(fitted, NUMBERS, FRAME.head(1))


class Curved(LinearRegression):  # type: ignore[misc]  # scikit-learn has no types
    """Has coefficients, and predicts something else."""

    def predict(self, rows: Any) -> Any:
        return super().predict(rows) ** 2


class Shifted(LGBMRegressor):  # type: ignore[misc]  # LightGBM has no types
    """Predicts something else than its trees add up to."""

    def predict(self, rows: Any, **more: Any) -> Any:
        found = super().predict(rows, **more)
        return found if more.get("pred_contrib") else found + 1


def test_trees_are_not_taken_on_trust() -> None:
    """A model that predicts otherwise than its trees is not explained by them."""
    fitted = Shifted(**SMALL).fit(FRAME[NUMBERS], PRICE)
    with pytest.raises(Unexplained, match="do not add up to its own score"):
        explanations(fitted, NUMBERS, FRAME.head(1))


def test_coefficients_are_not_taken_on_trust() -> None:
    """A model that has coefficients and is not linear is not explained by them."""
    fitted = Curved().fit(FRAME[NUMBERS].to_numpy(), PRICE)
    with pytest.raises(Unexplained, match="do not add up to what it predicts"):
        explanations(fitted, NUMBERS, FRAME.head(1))


def test_trees_need_no_values_of_the_reference() -> None:
    """A personal feature, whose values no reference has, is explained by trees, and not by a
    linear model.
    """
    trees = LGBMRegressor(**SMALL).fit(FRAME[NUMBERS], PRICE)
    (found,) = explanations(trees, NUMBERS, FRAME.head(1), dropped="a")
    assert found.contributions[0] != 0
    linear = LinearRegression().fit(FRAME[NUMBERS], PRICE)
    with pytest.raises(Unexplained, match=r"personal features \(a\)"):
        explanations(linear, NUMBERS, FRAME.head(1), dropped="a")
