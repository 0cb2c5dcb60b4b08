import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.training import DemoModel, Trained, command, register, store
from driftgauge.models.obesity.simulate import People
from driftgauge.shared.errors import ModelNotFound
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.registry.promotion import ValidationData, validate
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import GateFailed, Gates
from driftgauge.shared.versions.prediction import class_labels, predict

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


@pytest.fixture(scope="module")
def registry(
    all_trained: dict[str, Trained], tmp_path_factory: pytest.TempPathFactory
) -> ModelRegistry:
    registry = ModelRegistry(tmp_path_factory.mktemp("registry"))
    for name, trained in all_trained.items():
        register(MODELS[name].patient, trained, registry)
    return registry


@pytest.mark.long
@every_model
def test_a_registered_model_is_the_trained_one(
    model: DemoModel, all_trained: dict[str, Trained], registry: ModelRegistry
) -> None:
    """What is in production is what was trained: schema, metrics, predictions, and a reference of
    held-out rows.
    """
    trained = all_trained[model.name]
    version = registry.load(model.name, registry.production(model.name))
    columns = columns_of(trained.holdout, model.schema)
    assert version.schema == model.schema
    assert version.manifest.metrics == trained.metrics
    assert version.reference == build_profile(model.schema, columns, trained.predictions.tolist())
    estimator = registry.load_artifact(model.name, "1.0.0")
    assert list(predict(model.schema, estimator, columns)) == trained.predictions.tolist()
    assert class_labels(estimator) == model.schema.classes


def test_the_credit_model_is_measured_by_sex_and_education(credit: Trained, tmp_path: Path) -> None:
    """Its reference has the accuracy of each segment, as pandas groups the held-out rows."""
    registry = ModelRegistry(tmp_path)
    version = registry.load("credit", store(MODELS["credit"], credit, registry))
    layout, performance = SegmentLayout.of(version.reference), version.performance
    assert layout is not None
    assert performance is not None
    assert layout.features == ("SEX", "EDUCATION")
    sums = np.array(performance.segments).reshape(layout.size, -1)
    seen = 0
    for segment in range(layout.size):
        feature, value = layout.name(segment)
        own = (credit.holdout[feature] == value).to_numpy()
        assert sums[segment, :2].tolist() == [
            own.sum(),
            (credit.truth != credit.predictions)[own].sum(),
        ]
        seen += int(own.sum() > 0)
    assert seen >= 5


@every_model
def test_the_manifest_says_how_it_was_made(model: DemoModel, registry: ModelRegistry) -> None:
    """Time, commit, libraries, task, gates and the module of the features stand in the manifest;
    labels are awaited.
    """
    manifest = registry.manifest(model.name, "1.0.0")
    assert (manifest.task, manifest.gates, manifest.labels) == (
        model.task,
        model.patient.gates,
        True,
    )
    assert manifest.feature_engineering == f"driftgauge.models.{model.name}.features"
    assert manifest.trained <= manifest.created
    assert {"python", "scikit-learn", "lightgbm"} <= manifest.libraries.keys()
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", manifest.git_revision)


@pytest.mark.long
@every_model
def test_later_rows_pass_the_gates_too(model: DemoModel, registry: ModelRegistry) -> None:
    """The bounds hold on rows that were not even held out, and so does the time of one row."""
    rows = model.simulator(77).labelled(1500)
    found = validate(
        registry,
        model.name,
        "1.0.0",
        ValidationData(rows.features.assign(**{model.schema.target: rows.labels})),
    )
    assert found.failed == ()
    assert any("p99" in result.name for result in found.results)


@pytest.mark.long
def test_a_model_below_its_bounds_is_stored_but_not_promoted(
    obesity: Trained, tmp_path: Path
) -> None:
    """The gates decide about production: a bound that is not reached leaves the version in stage
    none.
    """
    strict = msgspec.structs.replace(Gates(), minimum={"accuracy": 0.9999})
    model = MODELS["obesity"]
    demanding = DemoModel(**{**vars(model), "gates": strict})
    registry = ModelRegistry(tmp_path)
    with pytest.raises(GateFailed, match="accuracy"):
        register(demanding, obesity, registry)
    assert registry.versions("obesity") == ["1.0.0"]
    with pytest.raises(ModelNotFound):
        registry.production("obesity")


@pytest.mark.long
def test_the_command_trains_a_file_and_tells_where_it_went(tmp_path: Path) -> None:
    """Metrics and place are printed; the digest of the file is in the manifest; the name is the
    given one.
    """
    file = tmp_path / "people.csv"
    People(5).rows(2400).to_csv(file, index=False)
    arguments = [
        "--data",
        str(file),
        "--registry",
        str(tmp_path / "registry"),
        "--name",
        "mine",
        "--version",
        "2.0.0",
    ]
    done = CliRunner().invoke(command(MODELS["obesity"].patient), arguments)
    assert done.exit_code == 0, done.output
    assert "f1_weighted" in done.output
    assert str(tmp_path / "registry" / "mine" / "2.0.0") in done.output
    manifest = ModelRegistry(tmp_path / "registry").manifest("mine", "2.0.0")
    assert re.fullmatch("[0-9a-f]{64}", manifest.data_digest)


@pytest.mark.parametrize("rows", [100, pytest.param(800, marks=pytest.mark.long)])
def test_the_command_ends_with_the_code_of_what_is_wrong(rows: int, tmp_path: Path) -> None:
    """Too few rows to train on are bad data; too few for a reference fail the gates, and the
    version is in no stage.
    """
    file = tmp_path / "people.csv"
    People(5).rows(rows).to_csv(file, index=False)
    done = CliRunner().invoke(
        command(MODELS["obesity"]), ["--data", str(file), "--registry", str(tmp_path / "r")]
    )
    if rows == 100:
        assert done.exit_code == 65
        assert "100 rows" in done.output
    else:
        assert done.exit_code == 1
        assert "reference rows" in done.output
        assert "stage none" in done.output


@every_model
def test_one_row_predicts_as_it_does_in_a_batch(
    model: DemoModel, all_trained: dict[str, Trained]
) -> None:
    """A prediction depends on its row alone, but for the last bits: a product of matrices sums in
    another order.
    """
    trained = all_trained[model.name]
    columns = columns_of(trained.holdout[:5], model.schema)
    single = [
        predict(model.schema, trained.estimator, [column[i : i + 1] for column in columns])[0]
        for i in range(5)
    ]
    if model.schema.prediction == "categorical":
        assert np.asarray(single).tolist() == trained.predictions[:5].tolist()
    else:
        assert np.asarray(single) == pytest.approx(trained.predictions[:5], rel=1e-12)
