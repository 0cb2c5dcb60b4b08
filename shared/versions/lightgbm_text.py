"""A model in LightGBM's own text format, behind the methods that a fitted scikit-learn model has.

Reading the text runs no code, unlike joblib. The text knows neither the class labels nor the way of
scikit-learn's wrapper from probabilities to labels; so the labels come from the schema, in the
order of the wrapper's `classes_`.
"""

from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import category_text

_THREADS: Final = 1
"""More cost more than they give for a few rows."""


class TextModel:
    """A booster that predicts as `LGBMRegressor` or `LGBMClassifier` does.

    Parameters
    ----------
    text
        Content of the file that `Booster.save_model` wrote.
    task
        regression, binary or multiclass.
    classes
        Class labels in the order of the model's probabilities; without them `0`, `1`, …

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
        self.predict_proba = (
            self._probabilities
        )  # only where there are any: a check asks for the method

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns, in order; LightGBM writes `_` for a space."""
        return list(self._booster.feature_name())

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict numbers, or labels as text.

        Parameters
        ----------
        rows
            Matrix or data frame, one column per feature in the order of training.
        """
        if self._task == "regression":
            return self._raw(rows)
        return np.asarray(self.classes_[self._probabilities(rows).argmax(axis=1)])

    def _probabilities(self, rows: Any) -> NDArray[np.float64]:
        """Give the probability of each class, shape (rows, classes)."""
        raw = self._raw(rows)
        return raw if raw.ndim > 1 else np.column_stack((1 - raw, raw))

    def _raw(self, rows: Any) -> NDArray[np.float64]:
        frame = self._as_trained(rows) if isinstance(rows, pd.DataFrame) else rows
        return np.asarray(self._booster.predict(frame, num_threads=_THREADS), dtype=np.float64)

    def _as_trained(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give categories, which the stream has as text, as the values that the model was trained
        on.
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
