"""Rows as tables have them become columns as counting has them: data frames in, arrays and lists
out.

Pure. A schema (schema.py) says what a column is; here it is inferred from reference rows, and
applied to them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.pii import hashed, text_of
from driftgauge.shared.reference.schema import Feature, Kind, Schema


def infer(
    frame: pd.DataFrame,
    exclude: Mapping[str, str] | None = None,
    prediction: pd.Series | None = None,
    target: str = "",
    *,
    nullable: bool = False,
) -> Schema:
    """Infer a schema from reference rows.

    Numbers and booleans are numeric, all else is categorical; a column with missing values is
    nullable. No range and no list of categories is declared, since new values in production are
    drift to be counted, not requests to be refused.

    Parameters
    ----------
    frame
        The reference rows, one column per feature.
    exclude
        Feature name to the reason why it is left out of drift.
    prediction
        The predictions of the same rows, if there are any.
    nullable
        Whether every feature may be missing, as in a stream that is only watched: there a missing
        value is what the monitor is for. Otherwise a feature may be missing where the reference has
        missing values.

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
    """Give each feature of a frame as the stream has it: float64 with NaN for missing, or a list
    with None for missing.

    Parameters
    ----------
    key
        Key of the hashes, needed if the schema has features that are to be hashed.

    Raises
    ------
    BadData
        If a column is missing, or holds what its kind does not allow.
    ConfigurationError
        If there is no key.
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
    """Bring one column into the form that counting uses."""
    if kind == "categorical":
        absent = series.isna().to_numpy()
        texts = series.astype(object).map(category_text)
        return [None if missing else text for text, missing in zip(texts, absent, strict=True)]
    try:
        values = pd.to_numeric(series).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):  # its message quotes the value, which may be personal
        raise BadData(
            f"Column {series.name!r} is numeric in the schema, but row {_first_text(series)} holds "
            f"something else."
        ) from None
    return np.where(np.isfinite(values), values, np.nan)


def _first_text(series: pd.Series) -> int:
    """Find the first row (from 1) that is no number."""
    other = pd.to_numeric(series, errors="coerce").isna() & series.notna()
    return int(np.argmax(other.to_numpy())) + 1


category_text = text_of
"""A category is written as it is hashed."""


def rows_of(
    frame: pd.DataFrame, schema: Schema, *, scored: bool = True
) -> Sequence[dict[str, Value]]:
    """Give each row as the features of a request, by name, with None for missing.

    Parameters
    ----------
    scored
        Whether a model is to be called with the rows. If not, what would be dropped is not even
        sent.
    """
    features = [feature for feature in schema.features if scored or feature.pii != "drop"]
    columns = [json_values(column) for column in _columns(frame, features)]
    names = [feature.name for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def json_values(column: np.ndarray[Any, Any] | list[Any]) -> list[Value]:
    """Give a column's values as JSON has them: None for missing."""
    values = column if isinstance(column, list) else column.tolist()
    return [None if value != value else value for value in values]  # noqa: PLR0124  NaN is missing


def kind_of(series: pd.Series) -> Kind:
    """Tell whether a column is numeric: numbers and booleans are, all else is categorical."""
    return "numeric" if pd.api.types.is_numeric_dtype(series) else "categorical"
