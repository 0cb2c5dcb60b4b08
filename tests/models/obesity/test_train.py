from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.models.common.training import Trained
from driftgauge.models.obesity.features import (
    ANSWERS,
    CLASSES,
    FEATURES,
    SCHEMA,
    engineer,
    read_raw,
)
from driftgauge.models.obesity.simulate import People
from driftgauge.models.obesity.train import halves, train
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.versions.prediction import predict
from tests.models.conftest import SMALL


def test_same_seed_same_model(obesity: Trained) -> None:
    """Training is reproducible: one seed gives identical metrics and predictions."""
    again = train(None, seed=0, rows=SMALL["obesity"])
    assert again.metrics == obesity.metrics
    assert (again.predictions == obesity.predictions).all()


def test_the_simulated_model_is_good_on_rows_that_it_never_saw(obesity: Trained) -> None:
    """The holdout's metrics are those of a useful model, though nobody can be right about all
    rows.
    """
    assert 0.9 < obesity.metrics["accuracy"] < 0.99
    assert obesity.metrics["f1_weighted"] > 0.9
    assert obesity.metrics["roc_auc"] > 0.98


def test_the_model_of_the_real_file_is_as_good_as_stated(from_file: Trained) -> None:
    """On held-out rows of the public file, accuracy and weighted F1 are at least .94."""
    assert from_file.metrics["accuracy"] >= 0.94
    assert from_file.metrics["f1_weighted"] >= 0.94
    assert len(from_file.holdout) >= 1000


def test_rows_of_the_same_content_are_on_one_side(from_file: Trained, data: Path) -> None:
    """The file's duplicates never are both trained on and measured, and no row is lost."""
    fitted, held = (
        set(part.itertuples(index=False, name=None))
        for part in (from_file.features, from_file.holdout)
    )
    assert not fitted & held
    parts = pd.concat([from_file.features, from_file.holdout])
    assert sorted(parts.index) == list(range(2111))
    assert read_raw(data / "obesity.csv").duplicated().sum() == 24


def test_planted_duplicates_are_on_one_side() -> None:
    """Each of 200 rows, three times and shuffled, lands on one side with all of its copies, missing
    answers or not.
    """
    rows = engineer(People(1).rows(200)).assign(FAF=np.nan, CALC=None)
    thrice = pd.concat([rows] * 3).sample(frac=1, random_state=1)
    one, other = halves(thrice, seed=3)
    sides = [set(thrice.index[side]) for side in (one, other)]
    assert not sides[0] & sides[1]
    assert [len(side) for side in sides] == [100, 100]


def test_missing_answers_are_predicted_with(obesity: Trained) -> None:
    """A person who answers nothing but age, height and weight gets a class."""
    rows = obesity.holdout[:20].copy()
    for name in FEATURES:
        if SCHEMA.features[FEATURES.index(name)].nullable:
            rows[name] = None if name in ANSWERS else np.nan
    assert set(predict(SCHEMA, obesity.estimator, columns_of(rows, SCHEMA))) <= set(CLASSES)


def test_a_file_that_cannot_be_trained_on_is_refused(tmp_path: Path) -> None:
    """Too few rows, or a class without rows, is said with its name."""
    file = tmp_path / "people.csv"
    rows = People(0).rows(1500)
    rows[:100].to_csv(file, index=False)
    with pytest.raises(BadData, match="100 rows"):
        train(file)
    rows[rows["NObeyesdad"] != "Obesity_Type_III"].to_csv(file, index=False)
    with pytest.raises(BadData, match="too few rows of Obesity_Type_III"):
        train(file)
