"""The dtype of each feature in the data frame that a model was fitted on, found once at
registration.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from driftgauge.shared.reference.feature import Feature, ModelDtype
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.values import number
from driftgauge.shared.versions.prediction import model_inputs

TRIED_ROWS = 32


def as_fitted(
    schema: Schema, frame: pd.DataFrame, estimator: Any, columns: Sequence[Column]
) -> Schema:
    """Complete a schema by the dtype and missing marker of each feature in the model's frame.

    The frame shows which columns are pandas categories and what marks a missing text. A CSV file
    cannot show that texts are categories, nor that codes such as `007` were read as numbers; so if
    the model does not accept them as texts, numbers and categories are tried. Declarations in the
    schema have priority.

    Parameters
    ----------
    frame
        Reference rows in the form that the model was fitted on, one column for each feature.
    columns
        The same rows as `model_columns` returns them.
    """
    known = msgspec.structs.replace(
        schema, features=tuple(_of_frame(one, frame[one.name]) for one in schema.features)
    )
    texts = [one.name for one in known.features if one.dtype is None and one.kind == "categorical"]
    few = [column[:TRIED_ROWS] for column in columns]
    if not texts or _takes(known, estimator, few):
        return known
    codes = {
        name
        for name, column in zip(known.names, columns, strict=True)
        if name in texts and _are_numbers(column)
    }
    numbers: dict[str, ModelDtype] = dict.fromkeys(codes, "float64")
    categories: dict[str, ModelDtype] = dict.fromkeys(texts, "category")
    tried = [numbers, categories, categories | numbers]
    found = (_with_dtypes(known, dtypes) for dtypes in tried if dtypes)
    return next((one for one in found if _takes(one, estimator, few)), known)


def _with_dtypes(schema: Schema, dtypes: Mapping[str, ModelDtype]) -> Schema:
    features = (
        msgspec.structs.replace(one, dtype=dtypes.get(one.name, one.dtype))
        for one in schema.features
    )
    return msgspec.structs.replace(schema, features=tuple(features))


def _are_numbers(column: Column) -> bool:
    """Tell whether all texts of a column are numbers."""
    found = [number(text, TableFormat()) for text in {*column} if text is not None]
    return bool(found) and None not in found


def _of_frame(feature: Feature, column: pd.Series) -> Feature:
    """Return the feature with dtype and missing marker of the reference's column."""
    if feature.dtype is None and isinstance(column.dtype, pd.CategoricalDtype):
        numbers = pd.api.types.is_numeric_dtype(column.dtype.categories.dtype)
        dtype: ModelDtype = "number_category" if numbers else "category"
        feature = msgspec.structs.replace(feature, dtype=dtype)
    if feature.dtype is None and feature.kind == "numeric" and column.dtype == np.dtype(bool):
        feature = msgspec.structs.replace(feature, dtype="bool")
    is_number = pd.api.types.is_numeric_dtype(column.dtype) and column.dtype != np.dtype(bool)
    if feature.dtype is None and feature.kind in {"boolean", "categorical"} and is_number:
        feature = msgspec.structs.replace(feature, dtype="float64")
    if feature.kind == "timestamp" and pd.api.types.is_datetime64_any_dtype(column.dtype):
        feature = msgspec.structs.replace(feature, dtype="datetime")
    marker: Literal["nan", "none"] = "none" if any(value is None for value in column) else "nan"
    if marker == "none" and feature.kind == "categorical" and column.dtype == np.dtype(object):
        feature = msgspec.structs.replace(feature, missing=marker)
    return feature


def _takes(schema: Schema, estimator: Any, columns: Sequence[Column]) -> bool:
    """Tell whether a model predicts some rows in this frame; whatever it raises, it does not."""
    with suppress(Exception):
        estimator.predict(model_inputs(schema, estimator, columns))
        return True
    return False
