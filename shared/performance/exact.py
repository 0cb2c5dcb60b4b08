"""Sums of floats without any rounding: whole numbers in a fixed, tiny unit.

Float sums hang on their order, so a sum over panes would not be the sum over rows, and what was added could not be taken
away again. A float is a whole number times a power of two, so its sum, and that of its square, is a whole number in the unit
2^-1200 (2^-2400 for squares): adding is associative, subtracting is exact, and a variance from sums does not cancel.
"""

from fractions import Fraction

import numpy as np

from shared.reference import Floats, Ints

UNIT = 1200
"""Sums are in units of 2^-UNIT, sums of squares of 2^-(2 UNIT): finer than the smallest float."""
_MANTISSA = 53
_HALF = 27
_LOW = (1 << _HALF) - 1


def exact_sum(values: Floats) -> int:
    """Sum finite floats, in units of 2^-UNIT.

    Parameters
    ----------
    values
        At most 2^26.

    Examples
    --------
    >>> total = exact_sum(np.array([1e300, 0.1, -1e300]))
    >>> float(value_of(total)) == 0.1
    True
    """
    mantissas, exponents = _parts(values)
    return _gather(mantissas, exponents, UNIT)


def exact_squares(values: Floats) -> int:
    """Sum the squares of finite floats, in units of 2^-(2 UNIT); a square that is no float is summed all the same.

    Examples
    --------
    >>> total = exact_squares(np.array([3e200, 4e200]))
    >>> root_of(square_of(total)) / 1e200
    5.0
    """
    mantissas, exponents = _parts(values)
    high, low = np.abs(mantissas) >> _HALF, np.abs(mantissas) & _LOW
    return (
        _gather(high * high, 2 * exponents + 2 * _HALF, 2 * UNIT)
        + _gather(2 * high * low, 2 * exponents + _HALF, 2 * UNIT)
        + _gather(low * low, 2 * exponents, 2 * UNIT)
    )


def value_of(total: int) -> Fraction:
    """Give a sum as a fraction."""
    return Fraction(total, 1 << UNIT)


def square_of(total: int) -> Fraction:
    """Give a sum of squares as a fraction."""
    return Fraction(total, 1 << 2 * UNIT)


def as_float(value: Fraction) -> float:
    """Give a fraction as the nearest float; beyond the largest float, as that."""
    try:
        return float(value)
    except OverflowError:
        return float(np.finfo(np.float64).max) * (1 if value > 0 else -1)


def root_of(value: Fraction) -> float:
    """Give the square root of a fraction that is not negative, though the fraction itself may be no float."""
    if value <= 0:
        return 0.0
    half = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    scaled = value / (Fraction(4) ** half)
    return as_float(Fraction(float(scaled) ** 0.5) * Fraction(2) ** half)


def _parts(values: Floats) -> tuple[Ints, Ints]:
    """Give whole numbers and exponents with value = whole x 2^exponent."""
    mantissas, exponents = np.frexp(values)
    return (mantissas * 2.0**_MANTISSA).astype(np.int64), exponents.astype(np.int64) - _MANTISSA


def _gather(wholes: Ints, exponents: Ints, unit: int) -> int:
    """Sum whole x 2^exponent. Values of one exponent are summed in two halves, each small enough to be exact as float."""
    kinds, place = np.unique(exponents, return_inverse=True)
    high = np.bincount(place, (wholes >> _HALF).astype(np.float64), len(kinds))
    low = np.bincount(place, (wholes & _LOW).astype(np.float64), len(kinds))
    parts = zip(kinds.tolist(), high.tolist(), low.tolist(), strict=True)
    return sum(((int(above) << _HALF) + int(below)) << (exponent + unit) for exponent, above, below in parts)
