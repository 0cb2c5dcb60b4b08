"""The gates before production, each of them open and shut."""

import time
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.promotion import ValidationData, promote, record, validate
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import GateFailed, GateResult, Gates
from driftgauge.shared.versions.manifest import PublishedVersion

RANDOM = np.random.default_rng(11)
ROWS = pd.DataFrame(RANDOM.normal(size=(600, 2)), columns=["x", "y"])
ROWS["size"] = 3 * ROWS["x"] - ROWS["y"] + RANDOM.normal(0, 0.1, 600)
ROWS["kind"] = np.where(ROWS["size"] > 0, "big", "small")
FEATURES = (Feature("x", "numeric", minimum=-9, maximum=9), Feature("y", "numeric"))
NUMBERS = Schema(FEATURES, target="size")
CLASSES = Schema(FEATURES, prediction="categorical", target="kind", classes=("big", "small"))
TRAINING, VALIDATION = ROWS[:300], ROWS[300:].reset_index(drop=True)
PATIENT_MS = 5000.0
"""A latency that no busy machine exceeds, where latency is not what is tested."""
LENIENT = Gates(max_latency_ms=PATIENT_MS, min_reference_rows=100)
DATA = ValidationData(VALIDATION)


class Slow:
    """Predicts well, but sleeps before; fails on single rows if it is told to."""

    def __init__(self, seconds: float, *, alone: bool = True) -> None:
        self.seconds = seconds
        self.alone = alone

    def predict(self, rows: Any) -> Any:
        if len(rows) == 1:
            if not self.alone:
                raise RuntimeError("never alone")
            time.sleep(self.seconds)
        return np.asarray(rows)[:, 0] * 3 - np.asarray(rows)[:, 1]


class Wrong:
    """Raises where it should predict."""

    def predict(self, rows: Any) -> Any:
        raise RuntimeError(f"cannot take {len(rows)} rows")


class Unreadable:
    """Raises when it is loaded."""

    def __reduce__(self) -> Any:
        return int, ("no number",)

    def predict(self, rows: Any) -> Any: ...


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry")


def linear(noise: float = 0.0) -> LinearRegression:
    return LinearRegression().fit(
        TRAINING[["x", "y"]].to_numpy(), TRAINING["size"] + RANDOM.normal(0, 1, 300) * noise
    )


def logistic() -> LogisticRegression:
    return LogisticRegression().fit(TRAINING[["x", "y"]].to_numpy(), TRAINING["kind"])


def store(
    registry: ModelRegistry,
    estimator: Any,
    gates: Gates = LENIENT,
    schema: Schema = NUMBERS,
    version: str = "1.0.0",
) -> str:
    """Register a version; without an estimator one that is only monitored."""
    numeric = schema.prediction == "numeric"
    predictions: Any = TRAINING["size"].to_numpy() if numeric else list(TRAINING["kind"])
    reference = build_profile(schema, columns_of(TRAINING, schema), predictions)
    task = "monitor" if estimator is None else "regression" if numeric else "binary"
    manifest = new_manifest("plant", version, task, gates=gates)  # type: ignore[arg-type]
    artifact = None
    if estimator is not None:
        registry.folder.mkdir(exist_ok=True)
        artifact = registry.folder / "fitted.joblib"
        joblib.dump(estimator, artifact)
    registry.register(PublishedVersion(manifest, schema, reference), artifact)
    return version


def result(registry: ModelRegistry, name: str, data: ValidationData | None = DATA) -> GateResult:
    """Validate version 1.0.0 and give one check by its name."""
    found = [
        each for each in validate(registry, "plant", "1.0.0", data).results if each.name == name
    ]
    assert len(found) == 1, name
    return found[0]


@pytest.mark.parametrize(
    ("name", "bound", "passed"),
    [
        ("r2", 0.9, True),
        ("r2", 0.99999, False),
        ("rmse", 0.5, True),
        ("rmse", 0.01, False),
        ("mae", 0.5, True),
    ],
)
def test_metrics_have_bounds(
    name: str,
    bound: float,
    passed: bool,  # noqa: FBT001  a parameter of the test
    registry: ModelRegistry,
) -> None:
    """A metric on its right side passes and one on the wrong side fails, with its value and
    bound.
    """
    gates = (
        Gates({name: bound}, {}, min_reference_rows=0)
        if name == "r2"
        else Gates({}, {name: bound}, min_reference_rows=0)
    )
    store(registry, linear(), gates)
    found = result(registry, name)
    assert found.passed == passed
    assert found.value is not None
    assert (found.value >= bound if name == "r2" else found.value <= bound) == passed
    assert f"{bound:g}" in found.bound


