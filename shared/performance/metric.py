"""A metric of joined rows with what is known about its error, and the intervals that metrics have:
Wilson's for shares, the normal one for everything else, and the exact one for shares of which a
level far from the middle has to hold.

They take numbers or arrays, so that one arithmetic serves a whole version and all of its
segments at once.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.exact import as_float, root_of

Number = TypeVar("Number", Fraction, Floats)


class Metric(msgspec.Struct, frozen=True):
    """A metric of joined rows.

    Parameters
    ----------
    value
        None where the metric is not defined for these rows, as `note` says; never NaN.
    low, high
        Interval for the metric of all rows that could have come; None where none is known.
    n
        Rows that the metric rests on.
    bound
        Largest difference of `value` from the exact value of the rows, because scores were binned;
        0 if it is exact.
    note
        Why there is no value or no interval; empty if there are both.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    bound: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Confidence:
    """The share of intervals that hold the true value, between 0 and 1."""

    level: float = 0.95

    @property
    def z(self) -> float:
        """The quantile of the normal distribution that belongs to it: 1.96 for 95 %."""
        from scipy.special import ndtri  # an API computes no interval

        return float(-ndtri((1 - self.level) / 2))

    def wilson(self, hits: float | Ints | Floats, n: float | Floats) -> tuple[Floats, Floats]:
        """Compute Wilson's score interval of the share `hits / n` (Wilson 1927, JASA 22, 209-212).

        Examples
        --------
        >>> low, high = Confidence(0.95).wilson(8, 10)
        >>> f"{low:.3f} {high:.3f}"
        '0.490 0.943'
        """
        share, z2 = np.asarray(hits / n), self.z**2
        center = (hits + z2 / 2) / (n + z2)
        half = self.z / (n + z2) * np.sqrt(np.maximum(hits * (1 - share), 0.0) + z2 / 4)
        low, high = np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)
        return np.minimum(low, share), np.maximum(high, share)

    def exact(self, hits: Ints, n: Ints) -> tuple[Floats, Floats]:
        """Compute the exact interval of the share `hits / n` (Clopper, Pearson 1934, Biometrika 26,
        404-413): each end misses the true share at most as often as it says, at any level.

        Examples
        --------
        >>> low, high = Confidence(0.95).exact(np.array([8, 0]), np.array([10, 10]))
        >>> low.round(4).tolist(), high.round(4).tolist()
        ([0.4439, 0.0], [0.9748, 0.3085])
        """
        from scipy.special import betaincinv  # an API computes no interval

        side = (1 - self.level) / 2
        low = betaincinv(np.maximum(hits, 1), n - hits + 1, side)
        high = betaincinv(hits + 1, np.maximum(n - hits, 1), 1 - side)
        return np.where(hits > 0, low, 0.0), np.where(hits < n, high, 1.0)

    def normal(
        self,
        value: float | Floats,
        error: float | Floats,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        bound: float = 0.0,
    ) -> tuple[Floats, Floats]:
        """Compute the normal interval around a value.

        Parameters
        ----------
        error
            Standard error of the value.
        least, most
            Least and largest possible value of the metric.
        bound
            Largest error of the value itself.

        Examples
        --------
        >>> low, high = Confidence(0.95).normal(0.9, 0.1, most=1.0)
        >>> f"{low:.3f} {high:.3f}"
        '0.704 1.000'
        """
        half = self.z * error + bound
        return np.maximum(value - half, least), np.minimum(value + half, most)

    def share(self, hits: int, n: int, nothing: str) -> Metric:
        """Return a share with its interval; of no rows it is not defined, for the reason given."""
        if not n:
            return undefined(nothing)
        low, high = self.wilson(hits, n)
        return Metric(hits / n, float(low), float(high), n)

    def mean(
        self, total: Fraction, squares: Fraction, n: int, *, least: float = -math.inf
    ) -> Metric:
        """Return a mean with its normal interval, by the central limit theorem; of one row it has
        no interval.

        Parameters
        ----------
        total, squares
            Sum of the values, and of their squares.
        least
            Least possible value.
        """
        if not n:
            return undefined("no rows")
        value = as_float(total / n)
        if n == 1:
            return Metric(value, None, None, n, note="one row has no interval")
        error = root_of(variance_of_mean(total, squares, n))
        low, high = self.normal(value, error, least=least)
        return Metric(value, float(low), float(high), n)


def variance_of_mean(total: Number, squares: Number, n: Number | int) -> Number:
    """Compute the variance of a mean from the sum of n > 1 values and the sum of their squares;
    exact of fractions.
    """
    return (squares / n - (total / n) ** 2) / (n - 1)


def undefined(why: str, n: int = 0) -> Metric:
    """Return a metric that is not defined for these rows, with the reason."""
    return Metric(None, None, None, n, note=why)
