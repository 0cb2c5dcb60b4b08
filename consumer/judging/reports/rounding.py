"""Rounds many numbers at once exactly as Python rounds one.

A number is scaled, rounded to a whole one and scaled back. Both factors are exact powers of ten, so
the result is the float next to the decimal number, as Python's is. Where the scaled number is too
close to the middle between two whole ones to be sure, Python rounds it.
"""

from typing import Final

import numpy as np

from driftgauge.shared.arrays import Flags, Floats

DIGITS: Final = 6
"""Decimals of a share, and significant digits of a value."""
UNSURE: Final = 1e-4
"""Distance from the middle below which Python decides; a scaled number is wrong by far less."""
POWERS: Final = np.array([10.0**power for power in range(23)])
"""The powers of ten that a float holds exactly."""
MOST_SHARE: Final = 1e3
SMALLEST, LARGEST = 1e-15, 1e15
"""What is scaled at all; Python rounds the rest."""


def shares(values: Floats) -> Floats:
    """Return numbers with 6 decimals, as `round(value, 6)`.

    Examples
    --------
    >>> shares(np.array([1 / 3, 0.0078125])).tolist()
    [0.333333, 0.007812]
    """
    usual = np.abs(values) < MOST_SHARE
    found, sure = _rounded(np.where(usual, values, 0.0) * POWERS[DIGITS])
    found /= POWERS[DIGITS]
    for place in zip(*np.nonzero(~(usual & sure)), strict=True):
        found[place] = round(float(values[place]), DIGITS)
    return found


def figures(values: Floats) -> Floats:
    """Return numbers with 6 significant digits, as `float(f"{value:.6g}")`.

    Examples
    --------
    >>> figures(np.array([123456.789, -0.000012345678, 0.0])).tolist()
    [123457.0, -1.23457e-05, 0.0]
    """
    size = np.abs(values)
    zero, usual = size == 0, (size > SMALLEST) & (size < LARGEST)
    power = DIGITS - 1 - np.floor(np.log10(np.where(usual, size, 1.0))).astype(np.int64)
    up, down = POWERS[np.maximum(power, 0)], POWERS[np.maximum(-power, 0)]
    scaled = np.where(usual | zero, values, 0.0) * up / down
    whole, sure = _rounded(scaled)
    found: Floats = whole / up * down
    # beside a power of ten the logarithm may be off by one
    in_place = (np.abs(scaled) >= POWERS[DIGITS - 1]) & (np.abs(scaled) < POWERS[DIGITS])
    for place in zip(*np.nonzero(~(zero | usual & sure & in_place)), strict=True):
        found[place] = float(f"{values[place]:.{DIGITS}g}")
    return found


def _rounded(scaled: Floats) -> tuple[Floats, Flags]:
    """Return the next whole numbers, and where they are sure."""
    whole: Floats = np.rint(scaled)
    sure: Flags = np.abs(np.abs(scaled - whole) - 0.5) > UNSURE
    return whole, sure
