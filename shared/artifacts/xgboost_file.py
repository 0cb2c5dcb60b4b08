"""XGBoost's own files: JSON and UBJSON, as `Booster.save_model` and the wrappers of scikit-learn's
kind write them.

They hold no class labels, so these come from the schema, in the order of the wrapper's `classes_`.
Predictions are those of the wrapper: after early stopping, by the trees up to the best one.
"""

import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats
from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.artifacts.native_model import NativeModel
from driftgauge.shared.errors import BadData
from driftgauge.shared.explaining.trees import best_trees, of_xgboost
from driftgauge.shared.extras import needs
from driftgauge.shared.versions.manifest import Task

TASKS: Final[dict[str, Task]] = {
    "binary:logistic": "binary",
    "multi:softprob": "multiclass",
}
"""Task of the objectives that give probabilities."""
NO_SHARES: Final = ("binary:", "multi:", "rank:")
"""Beginnings of the other objectives that predict no number of a regression."""


class XGBoostModel(NativeModel):
    """A booster that predicts as `XGBRegressor` or `XGBClassifier` does.

    Raises
    ------
    BadData
        If the bytes are no model, its objective gives no probabilities, or a feature is a category.
    """

    def __init__(self, content: bytes, task: Task, classes: tuple[str, ...] = ()) -> None:
        with needs("xgboost"):
            import xgboost

        if not content.startswith(b"{"):  # the library ends the process on an empty file
            raise BadData("The file is no XGBoost model in JSON or UBJSON.")
        self._booster = xgboost.Booster({"nthread": 1})
        try:
            self._booster.load_model(bytearray(content))
            self._booster.set_param({"nthread": 1})
            learner = json.loads(self._booster.save_config())["learner"]
        except (xgboost.core.XGBoostError, ValueError, KeyError) as error:
            raise BadData(f"The file is no XGBoost model: {_first_line(error)}.") from error
        objective = learner["objective"]["name"]
        if objective not in TASKS and objective.startswith(NO_SHARES):
            raise BadData(
                f"The XGBoost model's objective {objective} gives no probabilities; train it with "
                f"{' or '.join(TASKS)}."
            )
        if "c" in (self._booster.feature_types or ()):
            raise BadData(
                "The XGBoost model has categorical features, whose codes are not in a request. "
                "Encode them within the model: register it as joblib or ONNX, with its encoder."
            )
        self._trees = best_trees(self._booster)
        super().__init__(
            "XGBoost",
            TASKS.get(objective, "regression") if task == "monitor" else task,
            max(1, int(learner["learner_model_param"]["num_class"])),
            classes,
            self._booster.feature_names or (),
        )

    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Predict by the booster, with one thread; a missing value is NaN."""
        matrix = np.asarray(rows, dtype=np.float64)
        found = self._booster.inplace_predict(
            matrix, iteration_range=self._trees, validate_features=False
        )
        return np.asarray(found, dtype=np.float64)

    def raw_contributions(self, rows: Any) -> Floats:
        """Return the contributions of the features, as shared/explaining/trees.py says."""
        return of_xgboost(self._booster, np.asarray(rows, dtype=np.float64))


def _first_line(error: Exception) -> str:
    """Return what an error of the library says, without its trace."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "it is empty"


FORMAT: Final = ArtifactFormat(
    "model.ubj",
    (".ubj", ".json"),
    "XGBoost's own JSON or UBJSON",
    XGBoostModel,
    ("xgboost-cpu", "xgboost"),
)
