"""Data frames and the columns and rows that are made of them."""

import numpy as np
import pandas as pd
import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import as_column, columns_of, infer, rows_of
from driftgauge.shared.reference.schema import Schema

SCHEMA = Schema(
    (
        Feature("age", "numeric", minimum=0, maximum=120),
        Feature("income", "numeric", nullable=True),
        Feature("job/kind~1", "categorical", categories=("a", "b")),
        Feature("note", "categorical", nullable=True),
    )
)


def test_a_schema_is_inferred_from_rows() -> None:
    """A column is what its dtype says; missing values make it nullable."""
    frame = pd.DataFrame({"n": [1, 2], "b": [True, False], "f": [1.5, np.nan], "c": ["x", None]})
    schema = infer(frame, exclude={"b": "a clock"}, prediction=pd.Series([0.1, 0.2]))
    assert [(found.kind, found.nullable) for found in schema.features] == [
        ("numeric", False),
        ("boolean", False),
        ("numeric", True),
        ("categorical", True),
    ]
    assert schema.features[1].excluded == "a clock"
    assert schema.prediction == "numeric"
    with pytest.raises(BadData, match="Cannot exclude zz"):
        infer(frame, exclude={"zz": "x"})


def test_rows_and_columns_agree() -> None:
    """What a client would send for a row is what training counted of it: missing is None on both
    ways.
    """
    frame = pd.DataFrame(
        {"age": [1, 2], "income": [np.nan, 2.5], "job/kind~1": ["a", "b"], "note": [None, 3.0]}
    )
    rows = rows_of(frame, SCHEMA)
    assert rows == [
        {"age": 1.0, "income": None, "job/kind~1": "a", "note": None},
        {"age": 2.0, "income": 2.5, "job/kind~1": "b", "note": "3"},
    ]
    assert all(not SCHEMA.positional(row)[1] for row in rows)
    with pytest.raises(BadData, match="lack these columns of the schema: note"):
        columns_of(frame.drop(columns="note"), SCHEMA)
    with pytest.raises(BadData, match="'age' is numeric in the schema"):
        as_column(pd.Series(["x"], name="age"), Feature("age", "numeric"))
