"""Data frames of any library and dtype as plain pandas frames: numbers, booleans, texts, times.
Pure.
"""

import datetime as dt
import decimal
import numbers
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.values import Fault

REAL: Final = (numbers.Real, decimal.Decimal, np.integer, np.floating)
"""Types of real numbers; booleans are among them for Python."""
SCALARS: Final = (str, bytes, dt.date, dt.time, dt.timedelta, np.generic, *REAL)
"""Types of single values; what is none of them, as a list, is no value of a column."""


def plain_frame(frame: Any, twice: set[str] | None = None) -> pd.DataFrame:
    """Return a data frame of pandas with plain columns and texts as their names.

    Parameters
    ----------
    frame
        Of pandas; or of polars, PyArrow or another library that narwhals knows.
    twice
        Gets the names that stand for more than one column; these columns are left out then.

    Raises
    ------
    BadData
        If it is no data frame; or two columns have the same name, and there is no `twice`.

    Examples
    --------
    >>> plain_frame(pd.DataFrame({("x", "mean"): [1.0], ("y", ""): [2.0]})).columns.tolist()
    ['x.mean', 'y']
    """
    if not isinstance(frame, pd.DataFrame):
        frame = _from_other(frame)
    names = [name_of(name) for name in frame.columns]
    several = {name for name, times in Counter(names).items() if times > 1}
    if several and twice is None:
        raise BadData(f"These names stand for more than one column: {', '.join(sorted(several))}.")
    if twice is not None:
        twice |= several
    columns = {
        name: plain(frame.iloc[:, place]) for place, name in enumerate(names) if name not in several
    }
    return pd.DataFrame(columns, index=frame.index, copy=False)


def _from_other(frame: Any) -> pd.DataFrame:
    """Convert a frame of another library."""
    try:
        import narwhals as nw

        found = nw.from_native(frame)
    except (ImportError, TypeError):
        raise BadData(
            f"A {type(frame).__name__} is no data frame that can be read: give one of pandas, or, "
            f"with the package narwhals, of polars or PyArrow."
        ) from None
    eager = found.collect() if isinstance(found, nw.LazyFrame) else found
    return pd.DataFrame({name: _from_column(eager[name]) for name in eager.columns}, copy=False)


def _from_column(column: Any) -> pd.Series:
    """Convert one column; texts and whatever has no dtype in NumPy by its values."""
    values = column.to_numpy() if column.dtype.is_numeric() and not column.is_null().any() else None
    if values is not None and values.dtype != np.dtype(object):
        return pd.Series(values)
    return pd.Series(column.to_list(), dtype=object)


def name_of(name: object) -> str:
    """Return a column's name as text; that of several levels has points between them.

    Examples
    --------
    >>> name_of(0), name_of(("x", "")), name_of(("x", 1))
    ('0', 'x', 'x.1')
    """
    if isinstance(name, tuple):
        return ".".join(str(level) for level in name if level != "")
    return str(name)


def plain(column: pd.Series) -> pd.Series:
    """Return a column as float64, int64, bool, datetime64, category, or object with NaN.

    A `Decimal` is a number, a duration its seconds; dtypes of Arrow and those that mark missing
    values become the ones of NumPy.

    Examples
    --------
    >>> plain(pd.Series([decimal.Decimal("1.5"), None])).tolist()
    [1.5, nan]
    >>> plain(pd.Series(pd.to_timedelta([90, 30], unit="s"))).tolist()
    [90.0, 30.0]
    >>> plain(pd.Series([True, None], dtype="boolean")).tolist()
    [True, nan]
    """
    if isinstance(column.dtype, pd.SparseDtype):
        column = pd.Series(column.to_numpy(), column.index)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    for holds, convert in _BY_DTYPE:
        if holds(column.dtype):
            return convert(column)
    return _objects(column)


def _seconds(column: pd.Series) -> pd.Series:
    return pd.Series(column.dt.total_seconds().astype(np.float64))


def _times(column: pd.Series) -> pd.Series:
    """Return times as datetime64; those of Arrow, too."""
    if isinstance(column.dtype, np.dtype | pd.DatetimeTZDtype):
        return column
    return pd.to_datetime(pd.Series(column.to_numpy(dtype=object), column.index), utc=True)


