"""Archived rows of a version tell which features moved its mean prediction."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor

from driftgauge.consumer.offline.archived import explaining
from driftgauge.consumer.offline.archived.explaining import Asked, Why, why
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.shared.archive.making import MODEL, NOON, write

ROWS = 400
RANDOM = np.random.default_rng(11)
TRAIN = pd.DataFrame(RANDOM.normal(size=(1000, 3)), columns=["a", "b", "c"])
MOVED = pd.DataFrame(RANDOM.normal(size=(2 * ROWS, 3)), columns=["a", "b", "c"])
MOVED.loc[ROWS:, "a"] += 1.5  # the second half, an hour later
MOVED.loc[ROWS:, "b"] -= 0.5
CHANGED = NOON + 3_600_000
FEATURES = tuple(Feature(name, "numeric") for name in TRAIN)
NUMBERS = Schema(FEATURES, unit="kWh")
CLASSES = Schema(FEATURES, "categorical", classes=("no", "yes"))
TRUTH = 2 * TRAIN.a + TRAIN.b * (TRAIN.c > 0)
ASKED = Asked(CHANGED)


def archived(folder: Path, fitted: Any, schema: Schema = NUMBERS, frame: Any = MOVED) -> Any:
    """Archive what a model predicts of rows of two hours; return the archive and the version."""
    said: Any = [0.0 if schema is NUMBERS else "no"] * len(TRAIN)
    profile = build_profile(schema, columns_of(TRAIN, schema), np.array(said))
    version = PublishedVersion(new_manifest(MODEL, "1.0.0", "regression"), schema, profile)
    store = FolderStore(folder)
    answers = fitted.predict(frame).tolist()
    rows = [
        Prediction(
            id=f"id{place}",
            version="1.0.0",
            time=(CHANGED if place >= ROWS else NOON) + place,
            features=row,
            prediction=answers[place],
        )
        for place, row in enumerate(frame.to_numpy().tolist())
    ]
    write(store, 0, rows, schema=schema)
    return store, version


def of(folder: Path, fitted: Any, asked: Asked = ASKED, **more: Any) -> Why:
    return why(*archived(folder, fitted, **more), fitted, asked)


@pytest.mark.parametrize("fitted", [LinearRegression(), LGBMRegressor(n_estimators=30, verbose=-1)])
def test_changes_add_up_to_that_of_the_mean_prediction(fitted: Any, tmp_path: Path) -> None:
    """Exactly, by trees and by a line; the feature that moved is named first, and the sentence has
    the unit.
    """
    found = of(tmp_path, fitted.fit(TRAIN, TRUTH))
    before, since = (fitted.predict(part).mean() for part in (MOVED[:ROWS], MOVED[ROWS:]))
    assert (found.before.mean, found.since.mean) == pytest.approx((before, since))
    assert found.found.change == pytest.approx(since - before)
    assert sum(one.found.change for one in found.features) == pytest.approx(since - before)
    first = found.features[0]
    assert first.feature == "a"
    assert first.found.change == pytest.approx(first.since - first.before)
    assert 0 < first.found.low < first.found.change < first.found.high
    words = rf"{MODEL} 1\.0\.0: the mean prediction changed by \+[\d.]+ kWh: \+[\d.]+ from a, "
    assert re.match(words, found.said)
    assert (found.before.rows, found.since.explained, found.notes) == (ROWS, ROWS, [])


def test_a_line_says_how_far_its_features_moved(tmp_path: Path) -> None:
    """The change of a mean, times the coefficient."""
    fitted = LinearRegression().fit(TRAIN, TRUTH)
    found = of(tmp_path, fitted)
    moved = MOVED[ROWS:].mean() - MOVED[:ROWS].mean()
    wanted = dict(zip("abc", fitted.coef_ * moved, strict=True))
    assert {one.feature: one.found.change for one in found.features} == pytest.approx(wanted)


@pytest.mark.parametrize("kind", [LogisticRegression, LGBMClassifier])
def test_of_two_classes_it_is_the_log_odds(kind: Any, tmp_path: Path) -> None:
    """Of the second one, whose mean is what the changes add up to."""
    more = {"verbose": -1} if kind is LGBMClassifier else {}
    fitted = kind(**more).fit(TRAIN, np.where(TRUTH > 0, "yes", "no"))
    found = of(tmp_path, fitted, schema=CLASSES)
    assert (found.scale, found.about, found.unit) == ("log_odds", "yes", "")
    assert found.said.startswith(f"{MODEL} 1.0.0: the mean log odds of yes changed by +")
    odds = [np.log(share / (1 - share)) for _, share in fitted.predict_proba(MOVED)]
    wanted = np.mean(odds[ROWS:]) - np.mean(odds[:ROWS])
    assert found.found.change == pytest.approx(wanted, rel=1e-4)


def test_no_change_is_not_explained(tmp_path: Path) -> None:
    """Two hours of the same rows differ by chance, which is what the sentence says."""
    same = pd.concat([MOVED[:ROWS], MOVED[:ROWS]], ignore_index=True)
    found = of(tmp_path, LinearRegression().fit(TRAIN, TRUTH), frame=same)
    assert found.said.endswith("changed by 0 kWh, which may be chance.")


def test_of_many_rows_some_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their ids, so that another call gives the same; the notes say how many."""
    monkeypatch.setattr(explaining, "MOST_ROWS", 100)
    fitted = LinearRegression().fit(TRAIN, TRUTH)
    found = of(tmp_path, fitted)
    assert 50 < found.before.explained < 150
    assert found.before.rows == ROWS
    assert len(found.notes) == 2
    assert " of 400 rows before were explained" in found.notes[0]
    store, version = archived(tmp_path / "again", fitted)
    assert why(store, version, fitted, ASKED) == found


