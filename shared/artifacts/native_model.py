"""A model that is data alone, with the methods of a fitted scikit-learn model.

The native formats of boosted trees, and ONNX, hold numbers and no code. What comes out of them is a
number a row, or a share for each class; the labels of the classes come from the schema where the
file does not have them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.manifest import Task


class NativeModel(ABC):
    """A model whose library gives a number a row, or the share of each class.

    Parameters
    ----------
    library
        Name of the library, for messages.
    task
        `regression`, `binary` or `multiclass`.
    outputs
        Numbers that the library gives for each row.
    classes
        Class labels in the order of the model's probabilities; if empty, `0`, `1`, ….
    names
        Names of the features in order; empty if the model does not know them.

    Raises
    ------
    BadData
        If the outputs do not fit the task and classes.
    """

    def __init__(
        self,
        library: str,
        task: Task,
        outputs: int,
        classes: tuple[str, ...],
        names: Sequence[str] = (),
    ) -> None:
        self.task: Task = task
        self.feature_names = list(names)
        if (outputs > 1) != (task == "multiclass") and not (task == "binary" and outputs == 2):
            raise BadData(
                f"The {library} model gives {outputs} outputs a row, which does not fit the task "
                f"{task}."
            )
        if task == "regression":
            return
        count = max(outputs, 2)
        if classes and len(classes) != count:
            raise BadData(
                f"The {library} model has {count} classes, but the schema names {len(classes)}: "
                f"{', '.join(classes)}."
            )
        self.classes_ = np.array(classes or [str(number) for number in range(count)], dtype=object)
        # an attribute of classifiers only, because a gate asks whether the method is there
        self.predict_proba = self._probabilities

    @abstractmethod
    def raw(self, rows: Any) -> NDArray[np.float64]:
        """Return what the library gives: numbers, shape (rows,); or shares of the classes, shape
        (rows, classes), of two classes also that of the second alone.
        """

    def predict(self, rows: Any) -> NDArray[Any]:
        """Predict numbers, or class labels as text, shape (rows,).

        Parameters
        ----------
        rows
            Matrix or data frame with one column per feature, in the order of training.
        """
        if self.task == "regression":
            return self.raw(rows)
        return np.asarray(self.classes_[self._probabilities(rows).argmax(axis=1)])

    def _probabilities(self, rows: Any) -> NDArray[np.float64]:
        """Predict the probability of each class, shape (rows, classes)."""
        raw = self.raw(rows)
        return raw if raw.ndim > 1 else np.column_stack((1 - raw, raw))
