"""The frame that a model is called with: a function of the version's schema and the rows alone.

The dtype that pandas infers for a column depends on its values: in one call a missing category is
None, in the next NaN, and models distinguish them. So every column's dtype and missing marker are
stored in the schema at registration, and a row gets the same prediction alone, among others, in a
file, and with any release of pandas. Pure.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.times import to_ms
from driftgauge.shared.tables.format import TimeFormat


def model_frame(schema: Schema, columns: Sequence[Column], *, named: bool) -> Any:
    """Build the input of a fitted model.

    Parameters
    ----------
    columns
        One column for each feature of the schema, in its order: numbers with NaN or None for
        missing values, or texts with None.
    named
        Whether the model knows its columns by name. If it does not, and all are plain numbers, it
        gets a matrix.

    Returns
    -------
    inputs
        A float64 matrix of shape (rows, features), or a frame whose numbers are float64, whose
        texts are objects, and whose categories are categories.

    Examples
    --------
    >>> schema = Schema((Feature("age", "numeric"), Feature("plan", "categorical", nullable=True)))
    >>> frame = model_frame(schema, [np.array([40.0]), [None]], named=True)
    >>> frame.dtypes.astype(str).tolist(), frame["plan"].tolist()
    (['float64', 'object'], [nan])
    """
    names = list(schema.names)
    plain = [feature.model_dtype == "float64" for feature in schema.features]
    numbers = [column for column, is_number in zip(columns, plain, strict=True) if is_number]
    matrix = np.column_stack(
        [np.asarray(column, dtype=np.float64) for column in numbers]
        or [np.empty((len(columns[0]), 0))]
    )
    if all(plain) and not named:
        return matrix
    import pandas as pd  # an API that only watches starts without

    if all(plain):
        return pd.DataFrame(matrix, columns=names, copy=False)
    others = {
        feature.name: _typed(column, feature)
        for feature, column in zip(schema.features, columns, strict=True)
        if feature.model_dtype != "float64"
    }
    numeric = [name for name, is_number in zip(names, plain, strict=True) if is_number]
    frame = pd.DataFrame(matrix, columns=numeric, copy=False)
    return pd.concat([frame, pd.DataFrame(others, copy=False)], axis=1)[names]


def _typed(column: Column, feature: Feature) -> Any:
    """Return a feature's values as the model's frame has them."""
    import pandas as pd

    absent = np.nan if feature.missing == "nan" else None
    values = np.empty(len(column), dtype=object)
    values[:] = [absent if value is None or value != value else value for value in column]  # noqa: PLR0124  NaN
    match feature.model_dtype:
        case "category":
            return pd.Categorical(values)
        case "number_category":
            return pd.Categorical(values.astype(np.float64))
        case "datetime":
            form = feature.time or TimeFormat()
            ms = to_ms(np.asarray(column, dtype=np.float64), form.unit)
            return pd.to_datetime(pd.Series(ms), unit="ms").dt.as_unit("ns")
        case "bool" if not feature.nullable:
            return values.astype(np.bool_)
        case "bool":  # in pandas a column of booleans with missing ones is one of objects
            values[:] = [value if value is absent else bool(value) for value in values]
    return pd.Series(values, dtype=object, copy=False)  # no guess of pandas at a type of text
