"""The smallest shift that a threshold finds."""

import numpy as np
import pytest

from driftgauge.consumer.judging.ordered.day_bins import DayBins
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.replay_threshold import draw
from driftgauge.consumer.judging.ordered.shift import SHIFTS, moved, smallest_shift
from driftgauge.shared.reference.profile import NumericReference
from tests.consumer.judging.weeks import cells_of, profile_of, rows, times

COLUMNS = rows(np.random.default_rng(0), 112)
PROFILE = profile_of(COLUMNS)
BINS = DayBins.of(PROFILE, 672)
REPLAYS = draw(
    BINS, timeline_of(PROFILE, [*cells_of(PROFILE, COLUMNS)], times(112)).counts, replays=60
)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, -1.0])
def test_moved_bins_are_those_of_moved_values(shift: float) -> None:
    """Bins moved by the matrix hold what the bins of the shifted values hold, within a cell's
    width.
    """
    values = np.random.default_rng(1).normal(size=20_000)
    column = NumericReference.build("x", values)
    bins = np.array(column.bin_of_cell)
    before = np.bincount(bins, weights=column.counts)
    after = np.bincount(bins[column.cells(values + shift * values.std())], minlength=len(before))
    assert before @ moved(column, bins, shift) == pytest.approx(after, abs=0.02 * len(values))


def test_rows_are_neither_lost_nor_made() -> None:
    """Every bin's rows go somewhere; missing values stay missing."""
    column = NumericReference.build("x", np.array([0.0] * 50 + [1.0, 2.0, np.nan]))
    shares = moved(column, np.array(column.bin_of_cell), 0.5)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[-1, -1] == 1


def test_a_higher_threshold_finds_larger_shifts_only() -> None:
    """The smallest shift grows with the threshold, until none is found; a category has none."""
    found = [
        smallest_shift(PROFILE.columns[1], 1, BINS, REPLAYS, threshold)
        for threshold in (0.1, 1.0, 5.0, 1e9)
    ]
    assert found[:3] == sorted(found[:3], key=lambda shift: shift or 0)
    assert found[0] in SHIFTS
    assert found[-1] is None
    assert smallest_shift(PROFILE.columns[3], 3, BINS, REPLAYS, 0.1) is None
