"""A model of MLflow (extra `mlflow`) as what a registration is told: its file, which is loaded by
its own library, the columns of its signature, and the metrics of its run.

`models:/NAME@ALIAS`, `models:/NAME/VERSION` or `runs:/RUN/PATH`; MLflow itself is needed only to
fetch it, from where MLFLOW_TRACKING_URI says.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs

SCHEMES: Final = ("models:/", "runs:/")
KINDS: Final = {
    **dict.fromkeys(("double", "float", "integer", "long"), "numeric"),
    "string": "categorical",
    "boolean": "boolean",
    "datetime": "timestamp",
}
"""Kind of a feature, by the type of its column in a signature."""
COMMIT: Final = "mlflow.source.git.commit"


class Flavor(NamedTuple):
    """How a flavour of MLflow's models stores its file.

    Parameters
    ----------
    name, entry
        Its name, and that of the entry that names the file.
    suffixes
        Suffix of MLflow's file to that of the same format here; the empty one is for all others.
    """

    name: str
    entry: str
    suffixes: Mapping[str, str]


FLAVORS: Final = (
    Flavor("onnx", "data", {"": ".onnx"}),
    Flavor("lightgbm", "data", {".lgb": ".txt", "": ".pkl"}),
    Flavor("xgboost", "data", {".json": ".json", "": ".ubj"}),
    Flavor("catboost", "data", {"": ".cbm"}),
    Flavor("sklearn", "pickled_model", {"": ".pkl"}),
)


def is_in_mlflow(artifact: object) -> bool:
    """Tell whether an artifact is a model of MLflow, and no file.

    Examples
    --------
    >>> (
    ...     is_in_mlflow("models:/churn@champion"),
    ...     is_in_mlflow(Path("runs:/5/m")),
    ...     is_in_mlflow("m.txt"),
    ... )
    (True, True, False)
    """
    return str(artifact).startswith(SCHEMES)


def fetch(place: str, folder: Path) -> dict[str, Any]:
    """Fetch a model, and return what it tells as options of a registration, by their names.

    Parameters
    ----------
    folder
        Empty folder for its file.

    Raises
    ------
    BadData
        If it cannot be fetched, or is of no flavour that is read.
    NotInstalled
        If MLflow is absent.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with needs("mlflow"):
        from mlflow import MlflowClient
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
        from mlflow.models import Model

    try:
        home = Path(download_artifacts(artifact_uri=place, dst_path=str(folder / "mlflow")))
        model = Model.load(str(home))
        run = MlflowClient().get_run(model.run_id).data if model.run_id else None
    except (MlflowException, OSError) as error:
        raise BadData(f"{place} cannot be fetched from MLflow: {error}.") from error
    return {
        "artifact": _file(place, home, model.flavors, folder),
        "metrics": dict(run.metrics) if run is not None else {},
        "git_revision": run.tags.get(COMMIT) if run is not None else None,
        "trained": f"{model.utc_time_created}+00:00" if model.utc_time_created else None,
        **_columns(model.signature),
    }


def _file(place: str, home: Path, flavors: Mapping[str, Any], folder: Path) -> Path:
    """Return the model's file, under a suffix that tells its format."""
    for flavor in FLAVORS:
        if flavor.name in flavors:
            source = home / str(flavors[flavor.name].get(flavor.entry))
            suffix = flavor.suffixes.get(source.suffix, flavor.suffixes[""])
            if not source.resolve().is_relative_to(home.resolve()) or not source.is_file():
                raise BadData(f"{place} has no file {source.name} of its flavour {flavor.name}.")
            return Path(shutil.copyfile(source, folder / f"model{suffix}"))
    known = ", ".join(flavor.name for flavor in FLAVORS)
    raise BadData(
        f"{place} is of the flavours {', '.join(flavors) or 'none'}; those that are read are "
        f"{known}."
    )


def _columns(signature: Any) -> dict[str, Any]:
    """Return the features in order and their kinds, if the signature has columns with names."""
    inputs = getattr(signature, "inputs", None)
    if inputs is None or inputs.is_tensor_spec() or not inputs.has_input_names():
        return {}
    kinds = {
        one.name: KINDS[one.type.name]
        for one in inputs.inputs
        if getattr(one.type, "name", None) in KINDS
    }
    return {
        "feature": tuple(inputs.input_names()),
        "type": tuple(f"{name}={kind}" for name, kind in kinds.items()),
    }
