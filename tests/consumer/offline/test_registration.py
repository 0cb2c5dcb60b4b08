"""Registration from a CSV, with a fitted model and without."""

import dataclasses
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from driftgauge.consumer.offline.model_dtypes import as_fitted
from driftgauge.consumer.offline.registration import register_version, write_schema
from driftgauge.consumer.offline.submission import Submission
from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.frames import columns_of, infer
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.registry.provenance import file_digest
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.tables.reading import read_table
from driftgauge.shared.versions.gates import Gates
from driftgauge.shared.versions.manifest import Manifest
from driftgauge.shared.versions.prediction import model_columns, predict

RANDOM = np.random.default_rng(2)
FRAME = pd.DataFrame(RANDOM.normal(size=(300, 2)), columns=["b", "a"])
FRAME["city"] = RANDOM.choice(["rome", "oslo"], 300)
FRAME["price"] = FRAME["a"] * 2 + (FRAME["city"] == "rome")
FRAME["grade"] = np.where(FRAME["price"] > 0, "good", "bad")
FRAME["day"] = "2026-01-01"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    return tmp_path / "train.csv"


def dumped(estimator: Any, folder: Path) -> Path:
    joblib.dump(estimator, folder / "fitted.joblib")
    return folder / "fitted.joblib"


def submission(csv: Path, **more: Any) -> Submission:
    return Submission("houses", csv, **{"target_column": "price", "time_column": "day", **more})


def stored(registry: ModelRegistry, given: Submission) -> tuple[Manifest, Schema, ReferenceProfile]:
    _, published = register_version(registry, given)
    assert published == registry.load(published.manifest.model, published.manifest.version)
    return published.manifest, published.schema, published.reference


def test_the_models_columns_and_predictions(
    registry: ModelRegistry, csv: Path, tmp_path: Path
) -> None:
    """Features are the columns that the model was fitted on, in its order; the reference's
    predictions are its own.
    """
    fitted = LinearRegression().fit(FRAME[["a", "b"]], FRAME["price"])
    artifact = dumped(fitted, tmp_path)
    manifest, schema, reference = stored(registry, submission(csv, artifact=artifact))
    assert (manifest.task, schema.names, schema.prediction, schema.classes) == (
        "regression",
        ("a", "b"),
        "numeric",
        (),
    )
    column = reference.columns[-1]
    assert isinstance(column, NumericReference)
    assert column.mean == pytest.approx(fitted.predict(FRAME[["a", "b"]]).mean())
    assert (manifest.artifact, manifest.data_digest) == ("model.joblib", file_digest(csv))
    assert manifest.trained
    assert "scikit-learn" in manifest.libraries
    assert manifest.gates.methods == ("predict",)
    again = registry.load_artifact("houses", "1.0.0")
    assert np.allclose(
        np.asarray(predict(schema, again, columns_of(FRAME, schema))),
        fitted.predict(FRAME[["a", "b"]]),
    )


def test_a_pipeline_of_categories_and_classes(
    registry: ModelRegistry, csv: Path, tmp_path: Path
) -> None:
    """Text columns reach the model in a frame; its labels become the schema's classes, in the order
    of probabilities.
    """
    steps = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"),
        LogisticRegression(),
    )
    fitted = steps.fit(FRAME[["b", "a", "city"]], FRAME["grade"])
    given = submission(
        csv, artifact=dumped(fitted, tmp_path), target_column="grade", exclude=("price",)
    )
    with pytest.raises(BadData, match="Cannot exclude price"):  # the model knows no such column
        register_version(registry, given)
    manifest, schema, reference = stored(
        registry, submission(csv, artifact=given.artifact, target_column="grade", exclude=("b",))
    )
    assert (manifest.task, schema.prediction, schema.classes) == (
        "binary",
        "categorical",
        ("bad", "good"),
    )
    assert [feature.excluded for feature in schema.features] == ["excluded at registration", "", ""]
    assert set(reference.columns[-1].categories) == {"bad", "good"}  # type: ignore[union-attr]  # it is categorical
    assert manifest.gates.methods == ("predict", "predict_proba")


