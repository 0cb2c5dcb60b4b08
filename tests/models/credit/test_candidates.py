from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from driftgauge.models.credit.candidates import (
    CANDIDATES,
    FOLDS,
    Candidate,
    fold_scores,
    steadiest,
    steadiness,
)
from driftgauge.models.credit.simulate import CardHolders


def test_steadiness_of_known_scores() -> None:
    """Mean minus the standard deviation of a sample: of .7, .8, .9 it is .8 - .1."""
    assert steadiness([0.7, 0.8, 0.9]) == pytest.approx(0.7)
    assert steadiness([0.5, 0.5, 0.5]) == 0.5


def test_a_steady_model_beats_one_with_a_better_mean() -> None:
    """The choice is not by the mean: .85 ± .12 loses to .80 ± .01."""
    scores = {"bright": [0.70, 0.90, 0.95], "steady": [0.79, 0.80, 0.81]}
    assert np.mean(scores["bright"]) > np.mean(scores["steady"])
    assert steadiest(scores) == "steady"
    assert steadiest({"one": [0.8, 0.8], "other": [0.8, 0.8]}) == "one"


class Recorder:
    """A model that notes what it is fitted on and asked, and says 0 to all."""

    def __init__(self) -> None:
        self.fitted: list[list[int]] = []
        self.asked: list[list[int]] = []

    def fit(self, features: pd.DataFrame, labels: NDArray[Any]) -> "Recorder":
        assert len(features) == len(labels)
        self.fitted.append(features.index.tolist())
        return self

    def predict(self, features: pd.DataFrame) -> NDArray[np.object_]:
        self.asked.append(features.index.tolist())
        return np.array(["0"] * len(features), dtype=object)


def test_folds_keep_the_order_of_time() -> None:
    """A model is fitted on every row before its fold, and on none of it or after it; scores are the
    F1 of class 0.
    """
    recorder = Recorder()
    frame = pd.DataFrame({"x": range(60)})
    labels = np.array(["0", "1"] * 30, dtype=object)
    scores = fold_scores(lambda: recorder, frame, labels)
    assert [len(part) for part in recorder.fitted] == [10, 20, 30, 40, 50]
    for fitted, asked in zip(recorder.fitted, recorder.asked, strict=True):
        assert fitted == list(range(len(fitted)))
        assert asked == list(range(len(fitted), len(fitted) + 10))
    assert scores == pytest.approx([2 / 3] * FOLDS)  # precision 1/2, recall 1


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_every_candidate_predicts_what_the_schema_lets_through(candidate: Candidate) -> None:
    """Missing values, a code never seen and a calendar that was missing in training give
    probabilities all the same.
    """
    rows = CardHolders(2).labelled(600)
    features = rows.features.assign(month_sin=np.nan, month_cos=np.nan)
    model = candidate.build(0, candidate.default).fit(features, rows.labels)
    odd = rows.features[:3].assign(
        EDUCATION=["99", None, "1"], MARRIAGE=None, AGE=np.nan, PAY_6=np.nan
    )
    chances = model.predict_proba(odd)
    assert chances.shape == (3, 2)
    assert np.isfinite(chances).all()
    assert model.classes_.tolist() == ["0", "1"]
    assert set(candidate.ranges) <= set(candidate.default)
