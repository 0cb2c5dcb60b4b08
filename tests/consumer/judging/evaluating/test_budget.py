"""The false-alarm budget becomes significance levels."""

import pytest

from driftgauge.consumer.judging.evaluating.budget import INTEGRITY_TESTS, levels
from driftgauge.consumer.judging.policy import JudgingPolicy


@pytest.mark.parametrize("per_day", [1.0, 30.0, 5000.0, 100_000.0, 1e9])
@pytest.mark.parametrize("columns", [1, 18, 500])
def test_all_tests_of_a_month_together_use_their_share(per_day: float, columns: int) -> None:
    """Level times tests is the share of the budget, for any traffic: no model cries wolf because it
    is busy.
    """
    policy = JudgingPolicy()
    full, hourly = per_day / policy.pane_events, min(24, per_day)
    tests = 30 * max(full, hourly) * columns
    found = levels(policy, per_day, columns)
    assert found.psi == pytest.approx(min(policy.psi_share / tests, 0.5))
    assert found.integrity == pytest.approx(
        min(policy.integrity_share / 2 / (tests * INTEGRITY_TESTS), 0.5)
    )


@pytest.mark.parametrize("budget", [1e-3, 1.0, 1e9])
def test_levels_are_probabilities(budget: float) -> None:
    """No budget and no traffic gives a level outside of 0 to one half; no column is no division by
    zero.
    """
    for per_day in (0.001, 1.0, 1e12):
        found = levels(JudgingPolicy(false_alarms_per_month=budget), per_day, 0)
        assert 0 < found.psi <= 0.5
        assert 0 < found.integrity <= 0.5
