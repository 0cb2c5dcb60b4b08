from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from driftgauge.shared.versions.reference_rows import WARM_UP_ROWS, reference_rows

FRAME = pd.DataFrame(np.random.default_rng(3).normal(size=(400, 2)), columns=["x", "y"])
LABELS = np.where(FRAME["x"] > 0.3, "yes", np.where(FRAME["y"] > 0, "maybe", "no"))
NUMERIC = (Feature("x", "numeric"), Feature("y", "numeric"))
CLASSES = ("maybe", "no", "yes")


def published(schema: Schema, frame: pd.DataFrame = FRAME) -> PublishedVersion:
    reference = build_profile(schema, columns_of(frame, schema), None)
    return PublishedVersion(new_manifest("m", "1.0.0", "multiclass"), schema, reference)


def warmed(schema: Schema, fitted: Any, frame: pd.DataFrame = FRAME) -> Estimator:
    estimator = Estimator(schema, fitted)
    estimator.warm_up(published(schema, frame))
    return estimator


@pytest.mark.parametrize(
    "fitted", [RandomForestClassifier(5, random_state=0), LogisticRegression()]
)
@pytest.mark.parametrize("named", [True, False])
def test_one_call_gives_probabilities_and_class(fitted: Any, named: bool) -> None:  # noqa: FBT001  a parameter
    """Probabilities are those of predict_proba in the order of the classes, the class that of
    predict.
    """
    fitted.fit(FRAME if named else FRAME.to_numpy(), LABELS)
    rows = FRAME.head(50)
    scores = warmed(Schema(NUMERIC, "categorical", classes=CLASSES), fitted).scores(
        rows.to_numpy().tolist()
    )
    inputs = rows if named else rows.to_numpy()
    assert [score.probabilities for score in scores if score] == fitted.predict_proba(
        inputs
    ).tolist()
    assert [score.prediction for score in scores if score] == fitted.predict(inputs).tolist()
    plain = warmed(Schema(NUMERIC, "categorical"), fitted).scores(rows.to_numpy().tolist())
    assert plain == [(score.prediction, None) for score in scores if score]


def test_numbers_as_classes_are_text() -> None:
    """Classes 0 and 1 are the texts 0 and 1, whatever type the labels had."""
    fitted = LogisticRegression().fit(FRAME.to_numpy(), (FRAME["x"] > 0).astype(float))
    (score,) = warmed(Schema(NUMERIC, "categorical", classes=("0", "1")), fitted).scores(
        [[5.0, 0.0]]
    )
    assert score is not None
    assert score.prediction == "1"
    assert score.probabilities is not None
    assert sum(score.probabilities) == pytest.approx(1)


@pytest.mark.parametrize("classes", [("no", "maybe", "yes"), ("maybe", "no"), ("a", "b", "c")])
def test_another_order_of_classes_is_refused(classes: tuple[str, ...]) -> None:
    """Classes that are not the model's, in its order, would swap probabilities: such a version is
    not loaded.
    """
    fitted = LogisticRegression().fit(FRAME.to_numpy(), LABELS)
    with pytest.raises(BadData, match="maybe, no, yes"):
        Estimator(Schema(NUMERIC, "categorical", classes=classes), fitted)


def test_a_threshold_of_its_own_is_refused_with_classes_only() -> None:
    """A model that decides by a threshold would change its answers silently; without classes
    predict is asked.
    """
    labels = (FRAME["x"] > 0).astype(int)
    fitted = FixedThresholdClassifier(LogisticRegression(), threshold=0.9).fit(
        FRAME.to_numpy(), labels
    )
    with pytest.raises(BadData, match="threshold"):
        warmed(Schema(NUMERIC, "categorical", classes=("0", "1")), fitted)
    warmed(Schema(NUMERIC, "categorical"), fitted)


class Odd:
    """Gives what it is told to, whatever the rows."""

    def __init__(self, output: Any) -> None:
        self.output = output

    def predict(self, matrix: NDArray[Any]) -> Any:
        if isinstance(self.output, Exception):
            raise self.output
        return np.resize(self.output, len(matrix)) if np.ndim(self.output) else self.output


@pytest.mark.parametrize("output", [ValueError("saw 13"), 7.0, [np.nan], ["a"]])
def test_what_cannot_predict_its_own_reference_is_refused(output: Any) -> None:
    """A version whose first prediction fails, or is no finite number, is refused without quoting
    the model's words.
    """
    with pytest.raises(BadData, match=r"m 1\.0\.0") as refused:
        warmed(Schema(NUMERIC), Odd(output))
    assert "saw 13" not in str(refused.value)


def test_a_number_here_and_there_may_be_missing() -> None:
    """Rows for which the model gives no finite number are None; the others have their number."""
    estimator = warmed(Schema(NUMERIC), Odd([1.5, np.inf]))
    assert estimator.scores([[0.0, 0.0]] * 3) == [(1.5, None), None, (1.5, None)]


def test_the_first_rows_are_the_references() -> None:
    """The first prediction sees each feature from its smallest to its largest, and its
    categories.
    """
    frame = FRAME.assign(c=["a", "b"] * 200, gone=np.nan)
    schema = Schema(
        (*NUMERIC, Feature("c", "categorical"), Feature("gone", "numeric", nullable=True))
    )
    rows = reference_rows(published(schema, frame))
    assert len(rows) == WARM_UP_ROWS
    assert (rows[0][0], rows[-1][0]) == (FRAME["x"].min(), FRAME["x"].max())
    assert {row[2] for row in rows} == {"a", "b"}
    assert {row[3] for row in rows} == {None}


def test_a_regression_is_what_the_model_says() -> None:
    """Without classes a number is the model's, to the rounding."""
    fitted = LinearRegression().fit(FRAME.to_numpy(), FRAME["x"] * 3)
    found = warmed(Schema(NUMERIC), fitted).scores(FRAME.to_numpy().tolist())
    assert [score.prediction for score in found if score] == pytest.approx(
        fitted.predict(FRAME.to_numpy()), rel=1e-12
    )
