"""Prediction of many rows with a fitted model, at registration and in the gates.

The model gets the rows in the same form as from the API. Columns are those of the schema's features
in its order, as `model_columns` returns them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import as_column, category_text
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.model_frame import model_frame


def model_columns(frame: pd.DataFrame, schema: Schema) -> list[Column]:
    """Return the column of each feature of a data frame, in the schema's order.

    Raises
    ------
    BadData
        If a column is missing, or a numeric feature's column holds something else than numbers.
    """
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise BadData(f"The rows lack these columns of the schema: {', '.join(missing)}.")
    return [as_column(frame[feature.name], feature, schema.table) for feature in schema.features]


def model_inputs(schema: Schema, estimator: Any, columns: Sequence[Column]) -> Any:
    """Return rows as the model was fitted on them, as `model_frame` does.

    Parameters
    ----------
    columns
        One column per feature of the schema, in its order.
    """
    return model_frame(schema, columns, named=hasattr(estimator, "feature_names_in_"))


def predict(schema: Schema, estimator: Any, columns: Sequence[Column]) -> Column:
    """Predict rows: an array of finite numbers, or a list of labels as text.

    The schema says which of the two the model predicts.

    Raises
    ------
    BadData
        If the model does not return one usable prediction for each row.
    """
    rows = len(columns[0])
    output = np.asarray(estimator.predict(model_inputs(schema, estimator, columns)))
    if output.shape != (rows,):
        raise BadData(
            f"The model gives the shape {output.shape} for {rows} rows; one value a row is needed."
        )
    if schema.prediction == "categorical":
        return [category_text(label) for label in output.tolist()]
    try:
        numbers = output.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise BadData(
            f"The model's predictions are no numbers, as the schema says: {error}."
        ) from error
    if not np.isfinite(numbers).all():
        raise BadData(
            f"The model gives no finite number for {int((~np.isfinite(numbers)).sum())} of {rows} "
            f"rows."
        )
    return numbers


def class_labels(estimator: Any) -> tuple[str, ...]:
    """Return a classifier's labels in the order of its probabilities; empty if it has none."""
    if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
        return ()
    return tuple(category_text(label) for label in np.asarray(estimator.classes_).tolist())


def probabilities(
    schema: Schema, estimator: Any, columns: Sequence[Column]
) -> NDArray[np.float64] | None:
    """Predict the probability of each class, shape (rows, classes); None if the model has none.

    Raises
    ------
    BadData
        If the model returns another shape.
    """
    labels = class_labels(estimator)
    if not labels:
        return None
    found = np.asarray(
        estimator.predict_proba(model_inputs(schema, estimator, columns)), dtype=np.float64
    )
    if found.shape != (len(columns[0]), len(labels)):
        raise BadData(
            f"The model gives probabilities of the shape {found.shape} for {len(labels)} classes."
        )
    return found
