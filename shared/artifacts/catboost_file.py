"""CatBoost's own files (`.cbm`), as `save_model` writes them; they know their classes."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats
from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.artifacts.native_model import NativeModel
from driftgauge.shared.errors import BadData
from driftgauge.shared.explaining.trees import of_catboost
from driftgauge.shared.extras import needs
from driftgauge.shared.reference.frames import category_text
from driftgauge.shared.versions.manifest import Task

MISSING: Final = "nan"
"""What a missing text is for a model: CatBoost takes no missing category, and `astype(str)` makes
this of one.
"""

LOGARITHMIC: Final = ("Poisson", "Tweedie")
"""Losses whose trees add up to the logarithm of the prediction."""


class CatBoostModel(NativeModel):
    """A model that predicts as `CatBoostRegressor` or `CatBoostClassifier` does.

    Raises
    ------
    BadData
        If the bytes are no model, or its classes are not those that were given.
    """

    def __init__(self, content: bytes, task: Task, classes: tuple[str, ...] = ()) -> None:
        with needs("catboost"):
            import catboost

        try:
            model = catboost.CatBoost().load_model(blob=content)
        except (catboost.CatBoostError, ValueError) as error:
            raise BadData(f"The file is no CatBoost model: {error}.") from error
        own = tuple(category_text(label) for label in model.classes_)
        self._model = model
        if classes not in {(), own}:
            raise BadData(
                f"The model's own classes are {', '.join(own) or 'none'}, not "
                f"{', '.join(classes)}: leave --classes out."
            )
        self._categories = model.get_cat_feature_indices()
        kinds: dict[int, Task] = {0: "regression", 2: "binary"}
        self._kind = "Probability" if own else _kind_of_number(model.get_metadata())
        super().__init__(
            "CatBoost",
            kinds.get(len(own), "multiclass") if task == "monitor" else task,
            max(1, len(own)),
            own,
            model.feature_names_,
        )

    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Predict by the model, with one thread."""
        found = self._model.predict(
            self._as_trained(rows), thread_count=1, prediction_type=self._kind
        )
        return np.asarray(found, dtype=np.float64)

    def raw_contributions(self, rows: Any) -> Floats:
        """Return the contributions of the features, as shared/explaining/trees.py says."""
        return of_catboost(self._model, self._as_trained(rows))

    def _as_trained(self, rows: Any) -> Any:
        """Make texts of the categories."""
        if not self._categories:
            return rows
        return [
            [
                _category(value) if place in self._categories else value
                for place, value in enumerate(row)
            ]
            for row in (rows if isinstance(rows, np.ndarray) else rows.to_numpy()).tolist()
        ]


def _kind_of_number(metadata: Mapping[str, str]) -> str:
    """Return what a regression predicts, as CatBoost names it: the wrapper tells it by the loss,
    and forgets the loss when it loads bytes.
    """
    options = json.loads(metadata.get("params", "{}"))
    loss = options.get("loss_function", {}).get("type", "")
    return "Exponent" if loss in LOGARITHMIC else "RawFormulaVal"


def _category(value: Any) -> str:
    """Return a category as CatBoost hashes it: its text."""
    missing = value is None or value != value  # noqa: PLR0124  NaN
    return MISSING if missing else category_text(value)


FORMAT: Final = ArtifactFormat(
    "model.cbm", (".cbm",), "CatBoost's own format", CatBoostModel, ("catboost",)
)
