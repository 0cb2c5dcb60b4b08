"""A fitted model as serving calls it: rows in stream order in, usable predictions out.

What can be wrong with a model file is found here when it is loaded, by a first prediction on values
of its own reference, and not by the first request.
"""

import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from driftgauge.shared.errors import BadData
from driftgauge.shared.explaining.exact import explained
from driftgauge.shared.explaining.explanation import Explanation
from driftgauge.shared.reference.pii import text_of as category_text
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.model_frame import model_frame
from driftgauge.shared.versions.reference_rows import Row, reference_rows


class Score(NamedTuple):
    """Output of a model for a row; probabilities in the order of the schema's classes."""

    prediction: float | str
    probabilities: list[float] | None = None


class Estimator:
    """Calls a fitted model.

    Parameters
    ----------
    schema
        Schema of the version. If it has classes, one call of `predict_proba` gives the
        probabilities, and the class with the largest is the prediction.
    fitted
        Fitted model with `predict`, and with `predict_proba` and `classes_` for probabilities.

    Raises
    ------
    BadData
        If the model's classes are not the schema's.
    """

    def __init__(self, schema: Schema, fitted: Any) -> None:
        self._fitted = fitted
        self._schema = schema
        self._numeric = all(feature.model_dtype == "float64" for feature in schema.features)
        self._names = list(schema.names) if hasattr(fitted, "feature_names_in_") else None
        self._categorical = schema.prediction == "categorical"
        self._classes = (
            np.array(schema.classes, dtype=object)
            if hasattr(fitted, "predict_proba")
            else np.array([])
        )
        if len(self._classes):
            _check_classes(schema.classes, fitted)

    def scores(self, rows: Sequence[Row]) -> list[Score | None]:
        """Predict rows by one call of the model; None where the result is not a finite number.

        Raises
        ------
        Exception
            Whatever the model raises; ValueError if it returns another shape.
        """
        inputs = self.inputs(rows)
        if len(self._classes):
            return self._by_probabilities(inputs, len(rows))
        output = _shaped(self._fitted.predict(inputs), (len(rows),))
        if self._categorical:
            return [Score(category_text(label)) for label in output.tolist()]
        numbers = output.astype(np.float64)
        usable = np.isfinite(numbers).tolist()
        return [
            Score(number) if finite else None
            for number, finite in zip(numbers.tolist(), usable, strict=True)
        ]

    def inputs(self, rows: Sequence[Row]) -> Any:
        """Return rows as the model was fitted on them: by the schema alone, whoever asks."""
        if self._numeric:
            matrix = np.array(rows, dtype=np.float64)  # None becomes NaN
            if self._names is None:
                return matrix
            import pandas as pd  # an API that only watches starts without

            return pd.DataFrame(matrix, columns=self._names, copy=False)
        columns = [list(column) for column in zip(*rows, strict=True)]
        return model_frame(self._schema, columns, named=self._names is not None)

    def explained(self, rows: Sequence[Row], reference: ReferenceProfile) -> list[Explanation]:
        """Explain rows exactly.

        Raises
        ------
        Unexplained
            If the model is of no kind that has contributions of its own.
        Exception
            Whatever the model or its library raises.
        """
        return explained(self._fitted, rows, self.inputs, self._schema, reference)

    def warm_up(self, published: PublishedVersion) -> None:
        """Predict values of the reference: caches fill, and a model that cannot predict is found
        out.

        A model with personal features is not tried: no value of theirs is stored anywhere.

        Raises
        ------
        BadData
            If it fails, gives nothing usable, or its classes are not those of the largest
            probability.
        """
        rows = reference_rows(published)
        if not rows:
            return
        name = f"{published.manifest.model} {published.manifest.version}"
        try:
            scores = self.scores(rows)
            labels = self._fitted.predict(self.inputs(rows)) if len(self._classes) else None
        except Exception as error:
            raise BadData(
                f"{name} fails at a first prediction on values of its own reference: "
                f"{failure(error)}. It is not served; "
                "register a version whose model takes the schema's features in their order."
            ) from error
        if not any(scores):
            raise BadData(
                f"{name} gives no finite number on values of its own reference. It is not served."
            )
        chosen = [score.prediction for score in scores if score is not None]
        if labels is not None and chosen != [
            category_text(label) for label in np.asarray(labels).tolist()
        ]:
            raise BadData(
                f"{name}: predict gives other classes than the largest probability, so the model "
                f"decides by a threshold of "
                "its own. It is not served; register it without classes, and predict alone is "
                "asked."
            )

    def _by_probabilities(self, inputs: Any, rows: int) -> list[Score | None]:
        shares = _shaped(self._fitted.predict_proba(inputs), (rows, len(self._classes))).astype(
            np.float64
        )
        chosen = self._classes[shares.argmax(axis=1)].tolist()
        usable = np.isfinite(shares).all(axis=1).tolist()
        return [
            Score(label, row) if finite else None
            for label, row, finite in zip(chosen, shares.tolist(), usable, strict=True)
        ]


def failure(error: BaseException) -> str:
    """Say what a model raised and where, but not its message: that can quote feature values."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename}:{frame.lineno}"


def _shaped(output: Any, expected: tuple[int, ...]) -> Any:
    array = np.asarray(output)
    if array.shape != expected:
        raise ValueError(f"The model gave the shape {array.shape} instead of {expected}.")
    return array


def _check_classes(expected: Sequence[str], fitted: Any) -> None:
    found = [category_text(label) for label in np.asarray(getattr(fitted, "classes_", ())).tolist()]
    if found != list(expected):
        raise BadData(
            f"The model's classes are {', '.join(found) or 'unknown'}, the schema's "
            f"{', '.join(expected)}: the "
            "probabilities would be read in the wrong order. It is not served; register it with "
            "the model's order."
        )
