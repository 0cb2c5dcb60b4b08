"""The Jensen-Shannon distance: the square root of the mean divergence from the middle of two distributions; 0 to 1."""

import math

import numpy as np
from scipy import special

from consumer.judging.statistics.base import ColumnCounts, statistic, undefined
from shared.snapshot import Statistic


@statistic("jensen_shannon")
def jensen_shannon(counts: ColumnCounts) -> Statistic:
    """Jensen-Shannon distance, base 2, over the bins of PSI.

    Its square is about PSI / (8 ln 2) for close distributions: so is its expected value without drift.
    """
    if not counts.n or not counts.m:
        return undefined("jensen_shannon", "no row to compare")
    reference, window = counts.bins
    p, q = reference / counts.n, window / counts.m
    middle = (p + q) / 2
    divergence = float(np.sum(special.rel_entr(p, middle) + special.rel_entr(q, middle))) / (2 * math.log(2))
    expected = math.sqrt((len(p) - 1) * (1 / counts.n + 1 / counts.m) / (8 * math.log(2)))
    return Statistic("jensen_shannon", math.sqrt(max(divergence, 0.0)), expected=expected)
