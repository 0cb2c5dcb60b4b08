"""A challenger on archived rows: the losses are those of other libraries on the same rows, and rows
that it may have seen are not among them.
"""

from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftgauge.consumer.offline.archived import pairing
from driftgauge.consumer.offline.archived.challenger import Challenger, faults_of
from driftgauge.consumer.offline.archived.challenging import Asked, Challenge, challenge
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.moments import iso
from driftgauge.shared.paired.sequence import Walk
from driftgauge.shared.performance import Worth
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.tables.format import TimeFormat
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.offline.archived.rivals import FEATURES, STEP_MS, Rivals, rivals
from tests.shared.archive.making import MODEL, NOON, prediction, write

WORTH = Worth("EUR", {"no": {"no": 1, "yes": -3}, "yes": {"no": -20, "yes": 5}})


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    return rivals(tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    return rivals(tmp_path_factory.mktemp("classes"), classes=True)


def found(given: Rivals, *, turned: bool = False, **asked: Any) -> Challenge:
    """Compare the two; `turned` is not of what is archived, but of which one is called."""
    first, second = given.versions
    called = Challenger(given.registry, first, first if turned else second)
    return challenge(given.store, called, (first, first if turned else second), Asked(**asked))


def test_a_better_one_is_found(numbers: Rivals) -> None:
    """Absolute errors, their difference and the labels are those that scikit-learn gives for the
    fitted models; the interval holds the difference of many more rows.
    """
    made = found(numbers)
    rows = numbers.rows[numbers.labelled]
    line, trees = (
        sk.mean_absolute_error(rows.truth, one.predict(rows[FEATURES])) for one in numbers.models
    )
    told = made.first.found
    assert (made.champion, made.challenger, told.labels) == ("1.0.0", "1.1.0", len(rows))
    assert (told.first, told.second) == (pytest.approx(line), pytest.approx(trees))
    assert told.gain == pytest.approx(line - trees)
    assert told.verdict == "better"
    assert told.low is not None
    assert told.high is not None
    assert 0 < told.low < told.gain < told.high
    assert (made.start, made.end) == (iso(NOON + STEP_MS), iso(NOON + 2999 * STEP_MS))
    assert made.said.startswith("1.1.0 is better than 1.0.0 by 0.")


def test_it_was_decided_at_a_label(numbers: Rivals) -> None:
    """Rows are in the order in which their labels came, whatever files they are in. The label that
    is told is the first after which the rows up to there decide, by a walk of the fitted models.
    """
    rows = numbers.rows[numbers.labelled].sort_values(["came", "time"])
    line, trees = (one.predict(rows[FEATURES]) for one in numbers.models)
    gains = (rows.truth - line).abs() - (rows.truth - trees).abs()
    decided = Walk.of(gains.to_numpy(), np.abs(line - trees)).is_above(0.025)
    assert found(numbers).first.found.since == int(np.flatnonzero(decided)[0]) + 1


def test_segments_say_where(numbers: Rivals) -> None:
    """It is better in Oslo alone; the intervals are those of a third of alpha, since there are
    three segments.
    """
    made = found(numbers)
    by_city = {one.value: one.found for one in made.segments}
    assert set(by_city) == {"oslo", "rome"}
    assert by_city["oslo"].verdict == "better"
    assert by_city["rome"].verdict != "better"
    rows = numbers.rows[numbers.labelled]
    assert by_city["oslo"].labels == (rows.city == "oslo").sum()


def test_classes_are_compared_by_errors_probabilities_and_value(classes: Rivals) -> None:
    """Shares of wrong predictions, Brier scores and values are those of scikit-learn and of the
    matrix; what is asked for comes first.
    """
    rows = classes.rows[classes.labelled]
    said = [one.predict(rows[FEATURES]) for one in classes.models]
    shares = [one.predict_proba(rows[FEATURES])[:, 1] for one in classes.models]
    matrix = WORTH.matrix or {}
    expected = {
        "error": [100 * (1 - sk.accuracy_score(rows.truth, one)) for one in said],
        "brier": [sk.brier_score_loss(rows.truth == "yes", one) for one in shares],
        "value": [
            1000
            * np.mean([matrix[label][one] for label, one in zip(rows.truth, each, strict=True)])
            for each in said
        ],
    }
    made = found(classes, worth=WORTH)
    told = {one.loss.name: one.found for one in (made.first, *made.others)}
    assert list(told) == ["value", "error", "brier"]
    for name, values in expected.items():
        one = told[name]  # type: ignore[index]
        assert [one.first, one.second] == pytest.approx(values), name
        worse = -1 if name == "value" else 1
        assert one.gain == pytest.approx(worse * (values[0] - values[1])), name
    assert made.first.loss.unit == "EUR"
    assert found(classes, by="brier").first.loss.name == "brier"
    assert [one.loss.name for one in found(classes, by="brier").others] == ["error"]


def test_the_cost_of_an_error_is_its_value(numbers: Rivals) -> None:
    """By a cost per unit of error the difference is that of the errors in money."""
    money = found(numbers, worth=Worth("EUR", cost_per_unit_of_error=0.5))
    assert money.first.loss.unit == "EUR"
    gain = money.others[0].found.gain
    assert gain is not None
    assert money.first.found.gain == pytest.approx(500 * gain)


def test_a_version_is_not_better_than_itself(numbers: Rivals) -> None:
    """What says the same of every row is never decided, and that is told."""
    made = found(numbers, turned=True)
    assert (made.first.found.gain, made.first.found.verdict) == (0.0, "undecided")
    assert "Both say the same of every row." in made.notes


def test_rows_that_it_may_have_seen_are_left_out(numbers: Rivals) -> None:
    """Rows before its training do not count, by its manifest, by what is said, or by its
    registration where nothing is known; a later beginning of the range needs no word.
    """
    later = NOON + 1000 * STEP_MS
    counted = int((numbers.labelled & (numbers.rows.time >= later)).sum())
    made = found(numbers, trained_until=later)
    assert made.first.found.labels == counted
    assert made.notes[0] == (
        "Rows before 2025-11-27 10:40:00 UTC are left out: 1.1.0 is said to be trained on rows up "
        "to then."
    )
    assert found(numbers, since=later).first.found.labels == counted
    assert not any("left out" in note for note in found(numbers, since=later).notes)
    first, second = numbers.versions
    called = Challenger(numbers.registry, first, second)
    for trained, why in (("2026-01-01T00:00:00Z", "was trained then"), ("", "was registered then")):
        manifest = msgspec.structs.replace(second.manifest, trained=trained)
        unseen = msgspec.structs.replace(second, manifest=manifest)
        with pytest.raises(BadData, match=f"no labelled predictions of plant .*{why}"):
            challenge(numbers.store, called, (first, unseen), Asked())


def test_the_model_gets_what_it_was_fitted_on(tmp_path: Path) -> None:
    """Numbers, categories, booleans and times with missing values, and a feature that has the name
    of a column of the archive, are predicted from the archive as from the frame itself: the error
    of a version that answered its own rows is that of its champion.
    """
    random = np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "load": np.where(random.random(1200) < 0.1, np.nan, random.normal(0, 1, 1200)),
            "Time": random.normal(0, 1, 1200),
            "city": random.choice(np.array(["oslo", "rome", None], dtype=object), 1200),
            "paid": random.random(1200) < 0.4,
            "since": pd.to_datetime(
                NOON - 1000 * random.integers(0, 9999, 1200), unit="ms", utc=True
            ),
        }
    )
    kept = ("passthrough", ["load", "Time", "paid"])
    cities = (OneHotEncoder(handle_unknown="ignore"), ["city"])
    truth = rows.Time * (1 + rows.paid) + (rows.city == "oslo") + random.normal(0, 0.1, 1200)
    fitted = make_pipeline(
        make_column_transformer(kept, cities), HistGradientBoostingRegressor(random_state=0)
    ).fit(rows, truth)
    joblib.dump(fitted, tmp_path / "model.joblib")
    rows.assign(truth=truth).to_csv(tmp_path / "train.csv", index=False)
    registry, store = ModelRegistry(tmp_path / "registry"), FolderStore(tmp_path / "archive")
    given = Submission(
        MODEL, tmp_path / "train.csv", artifact=tmp_path / "model.joblib", target_column="truth"
    )
    made = register_version(registry, given)[1]
    columns = [
        one if isinstance(one, list) else one.tolist() for one in columns_of(rows, made.schema)
    ]
    said = fitted.predict(rows)
    predictions = [
        prediction(place, features=[None if one != one else one for one in row], prediction=answer)  # noqa: PLR0124  NaN is missing
        for place, (*row, answer) in enumerate(zip(*columns, said.tolist(), strict=True))
    ]
    labels = [Label(f"id{place}", one, NOON) for place, one in enumerate(truth)]
    write(store, 0, predictions, labels, schema=made.schema.stream)
    called = Challenger(registry, made, made)
    told = challenge(store, called, (made, made), Asked(trained_until=NOON)).first.found
    assert (told.labels, told.gain) == (1200, 0.0)
    assert told.second == pytest.approx(np.abs(truth - said).mean())


