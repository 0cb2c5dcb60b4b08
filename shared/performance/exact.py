"""Sums of floats without any rounding: whole numbers in a fixed, tiny unit.

A sum of floats depends on their order, so a sum over panes would not be the sum over rows, and what
was added could not be taken away again. A float is a whole number times a power of two, so its sum,
and that of its square, is a whole number in the unit 2^-1200 (2^-2400 for squares): adding is
associative, subtracting is exact, and a variance from sums does not cancel.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from driftgauge.shared.arrays import Floats, Ints

UNIT = 1200
"""A sum counts units of 2^-UNIT, a sum of squares units of 2^-(2 UNIT): finer than any float."""
_MANTISSA = 53
_HALF = 27
_THIRD = 18
_MOST_ALIKE = 1 << 15
"""Most floats whose products of thirds, 3 x 2^36 at most, add up to no more than 2^53."""
_LEAST_ALIKE = 4
"""Floats for each kind from which on they are summed by kind first."""
_DIGIT = 24
"""Bits of a digit: three bytes, and sums of up to 2^26 of them are exact as floats."""
_SPARE = 3
"""Digits of a sum beyond those of its values: for what is carried, and for the sign."""


def exact_sum(values: Floats) -> int:
    """Sum finite floats; the result counts units of 2^-UNIT.

    Parameters
    ----------
    values
        At most 2^26 finite floats.

    Examples
    --------
    >>> total = exact_sum(np.array([1e300, 0.1, -1e300]))
    >>> float(value_of(total)) == 0.1
    True
    """
    return exact_sums(values, np.zeros(len(values), np.int64), 1)[0]


def exact_sums(values: Floats, groups: Ints, count: int) -> list[int]:
    """Sum the finite floats of each group, as `exact_sum` does.

    Parameters
    ----------
    groups
        The group of each float, from 0.
    count
        Number of groups.

    Examples
    --------
    >>> totals = exact_sums(np.array([0.5, 3.0, 0.25]), np.array([1, 0, 1]), 2)
    >>> [float(value_of(total)) for total in totals]
    [3.0, 0.75]
    """
    alike = _Alike.of(values, groups, count)
    if alike is not None:
        high, low = _cut(alike.mantissas, _HALF)
        return alike.gather([low, high], _HALF, UNIT - 2 * _HALF)
    wholes, exponents = _parts(values)
    return _gather(wholes, exponents + UNIT, groups, count)


def exact_squares(values: Floats, groups: Ints, count: int) -> list[int]:
    """Sum the squares of the finite floats of each group; the results count units of 2^-(2 UNIT).

    A square may be too large or too small for a float and is summed all the same.

    Examples
    --------
    >>> total = exact_squares(np.array([3e200, 4e200]), np.array([0, 0]), 1)[0]
    >>> root_of(square_of(total)) / 1e200
    5.0
    """
    alike = _Alike.of(np.abs(values), groups, count)
    if alike is not None:
        top, rest = _cut(alike.mantissas, _THIRD)
        middle, last = _cut(rest / 2.0**_THIRD, _THIRD)
        products = [
            last * last,
            2 * middle * last,
            2 * top * last + middle * middle,
            2 * top * middle,
            top * top,
        ]
        alike = replace(alike, exponents=2 * alike.exponents)
        return alike.gather(products, _THIRD, 2 * UNIT - 6 * _THIRD)
    wholes, exponents = _parts(np.abs(values))
    high, low = wholes >> _HALF, wholes & ((1 << _HALF) - 1)
    places = 2 * exponents + 2 * UNIT
    return _gather(
        np.concatenate((low * low, 2 * high * low, high * high)),
        np.concatenate((places, places + _HALF, places + 2 * _HALF)),
        np.tile(groups, 3),
        count,
    )


def value_of(total: int) -> Fraction:
    """Convert a sum, as `exact_sums` returns it, to a fraction."""
    return Fraction(total, 1 << UNIT)


def square_of(total: int) -> Fraction:
    """Convert a sum of squares, as `exact_squares` returns it, to a fraction."""
    return Fraction(total, 1 << 2 * UNIT)


def as_float(value: Fraction) -> float:
    """Convert a fraction to the nearest float, which is the largest one for all beyond it."""
    try:
        return float(value)
    except OverflowError:
        return float(np.finfo(np.float64).max) * (1 if value > 0 else -1)


def root_of(value: Fraction) -> float:
    """Compute the square root of a fraction, which may itself be beyond the floats; 0 of a negative
    one.
    """
    if value <= 0:
        return 0.0
    above, below = value.numerator, value.denominator
    half = (above.bit_length() - below.bit_length()) // 2
    scaled = (above << max(-2 * half, 0)) / (below << max(2 * half, 0))  # from 1/2 to 8
    try:
        return math.ldexp(scaled**0.5, half)
    except OverflowError:
        return float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class _Alike:
    """Floats many of which have the group and the exponent in common: they are summed together
    first, as floats that are whole and so small that nothing is rounded.

    Parameters
    ----------
    mantissas
        From 1/2 to 1, or 0, with the sign.
    cells
        Which kind, of one group and one exponent, each float is of.
    kinds
        The kinds that there are, ascending.
    exponents, groups
        Of these kinds.
    """

    mantissas: Floats
    cells: Ints
    kinds: Ints
    exponents: Ints
    groups: Ints
    count: int

    @classmethod
    def of(cls, values: Floats, groups: Ints, count: int) -> "_Alike | None":
        """Return the floats by kind; None if they have too many kinds, or are too many."""
        if not 0 < len(values) <= _MOST_ALIKE:
            return None
        mantissas, exponents = np.frexp(values)
        first = int(exponents.min())
        width = int(exponents.max()) - first + 1
        if count * width * _LEAST_ALIKE > len(values):
            return None
        cells = groups * width + (exponents - first)
        kinds = np.flatnonzero(np.bincount(cells))
        of_kinds, within = np.divmod(kinds, width)
        return cls(mantissas, cells, kinds, within + first, of_kinds, count)

    def gather(self, parts: Sequence[Floats], bits: int, exponent: int) -> list[int]:
        """Sum, in each group, whole floats times 2^(exponent of the kind + `exponent` + `bits` x
        their place among the parts).
        """
        sums = [np.bincount(self.cells, part)[self.kinds].astype(np.int64) for part in parts]
        places = [self.exponents + exponent + bits * place for place in range(len(parts))]
        groups = np.tile(self.groups, len(parts))
        return _gather(np.concatenate(sums), np.concatenate(places), groups, self.count)


def _cut(mantissas: Floats, bits: int) -> tuple[Floats, Floats]:
    """Cut numbers into m / 2^bits + rest / 4^bits, with a whole m and a rest from 0 to 2^bits;
    return m and the rest. Nothing is rounded.
    """
    scaled = mantissas * 2.0**bits
    first = np.floor(scaled)
    return first, (scaled - first) * 2.0**bits


def _parts(values: Floats) -> tuple[Ints, Ints]:
    """Split floats into whole numbers and exponents: value = whole x 2^exponent."""
    mantissas, exponents = np.frexp(values)
    return (mantissas * 2.0**_MANTISSA).astype(np.int64), exponents.astype(np.int64) - _MANTISSA


def _gather(wholes: Ints, exponents: Ints, groups: Ints, count: int) -> list[int]:
    """Sum whole x 2^exponent in each group.

    Every number is cut into digits, which are summed place by place; then each sum is brought into
    proper digits, and these are the bytes of the whole number.
    """
    if not len(wholes):
        return [0] * count
    places, shifts = np.divmod(exponents, _DIGIT)
    first = int(places.min())
    width = int(places.max()) - first + 4 + _SPARE
    cells = groups * width + places - first
    sums = np.zeros(count * width, np.int64)
    for number, digit in enumerate(_digits(wholes, shifts)):
        sums += np.bincount(cells + number, digit, count * width).astype(np.int64)
    return [
        int.from_bytes(row, "little", signed=True) << first * _DIGIT
        for row in _bytes(sums.reshape(count, width))
    ]


def _digits(wholes: Ints, shifts: Ints) -> Iterator[Ints]:
    """Cut whole x 2^shift into four digits, the lowest first; the highest carries the sign."""
    mask = (1 << _DIGIT) - 1
    parts = [
        part << shifts for part in (wholes & mask, wholes >> _DIGIT & mask, wholes >> 2 * _DIGIT)
    ]
    yield parts[0] & mask
    yield (parts[0] >> _DIGIT) + (parts[1] & mask)
    yield (parts[1] >> _DIGIT) + (parts[2] & mask)
    yield parts[2] >> _DIGIT


def _bytes(sums: Ints) -> list[bytes]:
    """Carry what is beyond a digit to the next place, and write each row of digits as bytes."""
    for place in range(sums.shape[1] - 1):
        sums[:, place + 1] += sums[:, place] >> _DIGIT
        sums[:, place] &= (1 << _DIGIT) - 1
    plain = np.ascontiguousarray(
        sums.astype("<i4").view(np.uint8).reshape(*sums.shape, 4)[:, :, : _DIGIT // 8]
    )
    return [row.tobytes() for row in plain]
