"""CatBoost's own files (`.cbm`), as `save_model` writes them; they know their classes."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.artifacts.native_model import NativeModel
from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs
from driftgauge.shared.reference.frames import category_text
from driftgauge.shared.versions.manifest import Task

MISSING: Final = "nan"
"""What a missing text is for a model: CatBoost takes no missing category, and `astype(str)` makes
this of one.
"""


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
        if own:
            self._model = model
        else:  # its kind of prediction follows from the loss
            self._model = catboost.CatBoostRegressor().load_model(blob=content)
        if classes not in {(), own}:
            raise BadData(
                f"The model's own classes are {', '.join(own) or 'none'}, not "
                f"{', '.join(classes)}: leave --classes out."
            )
        self._categories = model.get_cat_feature_indices()
        kinds: dict[int, Task] = {0: "regression", 2: "binary"}
        super().__init__(
            "CatBoost",
            kinds.get(len(own), "multiclass") if task == "monitor" else task,
            max(1, len(own)),
            own,
            model.feature_names_,
        )

    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Predict by the model, with one thread."""
        if self._categories:
            rows = [
                [
                    _category(value) if place in self._categories else value
                    for place, value in enumerate(row)
                ]
                for row in (rows if isinstance(rows, np.ndarray) else rows.to_numpy()).tolist()
            ]
        kind = {} if self.task == "regression" else {"prediction_type": "Probability"}
        return np.asarray(self._model.predict(rows, thread_count=1, **kind), dtype=np.float64)


def _category(value: Any) -> str:
    """Return a category as CatBoost hashes it: its text."""
    missing = value is None or value != value  # noqa: PLR0124  NaN
    return MISSING if missing else category_text(value)


FORMAT: Final = ArtifactFormat(
    "model.cbm", (".cbm",), "CatBoost's own format", CatBoostModel, ("catboost",)
)
