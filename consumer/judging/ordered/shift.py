"""The smallest shift that a threshold detects, from replayed weeks whose values are shifted by a
part of a standard deviation.

Only the cells of the values are known: a value is taken to be at its cell's cut, or in the middle
between two cuts. So a shift moves known shares of each bin into other bins, and is a matrix.
"""

from dataclasses import replace

import numpy as np

from driftgauge.consumer.judging.ordered.day_bins import WEEK, DayBins
from driftgauge.consumer.judging.ordered.replay_threshold import Replays, weekly
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import ColumnReference, NumericReference

SHIFTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Shifts that are tried, in standard deviations of the reference."""
ONSET = 14
"""Day of the replay on which the shift begins."""
FOUND = 0.8


def smallest_shift(
    column: ColumnReference, place: int, bins: DayBins, replays: Replays, threshold: float
) -> float | None:
    """Return the smallest upward shift that was detected within 7 days in 80 % of the replays; None
    if none was.

    Parameters
    ----------
    column, place
        A column of the profile, and its position among them.
    threshold
        PSI of 7 days that is an alarm.
    """
    if not isinstance(column, NumericReference) or not column.sd:
        return None
    part = slice(int(bins.starts[place]), int(bins.starts[place] + bins.sizes[place]))
    alone = replace(bins, starts=np.array([0]), sizes=bins.sizes[place : place + 1])
    days = replays.days[:, ONSET - WEEK + 1 : ONSET + WEEK, part].astype(float)
    for shift in SHIFTS:
        days[:, WEEK - 1 :] = replays.days[:, ONSET : ONSET + WEEK, part] @ moved(
            column, bins.of_cells(place), shift
        )
        psi = alone.psi(replays.references[:, None, part], weekly(days))
        if (psi.max(axis=(1, 2)) > threshold).mean() >= FOUND:
            return shift
    return None


def moved(column: NumericReference, bin_of_cell: Ints, shift: float) -> Floats:
    """Return the share of each bin's rows that a shift moves into each bin, shape (bins, bins);
    missing values stay.

    Examples
    --------
    >>> column = NumericReference.build("x", np.arange(4.0))
    >>> moved(column, np.array(column.bin_of_cell), 0.0).diagonal().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    cuts = np.array(column.cuts)
    values = np.repeat(cuts, 2)
    inner = np.concatenate((values[:1], (values[:-1] + values[1:]) / 2, values[-1:]))
    target = column.cells(inner + shift * (column.sd or 0.0))
    counts = np.array(column.counts, dtype=float)
    size = int(bin_of_cell.max()) + 1
    shares = np.zeros((size, size))
    np.add.at(shares, (bin_of_cell[:-1], bin_of_cell[target]), counts[:-1])
    shares[bin_of_cell[-1], bin_of_cell[-1]] += counts[-1]
    total = shares.sum(axis=1, keepdims=True)
    return np.where(total > 0, shares / np.maximum(total, 1e-300), np.eye(size))
