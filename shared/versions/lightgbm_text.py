"""A model in LightGBM's own text format, with the methods of a fitted scikit-learn model.

Unlike joblib, reading the text runs no code. The text does not contain the class labels, so they
come from the schema, in the order of the `classes_` of LightGBM's scikit-learn wrapper.
"""

from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import category_text

_THREADS: Final = 1
"""For a few rows, more threads cost more time than they save."""


class TextModel:
    """A LightGBM booster that predicts as `LGBMRegressor` or `LGBMClassifier` does.

    Parameters
    ----------
    text
        Content of a file that `Booster.save_model` wrote.
    task
        `regression`, `binary` or `multiclass`.
    classes
        Class labels in the order of the model's probabilities; if empty, `0`, `1`, ….

    Raises
    ------
    BadData
        If the text is no model, or its outputs do not fit the task and classes.
    """

    def __init__(self, text: str, task: str, classes: tuple[str, ...] = ()) -> None:
        try:
            self._booster = lightgbm.Booster(model_str=text)
        except (lightgbm.basic.LightGBMError, ValueError, IndexError) as error:
            raise BadData(f"The file is no LightGBM model in text format: {error}.") from error
        self._task = task
        outputs = self._booster.num_model_per_iteration()
        if (task == "multiclass") != (outputs > 1):
            raise BadData(
                f"The LightGBM model gives {outputs} outputs a row, which does not fit the task "
                f"{task}."
            )
        if task == "regression":
            return
        count = max(outputs, 2)
        if classes and len(classes) != count:
            raise BadData(
                f"The LightGBM model has {count} classes, but the schema names {len(classes)}: "
                f"{', '.join(classes)}."
            )
        self.classes_ = np.array(classes or [str(number) for number in range(count)], dtype=object)
        # an attribute of classifiers only, because a gate asks whether the method is there
        self.predict_proba = self._probabilities

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns in order; LightGBM replaces spaces by `_`."""
        return list(self._booster.feature_name())

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict numbers, or class labels as text, shape (rows,).

        Parameters
        ----------
        rows
            Matrix or data frame with one column per feature, in the order of training.
        """
        if self._task == "regression":
            return self._raw(rows)
        return np.asarray(self.classes_[self._probabilities(rows).argmax(axis=1)])

    def _probabilities(self, rows: Any) -> NDArray[np.float64]:
        """Predict the probability of each class, shape (rows, classes)."""
        raw = self._raw(rows)
        return raw if raw.ndim > 1 else np.column_stack((1 - raw, raw))

    def _raw(self, rows: Any) -> NDArray[np.float64]:
        frame = self._as_trained(rows) if isinstance(rows, pd.DataFrame) else rows
        return np.asarray(self._booster.predict(frame, num_threads=_THREADS), dtype=np.float64)

    def _as_trained(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Convert categories from text to the values that the model was trained on.

        Events hold categories as text, whatever type they had in training. A category that the
        model does not know is missing.
        """
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
        return frame.assign(**columns)  # type: ignore[arg-type]  # column names are str