def test_lightgbm_text(registry: ModelRegistry, csv: Path, tmp_path: Path) -> None:
    """The text's task is read from it; its labels are given, since it does not know them."""
    wrapper = LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(
        FRAME[["b", "a"]], FRAME["grade"]
    )
    wrapper.booster_.save_model(tmp_path / "model.txt")
    file = tmp_path / "schema.json"
    given = submission(
        csv,
        artifact=tmp_path / "model.txt",
        target_column="grade",
        classes=("bad", "good"),
    )
    manifest, schema, _ = stored(registry, given)
    assert (manifest.artifact, manifest.task, schema.names, schema.classes) == (
        "model.txt",
        "binary",
        ("b", "a"),
        ("bad", "good"),
    )
    columns = columns_of(FRAME, schema)
    assert predict(schema, registry.load_artifact("houses", "1.0.0"), columns) == list(
        wrapper.predict(FRAME[["b", "a"]])
    )
    file.write_bytes(msgspec.json.encode(schema))
    by_file = dataclasses.replace(given, classes=(), schema_file=file)
    assert stored(registry, by_file)[1].classes == ("bad", "good")
    with pytest.raises(BadData, match="leave --exclude out"):
        register_version(registry, dataclasses.replace(by_file, exclude=("b",)))
    LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1).fit(
        FRAME[["b", "a"]], FRAME["price"]
    ).booster_.save_model(tmp_path / "numbers.txt")
    assert (
        stored(registry, submission(csv, artifact=tmp_path / "numbers.txt"))[0].task == "regression"
    )


def test_a_monitored_model(registry: ModelRegistry, csv: Path) -> None:
    """Without an artifact nothing is loaded, every feature may be missing, and its predictions are
    a column.
    """
    given = submission(
        csv,
        prediction_column="grade",
        labels=True,
        batch_counts=True,
        partitions=2,
        metrics={"accuracy": 0.9},
    )
    manifest, schema, _ = stored(registry, given)
    assert (manifest.task, manifest.artifact, manifest.libraries, manifest.trained) == (
        "monitor",
        "",
        {},
        "",
    )
    assert (manifest.labels, manifest.batch_counts, manifest.partitions) == (True, True, 2)
    assert manifest.metrics == {"accuracy": 0.9}
    assert (schema.names, schema.prediction) == (("b", "a", "city"), "categorical")
    assert all(feature.nullable for feature in schema.features)
    assert registry.stage("houses", "1.0.0") == "none"


def test_segments_are_counted_and_measured(
    registry: ModelRegistry, csv: Path, tmp_path: Path
) -> None:
    """Reference rows, and the errors of those with a label, by the values of a feature as pandas
    groups them; a schema file holds its own segments.
    """
    file = tmp_path / "schema.json"
    fitted = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(FRAME[["b", "a", "city"]], FRAME["grade"])
    given = submission(
        csv,
        artifact=dumped(fitted, tmp_path),
        target_column="grade",
        segments=("city",),
        labels=True,
    )
    _, published = register_version(registry, given)
    (held,) = published.reference.segments
    assert (held.feature, set(held.values), published.schema.segments) == (
        "city",
        {"oslo", "rome"},
        ("city",),
    )
    layout, performance = SegmentLayout.of(published.reference), published.performance
    assert layout is not None
    assert performance is not None
    sums = np.array(performance.segments).reshape(layout.size, -1)
    right = pd.Series(fitted.predict(FRAME[["b", "a", "city"]]) == FRAME["grade"]).groupby(
        FRAME["city"]
    )
    for place, city in enumerate(held.values):
        rows, wrong = sums[place, :2].tolist()
        assert (rows, rows - wrong) == (right.size()[city], right.sum()[city])
        assert sum(held.counts[place][-4:]) > 0
    assert sums[-1].tolist() == [0] * sums.shape[1]
    file.write_bytes(msgspec.json.encode(published.schema))
    given = dataclasses.replace(given, schema_file=file)
    with pytest.raises(BadData, match="leave --segment out"):
        register_version(registry, given)
    assert (
        register_version(registry, dataclasses.replace(given, segments=()))[1].reference
        == published.reference
    )
    for wrong_one, message in (
        ("a", "'a' cannot be a segment: it is numeric"),
        ("price", "not among the features"),
    ):
        with pytest.raises(BadData, match=message):
            register_version(
                registry,
                submission(
                    csv, artifact=given.artifact, target_column="grade", segments=(wrong_one,)
                ),
            )


