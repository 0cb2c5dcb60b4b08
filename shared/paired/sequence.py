"""A confidence sequence of the mean of bounded numbers: an interval after each number, all of which
hold at once, so that one may look as often as one likes and stop when one likes.

It is the empirical Bernstein one of Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform,
nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49(2): theorem 4, with the
gamma-exponential mixture as boundary. Choe and Ramdas (2024), Comparing sequential forecasters,
Operations Research 72(4), take it for paired losses. It assumes nothing of how the numbers come
about but their bounds: what it holds is the mean of their conditional expectations up to now, so
neither dependence nor a difference that changes with time makes it wrong.

Theory of operation: let each number x lie in [-r, r], where r is known before x is. Let g be a
prediction of x from the numbers before, c at least |x - g|, s the sum of x / c and v that of
((x - g) / c)^2. If no x is expected to be above 0, then exp(l s + v (l + log(1 - l))) is a
supermartingale for every l in [0, 1) (Fan, Grama, Liu 2015), since (x - g) / c is never below -1.
So is its mean over l with the density of 1 - l that is a gamma one of shape and rate `RHO`, cut off
at 1. That mean is the e-process: it is ever above 1 / a with probability a at most (Ville).

c must not depend on later numbers, or what was decided would change when more of them come. It is
chosen by the r of the first numbers, before which nothing is decided, and grows by steps when an r
asks for it. Each c has a part of the level of its own, and these parts add up to the level.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Flags, Floats

RHO: Final = 2.5
"""Shape and rate of the mixture: where v is between 1 and 1,000, a 95 % interval is at most a sixth
wider than by the best choice for this v.
"""
FIRST, DIFFERENT = 100, 10
"""The first c is chosen by so many r, and by more until so many are above 0."""
ROOM: Final = 1.5
"""How much larger than these an r may be before c grows."""
GROWTH: Final = 1.5
"""Factor by which it grows."""
SHARE: Final = 0.8
"""Part of the level that is for the first c; the others have half of the rest, a quarter, …"""
STEPS: Final = 60
"""Halvings by which a boundary is found: more than a float has bits."""


@dataclass(frozen=True)
class Walk:
    """The sums after each number, along the last axis.

    Parameters
    ----------
    sums, variation
        Sums of the numbers, and of the squared differences from their predictions.
    scale
        c, as it stands after each number.
    share
        Part of the level that is for this c.
    widest
        Mean of the bounds, beyond which the mean of the numbers cannot be.
    has_begun
        Whether there are enough numbers for the first c.

    Examples
    --------
    >>> walk = Walk.of(np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 2.0]))
    >>> walk.sums.tolist(), walk.variation.tolist(), walk.scale.tolist()
    ([1.0, 1.0, 2.0], [1.0, 1.25, 1.694...], [4.0, 4.0, 4.0])
    """

    sums: Floats
    variation: Floats
    scale: Floats
    share: Floats
    widest: Floats
    has_begun: Flags

    @classmethod
    def of(cls, numbers: Floats, bounds: Floats) -> "Walk":
        """Walk along numbers; each is predicted by the mean of 0 and those before it.

        Parameters
        ----------
        bounds
            Largest absolute value that each number can have.
        """
        rows = np.arange(1, numbers.shape[-1] + 1)
        largest = np.maximum.accumulate(bounds, axis=-1)
        widest = np.cumsum(bounds, axis=-1) / rows
        has_begun = (rows >= FIRST) & (np.cumsum(bounds > 0, axis=-1) >= DIFFERENT)
        chosen = has_begun | (rows == len(rows))
        last = chosen.argmax(axis=-1, keepdims=True)
        usual = np.take_along_axis(widest, last, -1)
        first = ROOM * np.take_along_axis(largest, last, -1) + usual
        first = np.where(first > 0, first, 1.0)  # else all numbers are 0
        wanted = np.maximum((largest + usual) / first, 1.0)
        grown = np.ceil(np.log(wanted) / math.log(GROWTH))
        sums = np.cumsum(numbers, axis=-1)
        predicted = np.clip((sums - numbers) / rows, -usual, usual)
        return cls(
            sums,
            np.cumsum((numbers - predicted) ** 2, axis=-1),
            first * GROWTH**grown,
            np.where(grown == 0, SHARE, (1 - SHARE) * 0.5**grown),
            widest,
            has_begun,
        )

    def turned(self) -> "Walk":
        """Return the walk along the numbers with the other sign."""
        return replace(self, sums=-self.sums)

    def is_above(self, level: float) -> Flags:
        """Tell after each number whether the interval lies above 0.

        Examples
        --------
        >>> Walk.of(np.ones(200), np.ones(200)).is_above(0.025).argmax().item()
        99
        """
        s, v = self.sums / self.scale, self.variation / self.scale**2
        wanted = -np.log(level * self.share)
        found = (
            self.has_begun & (s > 0) & (s**2 >= 2 * wanted * v)
        )  # the e-process is exp(s^2 / 2 v) at most
        found[found] = log_evidence(s[found], v[found]) >= wanted[found]
        return found

    def interval(self, level: float) -> tuple[float, float]:
        """Return both ends of the interval of the mean after the last number of a single walk, each
        of which is ever wrong with probability `level` at most.

        Examples
        --------
        >>> walk = Walk.of(np.tile([1.0, 1.0, 1.0, -1.0], 250), np.ones(1000))
        >>> low, high = walk.interval(0.025)
        >>> round(low, 3), round(high, 3)
        (0.4, 0.6)
        """
        scale, widest = self.scale[-1], float(self.widest[-1])
        if not self.has_begun[-1]:
            return -widest, widest
        half = scale * boundary(self.variation[-1] / scale**2, level * self.share[-1])
        low, high = (float(self.sums[-1] + sign * half) / len(self.sums) for sign in (-1, 1))
        return max(low, -widest), min(high, widest)


def log_evidence(sums: Floats, variation: Floats) -> Floats:
    """Return the logarithm of the e-process against the mean being 0 or less.

    Where the sums are below 0 it is minus infinity, which is less than it is and never misleads.

    Examples
    --------
    >>> log_evidence(np.array([0.0, 5.0, 30.0, -5.0]), np.array([10.0, 10.0, 10.0, 10.0])).round(2)
    array([-0.91,  0.41, 14.41,  -inf])
    """
    from scipy.special import gammainc, gammaln, xlogy  # an API computes none

    s, shape = np.maximum(sums, 0.0), variation + RHO
    rate = s + shape
    whole = RHO * math.log(RHO) - gammaln(RHO) - math.log(gammainc(RHO, RHO))
    found = s + variation + gammaln(shape) - xlogy(shape, rate) + np.log(gammainc(shape, rate))
    return np.where(sums < 0, -np.inf, whole + found)


def boundary(variation: float, level: float) -> float:
    """Return the s at which the e-process is 1 / `level`: if no number is expected to be above 0,
    it is ever reached with probability `level` at most.

    Examples
    --------
    >>> [round(boundary(variation, 0.025), 2) for variation in (0.0, 10.0, 1000.0)]
    [6.3, 12.8, 115.49]
    """
    wanted = -math.log(level)

    def is_reached(limit: float) -> bool:
        return bool(log_evidence(np.array([limit]), np.array([variation]))[0] >= wanted)

    low, high = 0.0, math.sqrt(2 * wanted * variation) + wanted
    while not is_reached(high):
        high *= 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high
