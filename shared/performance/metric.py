"""A metric of joined rows, with what is known about its error; and the intervals that several
metrics share.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import msgspec
from scipy.special import ndtri

from driftgauge.shared.performance.exact import as_float, root_of

LOSSES: Final = frozenset({"mae", "rmse", "mape", "log_loss", "brier", "ece"})
"""Metrics of which less is better; of all others but `mean_error` more is."""


class Metric(msgspec.Struct, frozen=True):
    """A metric of joined rows.

    Parameters
    ----------
    value
        None where it is not defined for these rows, as `note` says; never NaN.
    low, high
        Interval for the metric of all rows that could have come; None where none is known.
    n
        Rows that it rests on.
    bound
        How far `value` may be from that of the rows themselves, because scores were binned; 0 where
        it is exact.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    bound: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure an interval is: the share of intervals that hold the true value."""

    level: float = 0.95

    @property
    def z(self) -> float:
        """The quantile of the normal law that belongs to it."""
        return float(-ndtri((1 - self.level) / 2))

    def wilson(self, hits: float, n: float) -> tuple[float, float]:
        """Give Wilson's score interval of a share (Wilson 1927, JASA 22, 209-212).

        Examples
        --------
        >>> low, high = Confidence(0.95).wilson(8, 10)
        >>> f"{low:.3f} {high:.3f}"
        '0.490 0.943'
        """
        z2 = self.z**2
        center = (hits + z2 / 2) / (n + z2)
        half = self.z / (n + z2) * math.sqrt(max(hits * (n - hits) / n, 0.0) + z2 / 4)
        return min(max(center - half, 0.0), hits / n), max(min(center + half, 1.0), hits / n)

    def share(self, hits: int, n: int, nothing: str) -> Metric:
        """Give a share with its interval; without rows it is not defined."""
        return Metric(hits / n, *self.wilson(hits, n), n) if n else undefined(nothing)

    def mean(
        self, total: Fraction, squares: Fraction, n: int, *, least: float = -math.inf
    ) -> Metric:
        """Give a mean with its normal interval, by the central limit theorem; of one row it has no
        interval.

        Parameters
        ----------
        total, squares
            Sums of the values and of their squares.
        least
            What no value is below.
        """
        if not n:
            return undefined("no rows")
        mean = total / n
        value = as_float(mean)
        if n == 1:
            return Metric(value, None, None, n, note="one row has no interval")
        half = self.z * root_of((squares / n - mean**2) / (n - 1))
        return Metric(value, max(value - half, least), value + half, n)


def undefined(why: str, n: int = 0) -> Metric:
    """Give a metric that is not defined for these rows."""
    return Metric(None, None, None, n, note=why)
