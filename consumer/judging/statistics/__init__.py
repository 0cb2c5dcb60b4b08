"""Statistics of a window's counts against the reference's: one per file, found by name."""

from driftgauge.consumer.judging.statistics import (
    chi_squared,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    wasserstein,
)
from driftgauge.consumer.judging.statistics.base import (
    STATISTICS,
    ColumnCounts,
    ReferenceSide,
    statistics_of,
)

__all__ = [
    "STATISTICS",
    "ColumnCounts",
    "ReferenceSide",
    "chi_squared",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "psi",
    "statistics_of",
    "wasserstein",
]
