"""Numbers of events as arrays: the fast way gives the bits of the plain one."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.panes.numbers import array_of, columns_of

VALUES = st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53))


@given(st.lists(VALUES))
def test_an_array_has_the_bits_of_each_number(values: list[float | None]) -> None:
    """No number changes, not even the sign of a zero; what is missing is NaN."""
    expected = [math.nan if value is None else float(value) for value in values]
    found = array_of(values)
    known = [value is not None for value in values]
    assert found.dtype == np.float64
    assert found[known].tobytes() == np.array(expected, dtype=np.float64)[known].tobytes()
    assert np.isnan(found[np.logical_not(known)]).all()


@given(st.integers(0, 4).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width))))
def test_columns_are_those_of_the_rows(rows: list[tuple[float | None, ...]]) -> None:
    """Each column holds its value of every row, in their order."""
    width = len(rows[0]) if rows else 3
    found = columns_of(rows, width)
    assert found.shape == (width, len(rows))
    for place, column in enumerate(found):
        plain = array_of([row[place] for row in rows])
        np.testing.assert_array_equal(column, plain, strict=True)
