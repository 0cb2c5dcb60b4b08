"""Sources and latencies of the predictions since a partition is counted, for metrics that grow."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.counters import LATENCY_BOUNDS_S, VersionTraffic

FIRST_CELLS: Final = np.array([0, *range(3, 4 * len(LATENCY_BOUNDS_S), 4)])
"""The first of the pane's latency cells that each of `LATENCY_BOUNDS_S` takes in, and the last one,
which takes in what is longer."""
LONGEST_MS: Final = 86_400_000.0
"""A latency beyond a day is a broken clock's: it counts as a day in the sum."""


@dataclass(frozen=True, slots=True)
class Told:
    """What some predictions of one version tell.

    Parameters
    ----------
    sources
        Number of predictions by source.
    latencies
        The latencies (ms) of those that tell one.
    cells
        Counts of the latencies by the pane's cells.
    """

    sources: dict[str, int]
    latencies: Floats
    cells: Ints

    def add_to(self, traffic: VersionTraffic) -> None:
        """Add them to what is counted for good.

        Examples
        --------
        >>> traffic = VersionTraffic()
        >>> cells = np.bincount([20], minlength=64)
        >>> Told({"online": 2}, np.array([4.5]), cells).add_to(traffic)
        >>> traffic.sources, traffic.latency[5], traffic.latency_us
        ({'online': 2}, 1, 4500)
        >>> LATENCY_BOUNDS_S[4:6]
        (0.00291, 0.00718)
        """
        for source, number in self.sources.items():
            traffic.sources[source] = traffic.sources.get(source, 0) + number
        if not len(self.latencies):
            return
        grown = np.add.reduceat(self.cells, FIRST_CELLS).tolist()
        known = traffic.latency or [0] * len(grown)
        traffic.latency = [one + more for one, more in zip(known, grown, strict=True)]
        passed = np.rint(np.clip(self.latencies, 0.0, LONGEST_MS) * 1000)
        traffic.latency_us += int(passed.sum())
