"""How a drift grows over time."""

import numpy as np
import pytest

from driftgauge.models.drift.plan import DRIFT_SHAPES, DriftShape
from driftgauge.models.drift.shapes import EPISODES, amount

PLACES = np.arange(2000)


@pytest.mark.parametrize("shape", DRIFT_SHAPES)
def test_nothing_changes_before_the_start_and_all_of_it_is_reached(shape: DriftShape) -> None:
    """Before the injection the share is 0, whatever the shape; later both share and strength are 1
    somewhere.
    """
    found = amount(shape, PLACES, 1000, 1000)
    assert not found.share[:1000].any()
    assert ((found.share == 1) & (found.strength == 1)).any()
    assert (
        (found.share >= 0) & (found.share <= 1) & (found.strength >= 0) & (found.strength <= 1)
    ).all()


def test_a_gradual_change_is_ever_more_rows_and_an_incremental_one_ever_stronger() -> None:
    """More and more rows drift at full strength, or all rows drift ever more strongly."""
    gradual, incremental = (
        amount("gradual", PLACES, 1000, 1000),
        amount("incremental", PLACES, 1000, 1000),
    )
    assert (np.diff(gradual.share[1000:]) >= 0).all()
    assert (gradual.strength[1000:] == 1).all()
    assert (np.diff(incremental.strength[1000:]) >= 0).all()
    assert (incremental.share[1000:] == 1).all()
    assert 0 < incremental.strength[1100] < 1


def test_a_recurring_change_goes_and_comes_back() -> None:
    """Half of the blocks drift, the first one among them."""
    share = amount("recurring", PLACES, 1000, 1000).share[1000:]
    assert share.mean() == 0.5
    assert np.count_nonzero(np.diff(share)) == EPISODES - 1
    assert share[0] == 1
