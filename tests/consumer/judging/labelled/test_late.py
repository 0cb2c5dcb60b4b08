import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.budget import PAST_DAYS, PERFORMANCE_TESTS, levels
from driftgauge.consumer.judging.labelled.late import Patience
from driftgauge.consumer.judging.policy import JudgingPolicy

LEAST = 200


@pytest.mark.parametrize("batch", [1, 37, 400])
def test_judging_a_day_again_and_again_costs_no_more_false_alarms(batch: int) -> None:
    """A day that is judged after every few labels is found bad by chance no more often than its
    level, however many times it is looked at (2,000 seeded days of up to 6,400 labels; the bound is
    the level and three standard errors).
    """
    level, right = 0.05, 0.8
    days = 2000
    random = np.random.default_rng(batch)
    looks = [rows for rows in range(LEAST, 6401) if (rows - LEAST) % batch == 0]
    hits = np.cumsum(random.random((days, 6400)) < right, axis=1)[:, np.array(looks) - 1]
    bad = np.zeros(days, dtype=bool)
    for place, rows in enumerate(looks):
        patience = Patience.after(rows, LEAST, level)
        _, high = patience.confidence.wilson(hits[:, place], float(rows))
        share = hits[:, place] / rows
        bad |= right - share > (high - share) * patience.widened
    assert bad.mean() <= level + 3 * np.sqrt(level * (1 - level) / days)
    assert bad.any(), "the bound is not so wide that nothing is ever found"


def test_the_days_have_their_part_of_the_budget() -> None:
    """What past days and the window may raise falsely makes the share of the performance."""
    policy = JudgingPolicy()
    found = levels(policy, 100_000, 18)
    evaluations = 100_000 / policy.pane_events * 30
    days = found.performance_day * PAST_DAYS * PERFORMANCE_TESTS
    window = found.performance * evaluations * PERFORMANCE_TESTS
    assert days == pytest.approx(policy.late_share * policy.performance_share)
    assert days + window == pytest.approx(policy.performance_share)
