"""Statistics of a window's counts against the reference's: one per file, found by its place. Pure.

`counts` is the input of a statistic, `base` its definition; every other file is a statistic.
"""

import pkgutil
from importlib import import_module

from driftgauge.shared.statistics.base import STATISTICS, Definition, statistics_of
from driftgauge.shared.statistics.counts import ColumnCounts, ReferenceSide

__all__ = ["STATISTICS", "ColumnCounts", "Definition", "ReferenceSide", "learn", "statistics_of"]


def learn() -> None:
    """Import every file of this folder, so that its statistic is registered."""
    for found in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{found.name}")


learn()
