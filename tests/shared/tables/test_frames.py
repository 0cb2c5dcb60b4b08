"""Data frames of any library and dtype."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.frames import plain, plain_frame, wrong_values

NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "dtype", "values"),
    [
        (pd.Series([decimal.Decimal("1.5"), None]), "float64", [1.5, NAN]),
        (pd.Series([1, 2], dtype="int8"), "int8", [1, 2]),
        (pd.Series([1, None], dtype="Int64"), "float64", [1.0, NAN]),
        (pd.Series([1, 2], dtype="Int64"), "int64", [1, 2]),
        (pd.Series([1.5, None], dtype="Float32"), "float64", [1.5, NAN]),
        (pd.Series([True, None], dtype="boolean"), "object", [True, NAN]),
        (pd.Series([True, False], dtype="boolean"), "bool", [True, False]),
        (pd.Series(["a", None], dtype="string"), "object", ["a", NAN]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), "float64", [1.0, NAN]),
        (pd.Series([True, None], dtype="bool[pyarrow]"), "object", [True, NAN]),
        (pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())), "object", ["a", NAN]),
        (
            pd.Series([decimal.Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
            "float64",
            [1.5, NAN],
        ),
        (pd.Series(pd.to_timedelta([90, None], unit="s")), "float64", [90.0, NAN]),
        (pd.Series([90e9, None]).astype("duration[ns][pyarrow]"), "float64", [90.0, NAN]),
        (pd.Series([dt.timedelta(seconds=90), None], dtype=object), "float64", [90.0, NAN]),
        (pd.Series([0.0, 1.0], dtype="Sparse[float64]"), "float64", [0.0, 1.0]),
        (pd.Series([1, 2.5, None], dtype=object), "float64", [1.0, 2.5, NAN]),
        (pd.Series([True, False], dtype=object), "bool", [True, False]),
        (pd.Series([2**70, 1], dtype=object), "float64", [2.0**70, 1.0]),
    ],
    ids=str,
)
def test_every_dtype_becomes_plain(column: pd.Series, dtype: str, values: list[Any]) -> None:
    """Numbers of any library are float64 or int64, durations seconds, missing values NaN."""
    found = plain(column)
    assert str(found.dtype) == dtype
    assert found.isna().tolist() == [value != value for value in values]  # noqa: PLR0124  NaN
    assert found.dropna().tolist() == [value for value in values if value == value]  # noqa: PLR0124


def test_times_and_categories_stay() -> None:
    """A time is a time, and a category of pandas the category that a model was trained on."""
    times = plain(pd.Series(pd.to_datetime(["2026-01-01", None])).astype("timestamp[ns][pyarrow]"))
    assert pd.api.types.is_datetime64_any_dtype(times.dtype)
    assert times.isna().tolist() == [False, True]
    periods = pd.Series(pd.period_range("2026-01", periods=2, freq="M"))
    assert plain(periods).tolist() == [pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01")]
    assert isinstance(plain(pd.Series(["a"], dtype="category")).dtype, pd.CategoricalDtype)


def test_names_are_texts() -> None:
    """Columns named by numbers or by several levels have names that can be told."""
    frame = pd.DataFrame(np.ones((2, 2)))
    assert plain_frame(frame).columns.tolist() == ["0", "1"]
    with pytest.raises(BadData, match="more than one column: 0"):
        plain_frame(pd.DataFrame([[1, 2]], columns=[0, "0"]))
    assert frame.columns.tolist() == [0, 1], "the caller's frame is not changed"


def test_frames_of_other_libraries() -> None:
    """A table of PyArrow is read through narwhals, with its missing values; what is no frame is
    named.
    """
    table = pa.table({"x": [1.5, None], "n": [1, 2], "c": ["a", None], "b": [True, None]})
    frame = plain_frame(table)
    assert frame["x"].isna().tolist() == [False, True]
    assert frame["n"].tolist() == [1, 2]
    assert frame["c"].tolist()[0] == "a"
    assert frame["b"].tolist()[0] is True
    with pytest.raises(BadData, match="A list is no data frame"):
        plain_frame([1, 2])


def test_what_is_no_single_value_is_found() -> None:
    """Lists and complex numbers have no order, and are no categories."""
    fault = wrong_values("z", plain(pd.Series([1j, 2j])))
    assert fault is not None
    assert (fault.cells, fault.place) == (2, 0)
    fault = wrong_values("z", pd.Series(["a", None, [1]]))
    assert fault is not None
    assert (fault.cells, fault.place) == (1, 2)
    assert wrong_values("z", pd.Series([decimal.Decimal(1), dt.date(2026, 1, 1), "a"])) is None
