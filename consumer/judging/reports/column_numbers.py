"""The numbers of a column that hang on counts alone: all its statistics, its histogram and its
quantiles. While a worker catches up they are computed of many windows at once, with the same
results.
"""

from typing import NamedTuple

from driftgauge.consumer.judging.reports.category_names import vanished
from driftgauge.consumer.judging.reports.histogram import histograms, quantiles
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.snapshot import CategoryRows, Histogram, Statistic
from driftgauge.shared.statistics import ReferenceSide, statistics_of


class ColumnNumbers(NamedTuple):
    """The numbers of a column in one window, as `FeatureReport` has them."""

    statistics: list[Statistic]
    histogram: Histogram
    quantiles: list[float]
    vanished: list[CategoryRows]


def numbers_of(side: ReferenceSide, windows: Ints) -> list[ColumnNumbers]:
    """Return the numbers of a column in each window.

    Parameters
    ----------
    side
        The reference of the column.
    windows
        Rows in each cell of the column, shape (windows, cells).
    """
    statistics: list[list[Statistic]] = [[] for _ in windows]
    for places, counts in side.counts(windows):
        for place, found in zip(places.tolist(), statistics_of(counts), strict=True):
            statistics[place] = found
    shown = (histograms(side, windows), quantiles(side, windows), vanished(side, windows))
    return [ColumnNumbers(*one) for one in zip(statistics, *shown, strict=True)]