@pytest.mark.parametrize(("bound", "passed"), [(0.9, True), (0.9999, False)])
def test_metrics_of_classifiers(bound: float, passed: bool, registry: ModelRegistry) -> None:  # noqa: FBT001
    """Labels and probabilities are measured too, and so is one class alone."""
    bounds = dict.fromkeys(
        ("accuracy", "f1", "f1_weighted", "f1:big", "precision", "recall"), bound
    )
    store(
        registry,
        logistic(),
        Gates({**bounds, "roc_auc": bound}, {"log_loss": 2 * (1 - bound)}, PATIENT_MS),
        CLASSES,
    )
    failed = {each.name for each in validate(registry, "plant", "1.0.0", DATA).failed} - {
        "reference rows"
    }
    assert failed == (
        set() if passed else {*bounds, "log_loss"}
    )  # the order of the probabilities is perfect


def test_latency(registry: ModelRegistry) -> None:
    """A model whose single rows take longer than the bound fails, whatever its quality."""
    store(registry, Slow(0.004), Gates(max_latency_ms=2, min_reference_rows=100))
    found = result(registry, "p99 latency of one row, ms")
    assert not found.passed
    assert found.value is not None
    assert 4 <= found.value < 1000
    store(registry, Slow(0.0), LENIENT, version="2.0.0")
    assert validate(registry, "plant", "2.0.0", DATA).passed
    assert not result(registry, "p99 latency of one row, ms").passed


def test_a_model_that_takes_no_single_row(registry: ModelRegistry) -> None:
    """It could not serve a request, so it fails with what it raised."""
    store(registry, Slow(0.0, alone=False))
    assert "RuntimeError at " in result(registry, "p99 latency of one row, ms").detail


def test_required_methods(registry: ModelRegistry) -> None:
    """A classifier without probabilities fails if they are required, also without data."""
    needed = Gates(
        methods=("predict", "predict_proba"), min_reference_rows=100, max_latency_ms=PATIENT_MS
    )
    store(registry, Slow(0.0), needed)
    assert result(registry, "method predict", None).passed
    assert result(registry, "method predict_proba", None).detail == "the model has no such method"
    store(registry, logistic(), needed, CLASSES, version="2.0.0")
    assert validate(registry, "plant", "2.0.0").passed


def test_schema_of_the_data(registry: ModelRegistry) -> None:
    """Rows that are no rows of the schema fail with every fault, and a missing column keeps the
    model from being run.
    """
    store(registry, linear())
    assert result(registry, "schema").passed
    beyond = VALIDATION.assign(x=100.0, y=None)
    found = result(registry, "schema", ValidationData(beyond))
    assert (
        "x: 300 of 300 rows are above the maximum 9; y: 300 of 300 rows are missing" in found.detail
    )
    without = validate(registry, "plant", "1.0.0", ValidationData(VALIDATION.drop(columns="x")))
    assert [each.name for each in without.failed] == ["schema"]


def test_size_of_the_reference(registry: ModelRegistry) -> None:
    """Drift needs reference rows; too few fail the gate before the monitor is blind."""
    store(registry, linear(), Gates(min_reference_rows=301))
    assert (
        result(registry, "reference rows", None).passed,
        result(registry, "reference rows", None).value,
    ) == (False, 300)
    store(registry, linear(), Gates(min_reference_rows=300), version="2.0.0")
    assert validate(registry, "plant", "2.0.0").passed


def test_no_regression(registry: ModelRegistry) -> None:
    """A version that is worse than the production version on the same rows fails; within the
    tolerance it passes.
    """
    promote(registry, "plant", store(registry, linear()), actor="ann", data=DATA)
    store(registry, linear(noise=20), version="2.0.0")
    found = validate(registry, "plant", "2.0.0", DATA)
    assert (found.against, {each.name for each in found.failed}) == (
        "1.0.0",
        {"rmse no worse than 1.0.0", "r2 no worse than 1.0.0"},
    )
    store(
        registry,
        linear(noise=20),
        Gates(tolerance=1000, min_reference_rows=100, max_latency_ms=PATIENT_MS),
        version="3.0.0",
    )
    assert validate(registry, "plant", "3.0.0", DATA).passed
    store(registry, linear(), version="4.0.0")
    assert validate(registry, "plant", "4.0.0", DATA).passed


