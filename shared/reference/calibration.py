"""The calibration of a model version: what is known about its reference's order in time, and the
thresholds that follow.

It is made from a time-ordered reference (consumer/judging/ordered/replay_threshold.py), stored in a
file beside the version's folder, since it may be made again, and published with the version:
counting leaves ordered features out of its online detectors, judging holds them against their own
thresholds.

Pure: values in, values out.
"""

from functools import cached_property
from typing import Literal

import msgspec

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import pack_counts, unpack_counts

Order = Literal["exchangeable", "ordered", "uncalibrated", "clock"]
CALIBRATION_FORMAT = 1


class Timeline(msgspec.Struct, frozen=True, dict=True):
    """A reference in its order in time: rows of each day in each PSI bin of each column. No row is
    needed again.

    Parameters
    ----------
    first_day
        Number of the first day, days since 1970-01-01 UTC.
    days
        Whole days in a row, those without rows included.
    bins
        Number of bins of each column; a column without rows here was not in the time-ordered rows.
    packed
        Counts, days x sum of bins.
    autocorrelation
        Lag-1 rank autocorrelation of each column's rows; None where it has no variation.
    clock
        The field of the clock that each column is a function of, empty if of none.

    Examples
    --------
    >>> import numpy as np
    >>> Timeline.of(17000, np.array([[1, 2], [3, 4]]), (2,), (0.5,), ("",)).counts.sum(axis=0).tolist()
    [4, 6]
    """

    first_day: int
    days: int
    bins: tuple[int, ...]
    packed: bytes
    autocorrelation: tuple[float | None, ...]
    clock: tuple[str, ...]

    @classmethod
    def of(
        cls,
        first_day: int,
        counts: Ints,
        bins: tuple[int, ...],
        autocorrelation: tuple[float | None, ...],
        clock: tuple[str, ...],
    ) -> "Timeline":
        """Pack the counts, shape (days, sum of bins)."""
        return cls(
            first_day, len(counts), bins, pack_counts(counts.ravel()), autocorrelation, clock
        )

    @cached_property
    def counts(self) -> Ints:
        """Rows, shape (days, sum of bins)."""
        return unpack_counts(self.packed).reshape(self.days, -1)

    @property
    def weeks(self) -> int:
        """Whole weeks."""
        return self.days // 7

    def clustering(self, place: int) -> float:
        """Give how many times more the missing values of a column cluster in weeks than independent
        ones; at least 1.

        It is the variance of the weekly counts over their mean.
        """
        missing = (
            self.counts[: 7 * self.weeks, sum(self.bins[: place + 1]) - 1]
            .reshape(self.weeks, 7)
            .sum(axis=1)
        )
        if self.weeks < 2 or not missing.any():
            return 1.0
        return max(float(missing.var(ddof=1) / missing.mean()), 1.0)

    @cached_property
    def totals(self) -> Ints:
        """Rows of each bin over all whole weeks: what a week is held against."""
        totals: Ints = self.counts[: 7 * self.weeks].sum(axis=0)
        return totals


class FeatureCalibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about one column's order.

    Parameters
    ----------
    order
        `exchangeable`: the closed-form rules hold. `ordered`: judged once a day, on 7 days, against
        `threshold`. `uncalibrated`: ordered, but with too short a reference: integrity only.
        `clock`: left out.
    reason
        Why, in words.
    overdispersion
        How many times more a week varies than independent rows would (1 without order); None where
        unknown.
    autocorrelation
        Lag-1 rank autocorrelation; None where unknown.
    threshold
        PSI of 7 whole days that is an alarm.
    expected
        Mean PSI of 7 days of the reference against its other weeks.
    detectable
        Smallest shift, in standard deviations of the reference, that was found within 7 days in 80
        % of the replays; None where no shift was, or for categories.
    """

    name: str
    order: Order
    reason: str = ""
    overdispersion: float | None = None
    autocorrelation: float | None = None
    threshold: float | None = None
    expected: float | None = None
    detectable: float | None = None


class Calibration(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A model version's calibration.

    Parameters
    ----------
    features
        One for each column of the reference, in its order.
    timeline
        What it was made from, and can be made from again.
    created
        ISO 8601.
    target
        False episodes per 30 days that were asked for.
    realised
        False episodes per 30 days of weeks that were replayed anew; None if nothing was replayed.
    alarm_share
        Share of time in alarm in them.
    in_order
        Episodes per 30 days of the reference's weeks as they came, each held against the others.
    watch
        Functions of the clock that the user wants judged nevertheless.
    """

    features: tuple[FeatureCalibration, ...]
    timeline: Timeline
    created: str = ""
    target: float = 1.0
    realised: float | None = None
    alarm_share: float | None = None
    in_order: float | None = None
    watch: tuple[str, ...] = ()
    format: int = CALIBRATION_FORMAT

    @cached_property
    def order(self) -> dict[str, Order]:
        """The order of each column, by name."""
        return {feature.name: feature.order for feature in self.features}

    def exchangeable(self, column: str) -> bool:
        """Whether rules that assume independent rows hold for a column: the online detectors,
        closed-form thresholds.
        """
        return self.order.get(column, "exchangeable") == "exchangeable"