def test_rows_that_its_schema_refuses_are_left_out(tmp_path: Path) -> None:
    """A challenger that knows Oslo alone is compared in Oslo, and the others are counted."""

    def narrow(first: PublishedVersion) -> dict[str, Any]:
        features = tuple(
            msgspec.structs.replace(one, categories=("oslo",)) if one.name == "city" else one
            for one in first.schema.features
        )
        file = tmp_path / "schema.json"
        file.write_bytes(
            msgspec.json.encode(msgspec.structs.replace(first.schema, features=features))
        )
        return {"schema_file": file, "segments": ()}

    given = rivals(tmp_path, 800, schema=narrow)
    made = found(given)
    rows = given.rows[given.labelled]
    assert made.first.found.labels == (rows.city == "oslo").sum()
    refused = (rows.city == "rome").sum()
    told = f"{refused} labelled rows are left out because the schema of 1.1.0 refuses them."
    assert told in made.notes


def test_what_cannot_be_compared_is_said(
    numbers: Rivals, classes: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No value is stated, no probabilities, too many rows, no rows, no model file, and a model that
    fails without its message, which could quote a row.
    """
    with pytest.raises(BadData, match="cannot be compared by value: the policy states none"):
        found(numbers, by="value")
    with pytest.raises(BadData, match="by brier: not both give a probability"):
        found(numbers, by="brier")
    with pytest.raises(BadData, match="instead of"):
        Challenger(numbers.registry, numbers.versions[0], classes.versions[1])
    with pytest.raises(BadData, match="no labelled predictions"):
        found(numbers, since=NOON + 10**10)
    manifest = msgspec.structs.replace(numbers.versions[1].manifest, version="9.0.0")
    unknown = msgspec.structs.replace(numbers.versions[1], manifest=manifest)
    with pytest.raises(ModelNotFound):
        Challenger(numbers.registry, numbers.versions[0], unknown)
    monkeypatch.setattr(pairing, "MOST_ROWS", 100)
    with pytest.raises(BadData, match="more than 100 rows with labels"):
        found(numbers)
    called = Challenger(numbers.registry, *numbers.versions)
    with pytest.raises(BadData, match=r"1\.1\.0 fails at archived rows: \w+ at .*:\d+\.$"):
        called.answers([["x"], ["x"], ["x"]])


def test_a_schema_that_differs_is_refused_with_the_feature() -> None:
    """Units, times, personal fields and the unit of the prediction; the order does not matter."""
    features = (
        Feature("load", "numeric", unit="kW"),
        Feature("at", "timestamp"),
        Feature("customer", "categorical", pii="hash"),
    )
    first = Schema(features, unit="kWh")
    assert list(faults_of(Schema(features[:2]), Schema(features[1::-1]))) == []
    other = Schema(
        (
            Feature("load", "numeric", unit="MW"),
            Feature("at", "timestamp", time=TimeFormat(unit="s")),
            Feature("customer", "categorical"),
        )
    )
    assert list(faults_of(first, other)) == [
        "its predictions are in another unit, no unit instead of kWh",
        "its feature 'load' is in MW, and in kW in the archive",
        "its feature 'at' is a time that is written in another way in the archive",
        "its feature 'customer' is personal, so the archive does not hold what a model needs",
    ]
