"""Sums of floats without rounding."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.performance.exact import as_float, exact_squares, exact_sum, root_of, square_of, value_of

floats = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20)


@given(floats)
def test_sums_are_those_of_fractions(values: list[float]) -> None:
    """Whatever the floats, the smallest and the largest too, sum and sum of squares have no error at all."""
    array = np.array(values, dtype=np.float64)
    assert value_of(exact_sum(array)) == sum(map(Fraction, values))
    assert square_of(exact_squares(array)) == sum(Fraction(value) ** 2 for value in values)


@given(st.floats(0, 1.7e308))
def test_a_root_is_found_where_the_square_is_no_float(value: float) -> None:
    """The root of a square is the number, though the square is infinite or zero as a float."""
    assert np.isclose(root_of(Fraction(value) ** 2), value, rtol=1e-15, atol=5e-324)


def test_what_is_no_float_is_the_largest() -> None:
    """A value beyond all floats is given as the largest one, with its sign."""
    assert as_float(Fraction(-(10**400))) == -np.finfo(np.float64).max
