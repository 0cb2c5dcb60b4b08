"""Data frames: a schema is inferred from one, and its columns are converted to arrays and lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature, Kind
from driftgauge.shared.reference.pii import hashed, text_of
from driftgauge.shared.reference.schema import Schema


def infer(
    frame: pd.DataFrame,
    exclude: Mapping[str, str] | None = None,
    prediction: pd.Series | None = None,
    target: str = "",
    *,
    nullable: bool = False,
) -> Schema:
    """Infer a schema from reference rows.

    Numbers and booleans are numeric, everything else is categorical. No range and no categories are
    declared, because new values in production are drift to be counted, not requests to be refused.

    Parameters
    ----------
    frame
        The reference rows, one column per feature.
    exclude
        Feature name to the reason why drift is not judged on it.
    prediction
        The prediction of each row; None if there are no predictions.
    target
        Name of what is predicted, for display.
    nullable
        True if every feature may be missing, as in a stream that is only watched. If not, the
        features may be missing that are missing in some reference row.

    Raises
    ------
    BadData
        If an excluded feature is no column of the frame, or the schema cannot be used.

    Examples
    --------
    >>> [f.kind for f in infer(pd.DataFrame({"x": [1, 2], "c": ["a", None]})).features]
    ['numeric', 'categorical']
    """
    reasons = exclude or {}
    unknown = [name for name in reasons if name not in frame.columns]
    if unknown:
        raise BadData(f"Cannot exclude {', '.join(unknown)}: the reference has no such column.")
    features = tuple(
        Feature(
            str(name),
            kind_of(column),
            nullable=nullable or bool(column.isna().any()),
            excluded=reasons.get(str(name), ""),
        )
        for name, column in frame.items()
    )
    return Schema(
        features, prediction=None if prediction is None else kind_of(prediction), target=target
    )


def columns_of(
    frame: pd.DataFrame, schema: Schema, key: str | None = None
) -> list[np.ndarray[Any, Any] | list[Any]]:
    """Convert a data frame to the columns of the schema's stream, in its order.

    Parameters
    ----------
    key
        Key of the hashes; needed if the schema hashes features.

    Returns
    -------
    list
        One column for each published feature: a float64 array with NaN for missing values, or a
        list of text with None for missing values.

    Raises
    ------
    BadData
        If a column is missing, or a numeric feature's column holds something else than numbers.
    ConfigurationError
        If a feature is to be hashed and there is no key.
    """
    secret = schema.hash_key(key)
    features = [feature for feature in schema.features if feature.pii != "drop"]
    columns = _columns(frame, features)
    return [
        [None if value is None else hashed(value, secret) for value in json_values(column)]
        if feature.pii == "hash"
        else column
        for feature, column in zip(features, columns, strict=True)
    ]


def _columns(
    frame: pd.DataFrame, features: Iterable[Feature]
) -> list[np.ndarray[Any, Any] | list[Any]]:
    missing = [feature.name for feature in features if feature.name not in frame.columns]
    if missing:
        raise BadData(f"The rows lack these columns of the schema: {', '.join(missing)}.")
    return [as_column(frame[feature.name], feature.kind) for feature in features]


def as_column(series: pd.Series, kind: Kind) -> np.ndarray[Any, Any] | list[Any]:
    """Convert one column: numbers to float64 with NaN, categories to text with None for missing.

    Raises
    ------
    BadData
        If a numeric column holds something else than numbers.
    """
    if kind == "categorical":
        absent = series.isna().to_numpy()
        texts = series.astype(object).map(category_text)
        return [None if missing else text for text, missing in zip(texts, absent, strict=True)]
    try:
        values = pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):  # pandas' message quotes the value, which may be personal
        raise BadData(
            f"Column {series.name!r} is numeric in the schema, but row {_first_text(series)} holds "
            f"something else."
        ) from None
    return np.where(np.isfinite(values), values, np.nan)


def _first_text(series: pd.Series) -> int:
    """Return the number, from 1, of the first row that holds no number."""
    other = pd.to_numeric(series, errors="coerce").isna() & series.notna()
    return int(np.argmax(other.to_numpy())) + 1


category_text = text_of
"""Converts a category to text, in the same way as before it is hashed."""


def rows_of(
    frame: pd.DataFrame, schema: Schema, *, scored: bool = True
) -> Sequence[dict[str, Value]]:
    """Convert each row to the `features` of a request: name to value, None for missing.

    Parameters
    ----------
    scored
        True if a model is to be called with the rows. If not, features that are dropped as personal
        are left out.

    Raises
    ------
    BadData
        If a column is missing, or a numeric feature's column holds something else than numbers.
    """
    features = [feature for feature in schema.features if scored or feature.pii != "drop"]
    columns = [json_values(column) for column in _columns(frame, features)]
    names = [feature.name for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def json_values(column: np.ndarray[Any, Any] | list[Any]) -> list[Value]:
    """Convert the values of a column to those of JSON, with None for missing."""
    values = column if isinstance(column, list) else column.tolist()
    return [None if value != value else value for value in values]  # noqa: PLR0124  NaN is missing


def kind_of(series: pd.Series) -> Kind:
    """Return the kind of a column: numbers and booleans are numeric, all else is categorical."""
    return "numeric" if pd.api.types.is_numeric_dtype(series) else "categorical"
