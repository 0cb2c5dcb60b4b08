"""A model of MLflow is registered by its alias or its run."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from lightgbm import LGBMRegressor

from driftgauge.consumer.commands.models import models
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.registration.mlflow_model import fetch
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.prediction import predict

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and find_spec("mlflow") is None,  # importing it takes a second
    reason="MLflow is not installed: pip install -e '.[test]'",
)

FRAME = pd.DataFrame(np.random.default_rng(5).normal(size=(300, 3)), columns=["a", "b", "other"])
FRAME["code"] = np.random.default_rng(6).choice([1.0, 2.0], 300)
FEATURES = ["code", "b", "a"]
TARGET = FRAME.a * 2 + FRAME.code


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run with a model, which is the champion among the versions of `houses`."""
    from mlflow import MlflowClient
    from mlflow.models import Model
    from mlflow.types import ColSpec, Schema

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.models.signature import ModelSignature

    client = MlflowClient(f"file://{tmp_path}/mlflow")
    made = client.create_run("0", tags={"mlflow.source.git.commit": "c0ffee"})
    client.log_metric(made.info.run_id, "rmse", 1.5)
    folder = tmp_path / "logged"
    folder.mkdir()
    LGBMRegressor(n_estimators=5, verbose=-1).fit(FRAME[FEATURES], TARGET).booster_.save_model(
        folder / "model.lgb"
    )
    columns = [ColSpec("string" if name == "code" else "double", name) for name in FEATURES]
    model = Model(run_id=made.info.run_id, signature=ModelSignature(inputs=Schema(columns)))
    model.add_flavor("lightgbm", data="model.lgb", lgb_version="4")
    model.save(str(folder / "MLmodel"))
    client.log_artifacts(made.info.run_id, str(folder), "model")
    client.create_registered_model("houses")
    client.create_model_version("houses", f"{made.info.artifact_uri}/model", made.info.run_id)
    client.set_registered_model_alias("houses", "champion", "1")
    return str(made.info.run_id)


@pytest.mark.usefixtures("run")
def test_a_model_of_mlflow_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its alias: the signature says which columns are features, in which order and of what
    kind; the run's metrics and commit are the manifest's; what was said besides goes before; and it
    predicts as its library does.
    """
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    FRAME.assign(price=TARGET).to_parquet(tmp_path / "rows.parquet")
    table = ["--reference", str(tmp_path / "rows.parquet"), "--target-column", "price"]
    done = CliRunner().invoke(
        models,
        [
            *("register", "houses", "--artifact", "models:/houses@champion", *table),
            *("--type", "code=numeric", "--type", "a=numeric", "--metrics", "mae=2"),
        ],
    )
    assert done.exit_code == 0, done.output + repr(done.exception)
    registry = ModelRegistry(tmp_path / "registry")
    version = registry.load("houses", "1.0.0")
    assert version.schema.names == tuple(FEATURES)
    assert version.manifest.metrics == {"rmse": 1.5, "mae": 2}
    assert version.manifest.git_revision == "c0ffee"
    assert version.manifest.trained
    assert (version.manifest.task, registry.verify("houses")) == ("regression", [])
    fitted = registry.load_artifact("houses", "1.0.0")
    import lightgbm

    native = lightgbm.Booster(model_file=tmp_path / "logged" / "model.lgb")
    np.testing.assert_allclose(
        np.asarray(predict(version.schema, fitted, columns_of(FRAME, version.schema))),
        native.predict(FRAME[FEATURES]),
    )


def test_what_mlflow_tells_is_what_a_registration_is_told(run: str, tmp_path: Path) -> None:
    """By its run: the file with the suffix of its format here, kinds of the signature, and an error
    for a model that is not there.
    """
    told = fetch(f"runs:/{run}/model", tmp_path)
    assert told["artifact"] == tmp_path / "model.txt"
    assert told["type"] == ("code=categorical", "b=numeric", "a=numeric")
    assert (told["feature"], told["metrics"]) == (tuple(FEATURES), {"rmse": 1.5})
    with pytest.raises(BadData, match="cannot be fetched from MLflow"):
        fetch("models:/houses@nobody", tmp_path)
