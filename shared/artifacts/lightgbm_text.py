"""A model in LightGBM's own text format, with the methods of a fitted scikit-learn model.

Unlike joblib, reading the text runs no code. The text does not contain the class labels, so they
come from the schema, in the order of the `classes_` of LightGBM's scikit-learn wrapper.
"""

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats
from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.artifacts.native_model import NativeModel
from driftgauge.shared.errors import BadData
from driftgauge.shared.explaining.trees import of_lightgbm
from driftgauge.shared.reference.frames import category_text
from driftgauge.shared.versions.manifest import Task

_OBJECTIVE: Final = re.compile(r"^objective=(\w+)", re.MULTILINE)
_TASKS: Final[dict[str, Task]] = {
    "binary": "binary",
    "multiclass": "multiclass",
    "multiclassova": "multiclass",
}
_THREADS: Final = 1
"""For a few rows, more threads cost more time than they save."""


class TextModel(NativeModel):
    """A LightGBM booster that predicts as `LGBMRegressor` or `LGBMClassifier` does.

    Parameters
    ----------
    text
        Content of a file that `Booster.save_model` wrote.
    task
        `regression`, `binary` or `multiclass`; `monitor` takes that of the text's objective.
    classes
        Class labels in the order of the model's probabilities; if empty, `0`, `1`, ….

    Raises
    ------
    BadData
        If the text is no model, or its outputs do not fit the task and classes.
    """

    def __init__(self, text: str, task: Task, classes: tuple[str, ...] = ()) -> None:
        import lightgbm  # slow to import, and many processes load no model

        try:
            self._booster = lightgbm.Booster(model_str=text)
        except (lightgbm.basic.LightGBMError, ValueError, IndexError) as error:
            raise BadData(f"The file is no LightGBM model in text format: {error}.") from error
        super().__init__(
            "LightGBM",
            _task_of(text) if task == "monitor" else task,
            self._booster.num_model_per_iteration(),
            classes,
            self._booster.feature_name(),  # it replaces spaces by `_`
        )

    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Predict by the booster, with one thread."""
        frame = self._as_trained(rows)
        return np.asarray(self._booster.predict(frame, num_threads=_THREADS), dtype=np.float64)

    def raw_contributions(self, rows: Any) -> Floats:
        """Return the contributions of the features, as shared/explaining/trees.py says."""
        return of_lightgbm(self._booster, self._as_trained(rows))

    def _as_trained(self, frame: Any) -> Any:
        """Convert categories of a frame from text to the values that the model was trained on.

        Events hold categories as text, whatever type they had in training. A category that the
        model does not know is missing. A matrix stays as it is.
        """
        if isinstance(frame, np.ndarray):
            return frame
        import pandas as pd

        known: list[list[Any]] = self._booster.pandas_categorical or []
        texts = [
            name for name, column in frame.items() if not pd.api.types.is_numeric_dtype(column)
        ]
        if len(texts) != len(known):
            raise BadData(
                f"The LightGBM model has {len(known)} categorical features, the rows have "
                f"{len(texts)}."
            )
        columns = {}
        for name, values in zip(texts, known, strict=True):
            codes = {category_text(value): code for code, value in enumerate(values)}
            found = [codes.get(text, -1) for text in frame[name].astype(object)]
            columns[name] = pd.Categorical.from_codes(found, categories=pd.Index(values))
        return frame.assign(**columns)


def _task_of(text: str) -> Task:
    """Return the task of a text's objective: a regression if it is none of classes."""
    found = _OBJECTIVE.search(text)
    return _TASKS.get(found[1] if found else "", "regression")


def load(content: bytes, task: Task, classes: tuple[str, ...]) -> TextModel:
    """Load a file; BadData if it is none."""
    return TextModel(content.decode(errors="replace"), task, classes)


FORMAT: Final = ArtifactFormat(
    "model.txt", (".txt",), "LightGBM's own text format", load, ("lightgbm",)
)
