"""Sums of floats without rounding."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.performance.exact import (
    as_float,
    exact_squares,
    exact_sum,
    exact_sums,
    root_of,
    square_of,
    value_of,
)

floats = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20)


@given(floats)
def test_sums_are_those_of_fractions(values: list[float]) -> None:
    """Whatever the floats, the smallest and the largest too, sum and sum of squares have no error
    at all.
    """
    array = np.array(values, dtype=np.float64)
    assert value_of(exact_sum(array)) == sum(map(Fraction, values))
    squares = exact_squares(array, np.zeros(len(array), np.int64), 1)[0]
    assert square_of(squares) == sum(Fraction(value) ** 2 for value in values)


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 3)), max_size=20
    )
)
def test_groups_do_not_mix(rows: list[tuple[float, int]]) -> None:
    """Sums of several groups are those of each by itself, whatever stands in the others; a group
    without rows has 0.
    """
    values, groups = (
        np.array([value for value, _ in rows]),
        np.array([group for _, group in rows], dtype=np.int64),
    )
    parts = [[Fraction(value) for value, group in rows if group == wanted] for wanted in range(4)]
    assert [value_of(total) for total in exact_sums(values, groups, 4)] == [
        sum(part) for part in parts
    ]
    squares = [square_of(total) for total in exact_squares(values, groups, 4)]
    assert squares == [sum(value**2 for value in part) for part in parts]


@pytest.mark.parametrize("scale", [1e-320, 1e-3, 1.0, 1e300])
def test_many_alike_are_summed_as_exactly(scale: float) -> None:
    """Floats of a few sizes, which are summed by group and exponent first, have the sums of
    fractions; and so have as many as there may be, with all bits set.
    """
    random, groups = np.random.default_rng(0), np.resize(np.arange(7), 5000)
    values = random.uniform(-4, 4, 5000) * scale
    values[::9] = 0.0
    for find, power, unit in ((exact_sums, 1, value_of), (exact_squares, 2, square_of)):
        found = find(values, groups, 7)
        for group in range(7):
            mine = [Fraction(value) ** power for value in values[groups == group].tolist()]
            assert unit(found[group]) == sum(mine)
        full = np.full(1 << 15, -np.nextafter(1.0, 0.0))
        total = unit(find(full, np.zeros(len(full), np.int64), 1)[0])
        assert total == len(full) * Fraction(full[0]) ** power


def test_many_of_one_sign_carry() -> None:
    """A sum of a million values of one sign, far beyond the place of each, is exact."""
    largest = float(np.finfo(np.float64).max)
    for value in (largest, -largest, -5e-324):
        assert value_of(exact_sum(np.full(1 << 20, value))) == Fraction(value) * (1 << 20)


@given(st.floats(0, 1.7e308))
def test_a_root_is_found_where_the_square_is_no_float(value: float) -> None:
    """The root of a square is the number, though the square is infinite or zero as a float."""
    assert np.isclose(root_of(Fraction(value) ** 2), value, rtol=1e-15, atol=5e-324)


@given(
    st.integers(1, 10**30),
    st.integers(1, 10**30),
    st.one_of(st.integers(-2400, 2400), st.integers(-2200, -2000)),
)
def test_a_root_is_that_of_the_fraction(above: int, below: int, power: int) -> None:
    """Whole numbers give to the last bit what fractions do, beside the least and the largest floats
    too.
    """
    value = Fraction(above, below) * Fraction(2) ** power
    half = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    scaled = float(value / Fraction(4) ** half)
    assert root_of(value) == as_float(Fraction(scaled**0.5) * Fraction(2) ** half)


def test_what_is_no_float_is_the_largest() -> None:
    """A value beyond all floats is given as the largest one, with its sign."""
    assert as_float(Fraction(-(10**400))) == -np.finfo(np.float64).max
    assert root_of(Fraction(10**800)) == np.finfo(np.float64).max
