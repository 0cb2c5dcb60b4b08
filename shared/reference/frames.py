"""Data frames: a schema is inferred from one, and its columns are converted to arrays and lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.columns.choices import IN_HAND, Choices, Circumstances
from driftgauge.shared.reference.columns.recognising import recognised
from driftgauge.shared.reference.feature import MAX_CATEGORY, PLAIN, Feature, Kind
from driftgauge.shared.reference.pii import hashed, text_of
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.times import converted, moments
from driftgauge.shared.tables.format import TableFormat, TimeFormat


def infer(
    frame: pd.DataFrame,
    exclude: Mapping[str, str] | None = None,
    prediction: pd.Series | None = None,
    target: str = "",
    *,
    nullable: bool = False,
    place: Circumstances = IN_HAND,
) -> Schema:
    """Infer a schema from reference rows.

    Columns are taken as `recognised` says. No range and no categories are declared, because new
    values in production are drift to be counted, not requests to be refused.

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
    place
        What the rows are used for.

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
    found = [
        recognised(str(name), column, Choices(), place, nullable=nullable)[0]
        for name, column in frame.items()
    ]
    features = tuple(
        msgspec.structs.replace(feature, excluded=reasons[feature.name])
        if feature.name in reasons
        else feature
        for feature in found
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
        list of text with None for missing values. Then one for each derived column.

    Raises
    ------
    BadData
        If a column is missing, or a numeric feature's column holds something else than numbers.
    ConfigurationError
        If a feature is to be hashed and there is no key.
    """
    secret = schema.hash_key(key)
    features = [feature for feature in schema.features if feature.pii != "drop"]
    columns = _columns(frame, features, schema.table)
    published = [
        [None if value is None else hashed(value, secret) for value in json_values(column)]
        if feature.pii == "hash"
        else _cut(column)
        for feature, column in zip(features, columns, strict=True)
    ]
    return [*published, *schema.derived_columns(published)]


def _cut(column: np.ndarray[Any, Any] | list[Any]) -> np.ndarray[Any, Any] | list[Any]:
    """Return a column with texts as long as events may have them."""
    if not isinstance(column, list):
        return column
    return [None if text is None else text[:MAX_CATEGORY] for text in column]


def _columns(
    frame: pd.DataFrame, features: Iterable[Feature], table: TableFormat
) -> list[np.ndarray[Any, Any] | list[Any]]:
    missing = [feature.name for feature in features if feature.name not in frame.columns]
    if missing:
        raise BadData(f"The rows lack these columns of the schema: {', '.join(missing)}.")
    return [as_column(frame[feature.name], feature, table) for feature in features]


def as_column(
    series: pd.Series, feature: Feature, table: TableFormat = PLAIN
) -> np.ndarray[Any, Any] | list[Any]:
    """Convert one column to the values that stand in the log, as a request's would.

    Parameters
    ----------
    table
        How missing values, and numbers as text, are written.

    Returns
    -------
    column
        Texts with None for missing, of a categorical feature; else float64 with NaN.

    Raises
    ------
    BadData
        If a cell is not of the feature's kind.

    Examples
    --------
    >>> as_column(pd.Series([3, 3.0, "3", None], dtype=object), Feature("code", "categorical"))
    ['3', '3', '3', None]
    >>> as_column(pd.Series(["True", "false"]), Feature("paid", "boolean")).tolist()
    [1.0, 0.0]
    """
    if feature.kind == "categorical":
        return _texts(series, feature, table)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        values = _moments(series, feature)
    elif feature.time is not None and feature.time.pattern:
        values = _times(series.map(text_of, na_action="ignore"), feature, table)
    elif pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif feature.kind == "timestamp" and (feature.time is None or feature.time.unit is None):
        values = _times(series, feature, table)
    else:
        values = _numbers(series, feature, table)
    return np.where(np.isfinite(values), values, np.nan)


def answers_of(series: pd.Series, schema: Schema) -> np.ndarray[Any, Any] | list[Any]:
    """Convert a column of predictions or labels, as `as_column` does; classes as the schema has
    them.

    Examples
    --------
    >>> schema = Schema((Feature("x", "numeric"),), "categorical", classes=("0", "1"))
    >>> answers_of(pd.Series([1.0, 0.0, None]), schema)
    ['1', '0', None]
    """
    column = as_column(series, schema.answer, schema.table)
    if not schema.classes or not isinstance(column, list):
        return column
    known = {text: schema.class_of(text) for text in {*column}}
    return [known[text] for text in column]


def _texts(series: pd.Series, feature: Feature, table: TableFormat) -> list[Any]:
    absent = series.isna().to_numpy()
    texts = [
        None if missing else category_text(value)
        for value, missing in zip(series.astype(object), absent, strict=True)
    ]
    known = {text: _text(text, feature, table) for text in {*texts} if text is not None}
    return [None if text is None else known[text] for text in texts]


def _text(text: str, feature: Feature, table: TableFormat) -> str | None:
    """Return a category as the log has it; None if it means a missing value."""
    if table.is_missing(text) or text.strip() in feature.marks:
        return None
    code = feature.code_of(text, table)
    return text if code is None else code


def _numbers(series: pd.Series, feature: Feature, table: TableFormat) -> Floats:
    """Read cells of any type by the rules of a request, equal ones once."""
    open_ = msgspec.structs.replace(feature, nullable=True, minimum=None, maximum=None)
    known: dict[tuple[type, object], float] = {}
    values = np.full(len(series), np.nan)
    absent = series.isna().to_numpy()
    for row, cell in enumerate(series.astype(object)):
        if absent[row]:
            continue
        key = type(cell), cell
        if key not in known:
            given = cell if isinstance(cell, str | bool | int | float) else _plain(cell)
            value, fault = open_.read(given, table, texts=True)
            if fault is not None and not _is_infinite(given):  # its cell may be personal
                raise BadData(
                    f"Column {series.name!r} is {feature.kind} in the schema, but row {row + 1} "
                    f"holds something else."
                ) from None
            known[key] = np.nan if value is None else float(value)
        values[row] = known[key]
    return values


def _times(series: pd.Series, feature: Feature, table: TableFormat) -> Floats:
    """Read times that are written as text, all at once; what is none by the rules of a request."""
    there = np.flatnonzero(series.notna().to_numpy())
    cells = series.astype(object).to_numpy()[there]
    form = feature.time or TimeFormat()
    values = np.full(len(series), np.nan)
    values[there] = moments([cell if isinstance(cell, str) else "" for cell in cells], form)
    left = there[np.isnan(values[there])]
    values[left] = _numbers(series.iloc[left], feature, table)
    return values


def _plain(cell: object) -> object:
    """Return a number of another type (Decimal, NumPy's) as a float, and a date as its text."""
    if hasattr(cell, "isoformat"):
        return cell.isoformat()
    try:
        return float(cell)  # type: ignore[arg-type]  # it raises where it cannot
    except (TypeError, ValueError):
        return cell


def _is_infinite(cell: object) -> bool:
    return isinstance(cell, float) and not np.isfinite(cell)


def _moments(series: pd.Series, feature: Feature) -> Floats:
    """Return times of pandas as the log has them: in the unit that they are written in."""
    form = feature.time or TimeFormat()
    if series.dt.tz is None:
        series = series.dt.tz_localize(form.timezone, ambiguous="NaT", nonexistent="shift_forward")
    ms = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ns]")
    values = np.where(np.isnat(ms), np.nan, ms.astype(np.int64) / 1e6)
    return converted(values, "ms", form.unit or "ms")


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
    columns = [json_values(column) for column in _columns(frame, features, schema.table)]
    names = [feature.name for feature in features]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def json_values(column: np.ndarray[Any, Any] | list[Any]) -> list[Value]:
    """Convert the values of a column to those of JSON, with None for missing."""
    values = column if isinstance(column, list) else column.tolist()
    return [None if value != value else value for value in values]  # noqa: PLR0124  NaN is missing


def kind_of(series: pd.Series) -> Kind:
    """Return the kind of a column: numbers and booleans are numeric, all else is categorical."""
    return "numeric" if pd.api.types.is_numeric_dtype(series) else "categorical"