def test_times_bound_the_rows(tmp_path: Path) -> None:
    """Rows before the first one and from the last one on are left out; no row at all is said."""
    fitted = LinearRegression().fit(TRAIN, TRUTH)
    store, version = archived(tmp_path, fitted)
    found = why(store, version, fitted, Asked(CHANGED, CHANGED + ROWS + 100, NOON + 300))
    assert (found.before.rows, found.since.rows) == (100, 100)
    with pytest.raises(BadData, match="has no predictions of"):
        why(store, version, fitted, Asked(NOON - 1))


def test_what_was_answered_otherwise_is_told(tmp_path: Path) -> None:
    """A model that is not the one that answered explains its own predictions, and says so."""
    fitted = LinearRegression().fit(TRAIN, TRUTH)
    store, version = archived(tmp_path, fitted)
    found = why(store, version, LinearRegression().fit(TRAIN, TRUTH + 1), ASKED)
    assert found.notes == ["800 of these rows were answered otherwise than the model predicts now."]


def test_what_cannot_be_explained_is_refused(tmp_path: Path) -> None:
    """A model without contributions, several classes, and personal features."""
    with pytest.raises(BadData, match=r"no contributions of its own .KNeighborsRegressor"):
        of(tmp_path / "one", KNeighborsRegressor().fit(TRAIN, TRUTH))
    many = Schema(FEATURES, "categorical", classes=("high", "low", "mid"))
    trees = LGBMClassifier(n_estimators=2, verbose=-1)
    trees.fit(TRAIN, np.where(TRUTH > 1, "high", np.where(TRUTH < -1, "low", "mid")))
    with pytest.raises(BadData, match="more than two classes"):
        of(tmp_path / "two", trees, schema=many)
    personal = Schema((*FEATURES[:2], Feature("c", "numeric", pii="drop")))
    store, version = archived(tmp_path / "three", LinearRegression().fit(TRAIN, TRUTH))
    hidden = PublishedVersion(version.manifest, personal, version.reference)
    with pytest.raises(BadData, match="'c' is personal"):
        why(store, hidden, None, ASKED)
