"""Rows against a schema, column by column."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import rows_of
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.agreement import faults_of

SCHEMA = Schema(
    (
        Feature("x", "numeric", minimum=0, maximum=10),
        Feature("free", "numeric", nullable=True),
        Feature("c", "categorical", categories=("a", "b")),
        Feature("text", "categorical", nullable=True),
    )
)


def test_every_fault_is_named_at_once() -> None:
    """Missing columns, words in a number's column, ranges, categories, missing and overlong values,
    all in one answer.
    """
    frame = pd.DataFrame(
        {
            "x": [-1, 11, np.nan],
            "free": ["1", "two", None],
            "c": ["a", "z", None],
            "text": ["t" * 2000] * 3,
        }
    )
    found = "\n".join(faults_of(frame, SCHEMA))
    for fault in (
        "x: 1 of 3 rows are missing",
        "x: 1 of 3 rows are below the minimum 0",
        "x: 1 of 3 rows are above the maximum 10",
        "free: Column 'free' is numeric in the schema",
        "c: 1 of 3 rows are none of the declared categories",
        "c: 1 of 3 rows are missing",
        "text: 3 of 3 rows are longer than 1024",
    ):
        assert fault in found
    assert faults_of(frame[["x"]], SCHEMA)[-3:] == [
        f"{name}: there is no such column" for name in ("free", "c", "text")
    ]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-2, 12)),
            st.one_of(st.none(), st.floats(-1e6, 1e6)),
            st.one_of(st.none(), st.sampled_from("abz")),
            st.one_of(st.none(), st.text("xy", max_size=3)),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_it_agrees_with_the_check_of_requests(rows: list[tuple[object, ...]]) -> None:
    """Rows pass as a table exactly if each of them passes as a request."""
    frame = pd.DataFrame(rows, columns=list(SCHEMA.names)).astype({"x": float, "free": float})
    refused = any(SCHEMA.positional(row)[1] for row in rows_of(frame, SCHEMA))
    assert bool(faults_of(frame, SCHEMA)) == refused
