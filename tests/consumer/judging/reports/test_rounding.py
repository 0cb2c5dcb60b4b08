"""Many numbers are rounded as Python rounds one."""

import math
import struct

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftgauge.consumer.judging.reports.rounding import figures, shares

every = st.floats(allow_nan=True, allow_infinity=True)
halves = st.builds(
    lambda whole, digits: (whole + 0.5) / 10**digits,
    st.integers(-(10**7), 10**7),
    st.integers(-2, 8),
)
"""Numbers as close to the middle between two others as a float can be."""
beside = st.builds(math.nextafter, halves, st.sampled_from([-math.inf, math.inf]))
powers = st.builds(
    lambda power, side: math.nextafter(10.0**power, side),
    st.integers(-20, 20),
    st.sampled_from([-math.inf, 0.0, math.inf]),
)
numbers = st.lists(st.one_of(every, st.floats(0, 1), halves, beside, powers), max_size=30)


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


@settings(max_examples=500)
@given(numbers)
@example([0.0, -0.0, 1e300, -5e-324, 999999.5, 0.9999995, 1e15, 1e-15])
def test_shares_are_rounded_as_python_does(values: list[float]) -> None:
    """Six decimals, to the last bit, whatever the number: ties, zeros of either sign, no number."""
    assert bits(shares(np.array(values)).tolist()) == bits([round(one, 6) for one in values])


@settings(max_examples=500)
@given(numbers)
@example([0.0, -0.0, 1e300, -5e-324, 999999.5, 0.9999995, 1e15, 1e-15])
def test_figures_are_rounded_as_python_does(values: list[float]) -> None:
    """Six significant digits, to the last bit, beside powers of ten too."""
    assert bits(figures(np.array(values)).tolist()) == bits([float(f"{one:.6g}") for one in values])


def test_the_shape_stays() -> None:
    """Rows of numbers are rounded as rows."""
    table = np.random.default_rng(0).normal(size=(3, 50))
    assert shares(table).tolist() == [[round(one, 6) for one in row] for row in table.tolist()]
    assert figures(table).tolist() == [[float(f"{one:.6g}") for one in row] for row in table]