def test_a_production_version_that_cannot_be_compared(registry: ModelRegistry) -> None:
    """Rows without its columns do not pass silently as a comparison."""
    before = Schema((*FEATURES, Feature("z", "numeric")), target="size")
    fitted = LinearRegression().fit(
        TRAINING.assign(z=0.0)[["x", "y", "z"]].to_numpy(), TRAINING["size"]
    )
    reference = build_profile(
        before, columns_of(TRAINING.assign(z=0.0), before), TRAINING["size"].to_numpy()
    )
    registry.folder.mkdir()
    joblib.dump(fitted, registry.folder / "fitted.joblib")
    published = PublishedVersion(new_manifest("plant", "0.1.0", "regression"), before, reference)
    registry.register(published, registry.folder / "fitted.joblib")
    registry.promote("plant", "0.1.0", actor="ann")
    store(registry, linear())
    assert "lack these columns of the schema: z" in result(registry, "no worse than 0.1.0").detail
    assert validate(registry, "plant", "1.0.0", ValidationData(VALIDATION.assign(z=0.0))).passed


def test_all_failures_are_listed_at_once(registry: ModelRegistry) -> None:
    """One promotion tells everything that is wrong, records it, and changes nothing."""
    store(
        registry,
        linear(),
        Gates(
            {"r2": 0.99999},
            {"rmse": 0.01},
            PATIENT_MS,
            min_reference_rows=1000,
            methods=("predict", "explain"),
        ),
    )
    with pytest.raises(GateFailed) as caught:
        promote(
            registry, "plant", "1.0.0", actor="ann", data=ValidationData(VALIDATION.assign(x=50.0))
        )
    names = {"reference rows", "method explain", "schema", "r2", "rmse"}
    assert {each.name for each in caught.value.failed} == names
    assert all(name in str(caught.value) for name in names)
    assert caught.value.exit_code == 1
    assert (registry.models(), [change.action for change in registry.history("plant")]) == (
        [],
        ["validate"],
    )


def test_a_promotion_without_data_needs_a_passed_validation(registry: ModelRegistry) -> None:
    """So that a button can promote what a command has validated; the latest validation counts."""
    store(registry, linear(), Gates({"r2": 0.9}, min_reference_rows=100, max_latency_ms=PATIENT_MS))
    with pytest.raises(GateFailed, match="no validation on data is recorded"):
        promote(registry, "plant", "1.0.0", actor="ann")
    record(registry, validate(registry, "plant", "1.0.0", DATA), actor="ann")
    record(
        registry,
        validate(registry, "plant", "1.0.0", ValidationData(VALIDATION.assign(size=0.0))),
        actor="ann",
    )
    with pytest.raises(GateFailed, match="r2"):
        promote(registry, "plant", "1.0.0", actor="ann")
    record(registry, validate(registry, "plant", "1.0.0", DATA), actor="ann")
    promote(registry, "plant", "1.0.0", actor="ann", reason="it passed")
    assert registry.production("plant") == "1.0.0"
    recorded = registry.history("plant")[0].validation
    assert recorded is not None
    assert recorded.data_digest == DATA.sha256()
    assert recorded.metrics.keys() == {"r2", "rmse"}


def test_without_bounds_structure_is_enough(registry: ModelRegistry) -> None:
    """A version whose gates need no data is promoted without."""
    store(registry, None)
    promote(registry, "plant", "1.0.0", actor="ann")
    assert registry.production("plant") == "1.0.0"


def test_force_is_recorded_with_what_it_overruled(registry: ModelRegistry) -> None:
    """Failed gates can be overruled with a reason, and both stand in the history."""
    store(
        registry,
        linear(),
        Gates({"r2": 0.99999}, min_reference_rows=100, max_latency_ms=PATIENT_MS),
    )
    with pytest.raises(BadData, match="give a reason"):
        promote(registry, "plant", "1.0.0", actor="ann", force=True, data=DATA)
    promote(
        registry, "plant", "1.0.0", actor="ann", reason="the old one is down", force=True, data=DATA
    )
    last = registry.history("plant")[-1]
    assert (last.forced, last.reason, last.actor) == (True, "the old one is down", "ann")
    assert last.validation is not None
    assert [each.name for each in last.validation.failed] == ["r2"]


