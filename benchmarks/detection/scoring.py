"""Events per false alarm and median delays, with 95 % confidence intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from scipy import stats

TAIL = 0.025


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.value == inf:
            return f"> {self.low:,.0f}" if self.low < inf else "not found"
        return (
            f"{self.value:,.0f} "
            f"({self.low:,.0f}-{'...' if self.high == inf else format(self.high, ',.0f')})"
        )


def events_per_alarm(alarms: int, events: int) -> Estimate:
    """Estimate how many events pass between alarms: the exact interval of a Poisson rate (Garwood
    1936).

    Examples
    --------
    >>> str(events_per_alarm(0, 300_000))
    '> 81,324'
    """
    low = events / (stats.chi2.ppf(1 - TAIL, 2 * alarms + 2) / 2)
    high = events / (stats.chi2.ppf(TAIL, 2 * alarms) / 2) if alarms else inf
    return Estimate(events / alarms if alarms else inf, low, high)


def median(delays: Sequence[float]) -> Estimate:
    """Estimate the median delay: the interval is between two order statistics (binomial); what was
    not found is infinite.

    Examples
    --------
    >>> str(median([float(delay) for delay in range(1, 21)]))
    '10 (6-15)'
    """
    ordered = sorted(delays)
    n = len(ordered)
    low = int(stats.binom.ppf(TAIL, n, 0.5))
    return Estimate(ordered[(n - 1) // 2], ordered[max(low - 1, 0)], ordered[min(n - low, n - 1)])


def delay(alarms: Iterable[int], change: int) -> float:
    """Return the events from a change to the first alarm after it, that event included; infinite if
    there is none.
    """
    return next((float(row - change + 1) for row in alarms if row >= change), inf)
