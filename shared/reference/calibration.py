"""The calibration of a model version: which of its columns are ordered in time, as a season is, and
the drift thresholds of those.

It is made from reference rows with times (consumer/judging/ordered/replay_threshold.py) and stored
in a file beside the version's folder, because it can be made again. With it counting leaves ordered
columns out of its online detectors, and judging holds them against their own thresholds.
"""

from functools import cached_property
from typing import Literal

import msgspec

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import pack_counts, unpack_counts
from driftgauge.shared.reference.runs import Runs
from driftgauge.shared.unpacking import require_known

Order = Literal["exchangeable", "ordered", "uncalibrated", "clock"]
CALIBRATION_FORMAT = 1
MOST_TIMELINE = 32_000_000
"""Most counts of a timeline: those of 100 columns with 11 bins in 80 years."""


class Timeline(msgspec.Struct, frozen=True, dict=True):
    """The reference in its order in time: for each day, the rows in each PSI bin of each column.

    A calibration can be made from these counts alone, without the rows.

    Parameters
    ----------
    first_day
        The first day, as days since 1970-01-01 UTC.
    days
        Number of consecutive days, those without rows included.
    bins
        Number of bins of each column. A column without rows was not among the rows with times.
    packed
        The counts, packed from shape (days, sum of bins).
    autocorrelation
        Lag-1 rank autocorrelation of each column's rows, -1 to 1; None for a constant column.
    clock
        The field of the clock that each column is a function of, such as the hour; empty if none.
    runs
        Runs of one value in each column; None for a column without rows.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[1, 2], [3, 4]])
    >>> Timeline.of(17000, counts, bins=(2,), autocorrelation=(0.5,), clock=("",)).days
    2
    """

    first_day: int
    days: int
    bins: tuple[int, ...]
    packed: bytes
    autocorrelation: tuple[float | None, ...]
    clock: tuple[str, ...]
    runs: tuple[Runs | None, ...] = ()

    @classmethod
    def of(
        cls,
        first_day: int,
        counts: Ints,
        bins: tuple[int, ...],
        autocorrelation: tuple[float | None, ...],
        clock: tuple[str, ...],
        runs: tuple[Runs | None, ...] = (),
    ) -> "Timeline":
        """Make a timeline from unpacked counts, shape (days, sum of bins)."""
        return cls(
            first_day, len(counts), bins, pack_counts(counts.ravel()), autocorrelation, clock, runs
        )

    @cached_property
    def counts(self) -> Ints:
        """Number of rows, shape (days, sum of bins)."""
        return unpack_counts(self.packed, MOST_TIMELINE).reshape(self.days, -1)

    @property
    def weeks(self) -> int:
        """Number of whole weeks."""
        return self.days // 7

    def clustering(self, place: int) -> float:
        """Return how much a column's missing values cluster in weeks: 1 if they are independent.

        It is the index of dispersion, the variance of the weekly counts divided by their mean, but
        at least 1.

        Parameters
        ----------
        place
            Position of the column.
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
        """Number of rows in each bin over all whole weeks, shape (sum of bins,)."""
        totals: Ints = self.counts[: 7 * self.weeks].sum(axis=0)
        return totals


class FeatureCalibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The order in time of one column, and its drift threshold if it is ordered.

    Parameters
    ----------
    order
        `exchangeable`: rules that assume independent rows hold. `ordered`: judged once a day, on 7
        days, against `threshold`. `uncalibrated`: ordered, but the reference is too short, so only
        integrity is judged. `clock`: a function of the clock, so drift is not judged.
    reason
        Why, in words.
    overdispersion
        Variance of weekly counts relative to that of independent rows (1 without order); None if
        unknown.
    autocorrelation
        Lag-1 rank autocorrelation, -1 to 1; None if unknown.
    threshold
        PSI of 7 whole days that raises an alarm.
    expected
        Mean PSI of 7 days of the reference against its other weeks.
    detectable
        Smallest shift, in standard deviations of the reference, that 80 % of the replays detected
        within 7 days. None if no shift was, or for categories.
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
    """The calibration of a model version.

    An *episode* is a time in which the model is in alarm. It ends when the scores of all ordered
    columns have been below 0.7 of their thresholds for 3 evaluations.

    Parameters
    ----------
    features
        The result for each column of the reference, in its order.
    timeline
        The counts that the calibration was made from.
    created
        Time at which it was made, ISO 8601; empty if unknown.
    target
        False episodes per 30 days that were asked for.
    realised
        False episodes per 30 days in replayed weeks that the thresholds were not chosen on; None if
        nothing was replayed.
    alarm_share
        Share of the time in alarm in these weeks, 0 to 1.
    in_order
        Episodes per 30 days in the reference's own weeks, each compared with the others.
    watch
        Columns that are a function of the clock and that the user wants judged nevertheless.
    format
        Number of the file's format; 1 where none is written.
    """

    features: tuple[FeatureCalibration, ...]
    timeline: Timeline
    created: str = ""
    target: float = 1.0
    realised: float | None = None
    alarm_share: float | None = None
    in_order: float | None = None
    watch: tuple[str, ...] = ()
    format: int = 1

    def __post_init__(self) -> None:
        require_known(self.format, CALIBRATION_FORMAT)

    @cached_property
    def order(self) -> dict[str, Order]:
        """The order of each column, by name."""
        return {feature.name: feature.order for feature in self.features}

    def exchangeable(self, column: str) -> bool:
        """Return whether rules that assume independent rows hold for a column.

        These are the online detectors and the closed-form thresholds.
        """
        return self.order.get(column, "exchangeable") == "exchangeable"