def test_force_never_overrules_a_checksum(registry: ModelRegistry) -> None:
    """A changed byte fails the first check, nothing of the version is loaded, and force does not
    help.
    """
    store(registry, linear())
    path = registry.folder / "plant/1.0.0/model.joblib"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert [each.name for each in validate(registry, "plant", "1.0.0", DATA).results] == ["files"]
    with pytest.raises(GateFailed, match=r"model\.joblib of plant 1\.0\.0 is not the file"):
        promote(registry, "plant", "1.0.0", actor="ann")
    with pytest.raises(BadData, match="is not as it was registered"):
        promote(registry, "plant", "1.0.0", actor="ann", reason="hurry", force=True)
    assert registry.models() == []


@pytest.mark.parametrize(
    ("estimator", "name", "told"),
    [
        (Wrong(), "predictions", "RuntimeError at "),
        (Unreadable(), "load", "ValueError: invalid literal"),
    ],
)
def test_a_broken_model_is_a_failed_check(
    estimator: Any, name: str, told: str, registry: ModelRegistry
) -> None:
    """Whatever a model raises when it is loaded or asked, the other outcomes are still told."""
    store(registry, estimator)
    assert told in result(registry, name).detail
    assert result(registry, "files").passed


def test_true_values(registry: ModelRegistry) -> None:
    """A target that the rows lack, or with gaps, fails; without any target a bound fails by its
    name.
    """
    store(registry, linear())
    assert (
        "no column 'size' of true values"
        in result(registry, "predictions", _data(VALIDATION.drop(columns="size"))).detail
    )
    assert (
        "size is missing in some rows"
        in result(registry, "predictions", _data(VALIDATION.assign(size=None))).detail
    )
    renamed = VALIDATION.rename(columns={"size": "true"})
    assert validate(
        registry, "plant", "1.0.0", ValidationData(renamed, target_column="true")
    ).passed
    nameless = msgspec.structs.replace(NUMBERS, target="")
    store(
        registry,
        linear(),
        Gates({"r2": 0.5}, min_reference_rows=100, max_latency_ms=PATIENT_MS),
        nameless,
        version="2.0.0",
    )
    failed = validate(registry, "plant", "2.0.0", DATA).failed
    assert [(each.name, "no true values" in each.detail) for each in failed] == [("r2", True)]


def test_a_monitored_model_is_measured_by_its_column(registry: ModelRegistry) -> None:
    """Predictions that were made elsewhere come from the rows."""
    store(
        registry,
        None,
        Gates({"accuracy": 0.95}, min_reference_rows=100, max_latency_ms=PATIENT_MS),
        CLASSES,
    )
    good = VALIDATION.assign(made=VALIDATION["kind"])
    assert validate(
        registry, "plant", "1.0.0", ValidationData(good, prediction_column="made")
    ).passed
    assert not validate(
        registry,
        "plant",
        "1.0.0",
        ValidationData(good.assign(made="big"), prediction_column="made"),
    ).passed
    assert "no column 'prediction'" in result(registry, "predictions").detail


def test_an_undefined_metric_does_not_pass(registry: ModelRegistry) -> None:
    """A bound on what the model cannot give is a failed check with the reason."""
    store(
        registry,
        DummyClassifier().fit([[0, 0]], ["big"]),
        Gates({"roc_auc": 0.1}, min_reference_rows=100, max_latency_ms=PATIENT_MS),
        CLASSES,
    )
    assert "does not know these classes of the rows: small" in result(registry, "roc_auc").detail


def test_staging_needs_no_gates(registry: ModelRegistry) -> None:
    """A version may stand in staging in order to be checked there; an unknown one may not."""
    store(registry, linear(), Gates({"r2": 2.0}))
    promote(registry, "plant", "1.0.0", "staging", actor="ann")
    assert registry.stage("plant", "1.0.0") == "staging"
    with pytest.raises(ModelNotFound):
        promote(registry, "plant", "9.0.0", "staging", actor="ann")


def test_no_rows_are_no_validation() -> None:
    """An empty table is refused, not passed."""
    with pytest.raises(BadData, match="no rows to validate on"):
        ValidationData(VALIDATION[:0])


def _data(frame: pd.DataFrame) -> ValidationData:
    return ValidationData(frame)