def test_a_schema_file_is_written_and_read(
    registry: ModelRegistry, csv: Path, tmp_path: Path
) -> None:
    """The inferred schema can be edited: what was edited is used, and completed with the model's
    classes.
    """
    file = tmp_path / "schema.json"
    artifact = dumped(LogisticRegression().fit(FRAME[["b", "a"]], FRAME["grade"]), tmp_path)
    given = submission(csv, artifact=artifact, target_column="grade", schema_file=file)
    with pytest.raises(BadData, match="--write-schema"):
        register_version(registry, given)
    inferred = write_schema(registry, dataclasses.replace(given, schema_file=None), file)
    assert msgspec.json.decode(file.read_bytes(), type=Schema) == inferred
    with pytest.raises(BadData, match="File exists"):
        write_schema(registry, given, file)
    assert registry.registered() == []
    edited = msgspec.structs.replace(
        inferred, classes=(), features=(Feature("b", "numeric", minimum=-99), inferred.features[1])
    )
    file.write_bytes(msgspec.json.encode(edited))
    _, used, _ = stored(registry, given)
    assert (used.features, used.classes) == (edited.features, ("bad", "good"))
    for wrong, message in (
        (msgspec.structs.replace(edited, prediction="numeric"), "the model's is categorical"),
        (
            msgspec.structs.replace(edited, classes=("good", "bad")),
            "probabilities are in the order bad, good",
        ),
    ):
        file.write_bytes(msgspec.json.encode(wrong))
        with pytest.raises(BadData, match=message):
            register_version(registry, given)
    file.write_text("{}")
    with pytest.raises(BadData, match=r"schema\.json is no schema"):
        register_version(registry, given)


def test_units_are_said_or_stand_in_names(registry: ModelRegistry, tmp_path: Path) -> None:
    """The unit of a feature, and of what is predicted, is said or stands in its name's brackets; a
    schema's file has the last word, and what has none is refused.
    """
    csv = tmp_path / "train.csv"
    FRAME.rename(columns={"b": "b [m]", "price": "price (EUR)"}).to_csv(csv, index=False)
    given = {"target_column": "price (EUR)", "prediction_column": "price (EUR)"}
    _, schema, _ = stored(registry, submission(csv, **given, choices=Choices(units={"a": "km"})))
    assert {one.name: one.unit for one in schema.features if one.unit} == {"b [m]": "m", "a": "km"}
    assert schema.unit == "EUR"
    said = Choices(units={"prediction": "USD", "b [m]": ""})
    _, schema, _ = stored(registry, submission(csv, **given, choices=said))
    assert (schema.unit, schema.features[0].unit) == ("USD", "")
    file = tmp_path / "schema.json"
    file.write_bytes(msgspec.json.encode(schema))
    for units, more, message in (
        ({"c": "m"}, {}, "--unit names c"),
        ({"city": "m"}, {}, "'city' cannot have a unit"),
        ({"grade": "m"}, {"prediction_column": "grade"}, "the prediction cannot have a unit"),
        ({"a": "m"}, {"schema_file": file}, "units stand in"),
    ):
        wrong = submission(csv, **{**given, **more}, choices=Choices(units=units))
        with pytest.raises(BadData, match=message):
            register_version(registry, wrong)


