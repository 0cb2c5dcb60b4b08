"""Numbers of a version over time, in few points, for the charts of a report: the PSI of its columns
over the last days, its first metric over the last day.

Every evaluation is a point. If there are too many, the one whose neighbours are closest in time is
removed, so that the points spread evenly over the time, from the first to the latest.
"""

from bisect import bisect_left
from functools import lru_cache

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats

MOST_POINTS = 64
"""Most points of a version, each of 4 bytes for every column in the checkpoint."""


class History(msgspec.Struct):
    """Logical times (ms), ascending, and at each a row of numbers, such as the PSI of all columns
    (float32, packed; NaN where one is not known).
    """

    times: list[int] = []
    values: list[bytes] = []

    def add(self, now: int, row: Floats, oldest: int) -> None:
        """Add an evaluation and drop those before `oldest` (ms). Of several at one time the last
        one counts.

        Examples
        --------
        >>> history = History()
        >>> for now in range(1000):
        ...     history.add(now, np.array([now / 1000]), oldest=500)
        >>> len(history.times), history.times[0], history.times[-1], history.columns()[0][-1]
        (64, 500, 999, 0.999)
        """
        if self.times and now <= self.times[-1]:
            self.times.pop()
            self.values.pop()
        self.times.append(now)
        self.values.append(row.astype("<f4").tobytes())
        passed = bisect_left(self.times, oldest)
        del self.times[:passed], self.values[:passed]
        if len(self.times) > MOST_POINTS:
            self._thin()

    def _thin(self) -> None:
        times = np.array(self.times)
        least = 1 + int(np.argmin(times[2:] - times[:-2]))
        del self.times[least], self.values[least]

    def columns(self) -> list[list[float | None]]:
        """Return the number at each time, of each place of the rows; None where it is not known.
        No place is known without an evaluation.
        """
        return [list(column) for column in zip(*map(_shown, self.values), strict=True)]


@lru_cache(maxsize=8 * MOST_POINTS)
def _shown(packed: bytes) -> list[float | None]:
    """Return the rounded numbers of a point; it is cached, since consecutive reports share most
    points.
    """
    return [
        None if np.isnan(value) else float(f"{value:.4g}")
        for value in np.frombuffer(packed, dtype="<f4").tolist()
    ]
