"""Days in bins, and the PSI of weeks."""

import numpy as np
import pytest

from driftgauge.consumer.judging.ordered.day_bins import DayBins
from driftgauge.shared.statistics.counts import ColumnCounts
from driftgauge.shared.statistics.psi import population_stability
from tests.consumer.judging.weeks import cells_of, profile_of, rows

COLUMNS = rows(np.random.default_rng(0), 28)
PROFILE = profile_of(COLUMNS)
BINS = DayBins.of(PROFILE, 672)


def counts_of(part: slice) -> np.ndarray:
    cells = (
        np.stack(cells_of(PROFILE, [values[part] for values in COLUMNS]))
        + PROFILE.offsets[:-1, None]
    )
    return np.bincount(cells.ravel(), minlength=int(PROFILE.offsets[-1]))


def test_psi_of_a_week_is_that_of_its_cells() -> None:
    """A week's PSI from bins is the PSI statistic of the same rows' cells, for every column."""
    week = counts_of(slice(0, 672))
    found = BINS.psi(BINS.pool(BINS.count(counts_of(slice(0, None)))), BINS.pool(BINS.count(week)))
    for place, column in enumerate(PROFILE.columns):
        part = week[PROFILE.offsets[place] : PROFILE.offsets[place + 1]]
        assert found[place] == pytest.approx(population_stability(*ColumnCounts(column, part).bins))


def test_counting_bins_adds() -> None:
    """Bins of two parts add up to the bins of both."""
    one, two = counts_of(slice(0, 500)), counts_of(slice(500, 1300))
    assert (BINS.count(one) + BINS.count(two) == BINS.count(one + two)).all()


def test_no_row_is_no_drift() -> None:
    """A week without rows, of all or of one column, has PSI 0: whether that may be is another
    rule's matter.
    """
    empty = np.zeros(len(BINS.pooled), dtype=np.int64)
    assert (
        BINS.psi(BINS.pool(BINS.count(counts_of(slice(0, None)))), BINS.pool(empty)).tolist()
        == [0.0] * 4
    )


def test_cells_of_a_column_are_its_pooled_bins() -> None:
    """Every cell of a column has one of its pooled bins, counted from 0."""
    for place, column in enumerate(PROFILE.columns):
        found = BINS.of_cells(place)
        assert len(found) == len(column.counts)
        assert set(found.tolist()) == set(range(BINS.sizes[place]))
