"""The verdict in numbers and in words."""

import numpy as np
import pytest

from driftgauge.shared.paired.difference import Difference, difference, verdict_words
from driftgauge.shared.paired.losses import Loss, Pairs

ERROR = Loss("error", "absolute error", "kWh", "kWh of absolute error")
VALUE = Loss("value", "value of 1,000 predictions", "EUR", "EUR per 1,000 predictions")
NAMES = ("2.0.0", "2.1.0")


def pairs(gain: float, rows: int = 600) -> Pairs:
    """Make losses that differ by `gain` on average, by 1 at most."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, rows)
    return Pairs(3.0 + gain + noise, np.full(rows, 3.0), np.ones(rows))


@pytest.mark.parametrize(("gain", "verdict"), [(0.3, "better"), (-0.3, "worse")])
def test_the_verdict_is_where_the_interval_lies(gain: float, verdict: str) -> None:
    """Better and worse mirror each other, to the label at which each is decided."""
    found = difference(ERROR, pairs(gain), 0.05)
    assert found.verdict == verdict
    assert found.since is not None
    up_to_there = pairs(gain)[np.arange(found.since)]
    assert difference(ERROR, up_to_there, 0.05).verdict == verdict
    assert difference(ERROR, up_to_there[np.arange(found.since - 1)], 0.05).since is None


def test_alpha_is_the_width() -> None:
    """A smaller alpha makes the interval wider about the same difference."""
    wide, narrow = (difference(ERROR, pairs(0.1), alpha) for alpha in (0.001, 0.05))
    assert wide.gain == narrow.gain
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


def test_rows_without_losses_do_not_count() -> None:
    """Without any nothing is known, and that is a sentence too."""
    none = Pairs(np.array([np.nan]), np.array([1.0]), np.array([1.0]))
    found = difference(ERROR, none, 0.05)
    assert found == Difference(0, None, None, None, None, None)
    assert verdict_words(NAMES, ERROR, found) == (
        "Not decided yet whether 2.1.0 is better than 2.0.0: there is no label."
    )


def test_a_value_is_better_where_it_is_higher() -> None:
    """Its losses are minus the values, which are told as they are."""
    found = difference(VALUE, pairs(0.3), 0.05)
    assert found.first is not None
    assert found.second is not None
    assert found.first < found.second == -3.0
    assert found.gain == pytest.approx(found.second - found.first)


def test_the_words() -> None:
    """A worse version is worse by a positive number; what is better on the whole and worse in a
    segment is not called safe; what is not decided names both ends.
    """
    worse = Difference(900, 2.7, 3.1, -0.4, -0.6, -0.2, "worse", 310)
    assert verdict_words(NAMES, ERROR, worse) == (
        "2.1.0 is worse than 2.0.0 by 0.4 kWh of absolute error (0.2 to 0.6), 900 labels; decided "
        "at label 310; do not promote."
    )
    better = Difference(3120, 900.0, 1000.0, 100.0, 50.0, 150.0, "better", 1204)
    said = verdict_words(NAMES, VALUE, better, ["city=oslo", "city=rome"])
    assert said.endswith("decided at label 1,204; but worse in city=oslo, city=rome.")
    undecided = Difference(80, 2.0, 1.9, 0.1, -0.1, 0.3)
    assert verdict_words(NAMES, ERROR, undecided) == (
        "Not decided yet: 2.1.0 may be 0.1 kWh of absolute error worse than 2.0.0, or 0.3 better; "
        "80 labels."
    )
