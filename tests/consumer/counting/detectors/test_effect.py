"""What an alarm says happened, against draws of known changes."""

import re

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.counting.detectors.effect import RECENT, UNKNOWN, describe_shift, estimate
from driftgauge.consumer.counting.detectors.rank_cells import BORDERS
from driftgauge.shared.wording.numbers import MINUS

LAW = np.array([100.0, 400.0, *[500.0] * 8, 400.0, 100.0, 1.0]) / 5001


@pytest.mark.parametrize("shift", [-1.0, -0.5, 0.0, 0.5, 2.0])
def test_described_shift_inverts_the_mean_rank(shift: float) -> None:
    """The words of an alarm turn a mean rank back into the shift of a normal variable that has
    it.
    """
    random = np.random.default_rng(4)
    mean = float((random.normal(shift, 1, 400_000) > random.normal(size=400_000)).mean())
    (said,) = re.findall(rf"about ([+{MINUS}][\d.]+) sd", describe_shift(mean, 10))
    told = float(said.replace(MINUS, "-"))
    assert told == pytest.approx(shift, abs=0.02)  # standard error .003


@pytest.mark.parametrize("rank", [0.0, 0.5, 1.0])
def test_constant_ranks_are_described(rank: float) -> None:
    """Ranks at the very end of the scale give a finite effect."""
    assert "inf" not in describe_shift(rank, 1)
    assert "nan" not in describe_shift(rank, 1)


def words(cells: np.ndarray, *, ordered: bool = True) -> str:
    before = np.random.default_rng(1).choice(12, 250, p=LAW[:12] / LAW[:12].sum())
    return estimate(np.concatenate((before, cells)), LAW, ordered=ordered).words


def test_the_change_is_dated() -> None:
    """After 100 events with a shift of one standard deviation, the change is put there: within 20
    events in the median.
    """
    delays = []
    for seed in range(41):
        random = np.random.default_rng(seed)
        before, after = random.normal(size=300), random.normal(1, 1, 100)
        cells = np.searchsorted(
            np.quantile(random.normal(size=100_000), BORDERS), np.append(before, after)
        )
        delays.append(estimate(cells, LAW, ordered=True).delay)
    assert abs(np.median(delays) - 100) <= 20  # the median's standard error is about 3


def test_each_kind_of_change_is_named() -> None:
    """Lost values, a shift, another spread and moved categories are told apart."""
    random = np.random.default_rng(2)
    assert "100.0 % missing instead of 0.0 % over 40 events" in words(np.full(40, 12))
    assert "shifted by about +" in words(random.integers(6, 11, 80))
    assert "values spread" in words(random.choice([0, 1, 10, 11], 80))
    assert "of the categories' shares moved" in words(random.integers(6, 11, 80), ordered=False)


def test_what_the_latest_values_do_not_tell_is_not_said() -> None:
    """Without a change at most one estimate in ten says that there was one: of 300, but for a
    chance of 1 in 10,000; a change that has been going on for longer than what is remembered is
    told by all of it.
    """
    random, said = np.random.default_rng(3), 0
    for _ in range(300):
        calm = random.choice(13, RECENT, p=LAW / LAW.sum())
        said += estimate(calm, LAW, ordered=True).words != UNKNOWN
    assert said <= stats.binom.isf(1e-4, 300, 0.1)
    uniform = np.searchsorted(stats.norm.ppf(BORDERS), random.normal(0.3, 1, RECENT))
    found = estimate(uniform, LAW, ordered=True)
    assert found.delay > 0.9 * RECENT
    assert "shifted by about +0." in found.words