def _numbers(column: pd.Series) -> pd.Series:
    if pd.api.types.is_complex_dtype(column.dtype):
        return column.astype(object)
    if isinstance(column.dtype, np.dtype):
        return column
    whole = pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any()
    if whole and pd.api.types.is_signed_integer_dtype(column.dtype):
        return pd.Series(column.to_numpy(dtype=np.int64), column.index)
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), column.index)


def _booleans(column: pd.Series) -> pd.Series:
    missing = column.isna().to_numpy()
    if not missing.any():
        return column.astype(np.bool_)
    return pd.Series(column.to_numpy(dtype=object, na_value=np.nan), column.index, dtype=object)


def _objects(column: pd.Series) -> pd.Series:
    """Return a column of Python's objects: numbers if all are, durations as seconds, dates and
    times as such, else as it is.
    """
    values = column.to_numpy(dtype=object)
    missing = pd.isna(column).to_numpy()
    kinds = set(map(type, values[~missing]))
    boolean = (bool, np.bool_)
    if not kinds:
        return pd.Series(values, column.index, dtype=object)
    if all(issubclass(kind, boolean) for kind in kinds):
        return _booleans(pd.Series(values, column.index, dtype=object))
    if all(issubclass(kind, dt.timedelta | np.timedelta64) for kind in kinds):
        return _seconds(pd.to_timedelta(pd.Series(values, column.index)))
    if all(issubclass(kind, dt.date | np.datetime64) for kind in kinds):
        return _moments(pd.Series(values, column.index, dtype=object), missing)
    if all(issubclass(kind, REAL) and not issubclass(kind, boolean) for kind in kinds):
        whole = all(issubclass(kind, int | np.integer) for kind in kinds)
        return _real(values, missing, column.index, whole=whole)
    nan = missing & np.array([value is not None for value in values], dtype=np.bool_)
    return pd.Series(np.where(nan, np.nan, values), column.index, dtype=object)


def _moments(column: pd.Series, missing: Any) -> pd.Series:
    """Return times of Python as datetime64; as they are, if some have a zone and others none, or
    there is no such time in pandas.
    """
    zoned = {getattr(value, "tzinfo", None) is not None for value in column[~missing]}
    try:
        return pd.to_datetime(column, utc=True) if zoned == {True} else pd.to_datetime(column)
    except (ValueError, OverflowError):
        return column


def _real(values: Any, missing: Any, index: Any, *, whole: bool) -> pd.Series:
    """Return numbers as int64 if they are whole and fit, else as float64."""
    if whole and not missing.any():
        try:
            return pd.Series(values.astype(np.int64), index)
        except OverflowError:
            pass
    found = np.full(len(values), np.nan)
    found[~missing] = [as_float(value) for value in values[~missing]]
    return pd.Series(found, index)


def as_float(value: Any) -> float:
    """Return a real number of any type as float64; one that is too large is infinite.

    Examples
    --------
    >>> as_float(decimal.Decimal("1.5")), as_float(-(10**400))
    (1.5, -inf)
    """
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def wrong_values(name: str, column: pd.Series) -> Fault | None:
    """Return the fault of a column that has lists, objects or complex numbers among its values;
    None without.
    """
    if column.dtype != np.dtype(object):
        return None
    missing = pd.isna(column).to_numpy()
    bad = np.array([not _is_single(value) for value in column], dtype=np.bool_) & ~missing
    if not bad.any():
        return None
    return Fault(
        name, "single value", int(bad.sum()), len(column), int(np.argmax(bad)), "give each cell one"
    )


def _is_single(value: object) -> bool:
    return isinstance(value, SCALARS) and not isinstance(value, np.complexfloating)


_BY_DTYPE: Final[tuple[tuple[Callable[[Any], bool], Callable[[pd.Series], pd.Series]], ...]] = (
    (lambda dtype: isinstance(dtype, pd.CategoricalDtype), lambda same: same),
    (pd.api.types.is_timedelta64_dtype, _seconds),
    (pd.api.types.is_datetime64_any_dtype, _times),
    (pd.api.types.is_bool_dtype, _booleans),
    (pd.api.types.is_numeric_dtype, _numbers),
)
"""What tells a dtype, and how a column of it becomes plain; the first that fits."""