def test_what_cannot_be_used_is_said_before_anything_is_stored(
    registry: ModelRegistry, csv: Path, tmp_path: Path
) -> None:
    """Each wrong input has its own message, and leaves the registry as it was."""
    linear = dumped(LinearRegression().fit(FRAME[["a", "b"]], FRAME["price"]), tmp_path)
    unnamed = tmp_path / "unnamed.joblib"
    joblib.dump(LinearRegression().fit(FRAME[["a"]].to_numpy(), FRAME["price"]), unnamed)
    margins, junk, odd = tmp_path / "svc.joblib", tmp_path / "junk.joblib", tmp_path / "odd.joblib"
    joblib.dump(LinearSVC().fit(FRAME[["a", "b"]], FRAME["grade"]), margins)
    junk.write_bytes(b"no pickle")
    joblib.dump({"a": 1}, odd)
    small = tmp_path / "small.csv"
    FRAME[["b", "price", "day"]].to_csv(small, index=False)
    cases: list[tuple[Submission, str]] = [
        (
            submission(csv, target_column="cost", artifact=linear),
            "has no column cost; it has: b, a, city",
        ),
        (submission(tmp_path / "absent.csv"), "There is no file"),
        (submission(csv, task="regression"), "no predictions: name their column"),
        (submission(csv, artifact=tmp_path / "absent.joblib"), "absent.joblib cannot be read"),
        (submission(csv, artifact=csv), "is no artifact"),
        (submission(csv, artifact=junk), "junk.joblib cannot be loaded"),
        (submission(csv, artifact=odd), "The task of a dict is unknown"),
        (submission(csv, artifact=unnamed), "The model cannot predict the reference rows"),
        (submission(small, artifact=linear), "fitted on columns that .* lacks: a"),
        (
            submission(csv, artifact=linear, gates=Gates({"accuracy": 0.9})),
            "no metrics of a numeric prediction: accuracy",
        ),
        (
            submission(csv, artifact=linear, classes=("a", "b")),
            "The model's own classes are unknown",
        ),
        (submission(csv, artifact=linear, version="one"), "is no version"),
    ]
    for given, message in cases:
        with pytest.raises(BadData, match=message):
            register_version(registry, given)
    assert registry.registered() == []
    manifest, _, _ = stored(
        registry,
        submission(csv, artifact=margins, target_column="grade", gates=Gates(methods=("predict",))),
    )
    assert manifest.gates.methods == ("predict",)


def test_a_fitted_model_gets_its_own_types_however_columns_are_judged(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    """Codes that are judged as categories, booleans, times as numbers and ids reach the model as it
    was fitted on them, from the file and from every spelling in a request.
    """
    random = np.random.default_rng(9)
    frame = pd.DataFrame(
        {
            "code": random.choice([1, 2, 7], 400),
            "paid": random.random(400) < 0.5,
            "flag": random.choice([0, 1], 400),
            "seen_at": random.integers(1_700_000_000, 1_700_900_000, 400),
            "row_id": random.permutation(10_000)[:400],
            "load": random.normal(size=400).round(3),
        }
    )
    truth = frame["code"] ** 2 + 5 * frame["paid"] + frame["flag"] + frame["load"]
    truth += (frame["seen_at"] - 1_700_000_000) / 1e5
    fitted = DecisionTreeRegressor(random_state=0).fit(frame, truth)
    path = tmp_path / "reference.csv"
    frame.assign(y=truth).to_csv(path, index=False)
    choices = Choices({"code": "categorical", "flag": "boolean"})
    given = submission(
        path,
        artifact=dumped(fitted, tmp_path),
        target_column="y",
        time_column=None,
        choices=choices,
    )
    _, schema, reference = stored(registry, given)
    features = {feature.name: feature for feature in schema.features}
    assert [(one.kind, bool(one.excluded)) for one in schema.features] == [
        ("categorical", False),
        ("boolean", False),
        ("boolean", False),
        ("timestamp", True),
        ("numeric", True),
        ("numeric", False),
    ]
    assert features["code"].dtype == "float64"
    assert reference.columns[-1].mean == pytest.approx(truth.mean())  # type: ignore[union-attr]
    estimator = Estimator(schema, fitted)
    spellings: list[dict[str, Any]] = [
        {"code": 7, "paid": True, "flag": 1},
        {"code": "7", "paid": "true", "flag": True},
        {"code": 7.0, "paid": 1, "flag": "1"},
    ]
    rest = {"seen_at": 1_700_000_000, "row_id": 3, "load": 0.5}
    rows = []
    for spelling in spellings:
        values, faults = schema.positional(rest | spelling)
        assert not faults
        rows.append(values)
    inputs = pd.DataFrame([{**spellings[0], **rest}])[list(frame.columns)]
    expected = fitted.predict(inputs.astype(np.float64))[0]
    assert [score.prediction for score in estimator.scores(rows) if score] == [expected] * 3
    estimator.warm_up(registry.load("houses", "1.0.0"))
    assert schema.positional({**rest, **spellings[0], "code": "A"})[1]


def test_dates_as_text_reach_a_fitted_model_as_they_are() -> None:
    """A pipeline that reads dates itself gets the text, and the dates are left out of drift."""
    frame = pd.DataFrame(
        {"day": pd.date_range("2026-01-01", periods=200).strftime("%Y-%m-%d"), "x": range(200)}
    )
    month = FunctionTransformer(lambda days: pd.to_datetime(days["day"]).dt.month.to_frame())
    columns = make_column_transformer((month, ["day"]), remainder="passthrough")
    fitted = make_pipeline(columns, LinearRegression()).fit(frame, np.arange(200.0))
    schema = as_fitted(infer(frame), frame, fitted, model_columns(frame, infer(frame)))
    assert (schema.features[0].kind, schema.features[0].model_dtype) == ("categorical", "object")
    assert schema.features[0].excluded == "a time as text"
    found = predict(schema, fitted, model_columns(frame, schema))
    assert np.allclose(np.asarray(found), np.arange(200.0))


def test_codes_that_a_model_was_fitted_on_as_numbers(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    """Codes with leading zeros are categories to be judged; a model that was fitted on them as
    pandas reads them, as numbers, gets numbers.
    """
    random = np.random.default_rng(10)
    path = tmp_path / "reference.csv"
    sites = random.choice(["007", "010", "102"], 300)
    pd.DataFrame({"site": sites, "x": random.normal(size=300), "y": 1.0}).to_csv(path, index=False)
    read = pd.read_csv(path)
    fitted = LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1)
    fitted.fit(read[["site", "x"]], read["site"] + read["x"])
    given = submission(path, artifact=dumped(fitted, tmp_path), target_column="y", time_column=None)
    _, schema, reference = stored(registry, given)
    assert schema.features[0].kind == "categorical"
    assert schema.features[0].model_dtype == "float64"
    known = reference.columns[0]
    assert isinstance(known, CategoricalReference)
    assert set(known.categories) == {"7", "10", "102"}
    frame = read_table(path, kinds=schema.kinds_of())
    found = predict(schema, fitted, model_columns(frame, schema))
    assert np.allclose(np.asarray(found), fitted.predict(read[["site", "x"]]))
    assert {schema.positional({"site": one, "x": 0})[0][0] for one in ("007", 7, "7")} == {"7"}


def test_a_multivariate_version_has_columns_that_no_file_has(
    registry: ModelRegistry, csv: Path
) -> None:
    """They are derived of the numeric features that are judged, stand behind the features and are
    no inputs; the schema that is written for editing has what they are derived by, and is enough
    for another version.
    """
    _, schema, reference = stored(registry, submission(csv, multivariate=True))
    assert schema.derivation is not None
    assert schema.derivation.features == ("b", "a")
    derived = schema.derivation.of_columns([FRAME["b"].to_numpy(), FRAME["a"].to_numpy()])
    columns = {column.name: column for column in reference.columns}
    assert list(columns)[-2:] == list(schema.derivation.names)
    for name, values in zip(schema.derivation.names, derived, strict=True):
        assert columns[name] == NumericReference.build(name, values)
    assert "component_1" not in schema.names
    file = csv.parent / "schema.json"
    written = write_schema(registry, submission(csv, multivariate=True), file)
    assert written == schema
    later = submission(csv, version="2.0.0", schema_file=file)
    assert stored(registry, later)[1:] == (schema, reference)
    plain = stored(registry, submission(csv, version="3.0.0"))[2]
    assert plain.columns == tuple(columns[column.name] for column in plain.columns)
    with pytest.raises(BadData, match="at least two numeric features"):
        register_version(registry, submission(csv, multivariate=True, exclude=("a",)))
