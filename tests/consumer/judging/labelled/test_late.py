import numpy as np
import pytest

from driftgauge.consumer.judging.evaluating.budget import PAST_DAYS, PERFORMANCE_TESTS, levels
from driftgauge.consumer.judging.labelled.late import Patience
from driftgauge.consumer.judging.labelled.target import LabelsDrifted
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled_days import DayTotal
from driftgauge.shared.reference.profile import CategoricalReference
from driftgauge.shared.statistics.counts import ReferenceSide

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


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_labels_that_are_looked_at_again_and_again_drift_no_more_often(floor: float) -> None:
    """The labels of a day that is judged after every 200 of them are said to drift by chance no
    more often than the level, whether they are as the reference's or as far off as the floor allows
    (300 seeded days of up to 6,400 labels; the bound is the level and three standard errors).
    """
    level, days, n = 0.05, 300, 4000
    random = np.random.default_rng(3)
    known = np.array([0.4, 0.3, 0.2, 0.1])
    drifted = known if not floor else np.array([0.538, 0.262, 0.13, 0.07])
    assert float(((drifted - known) * np.log(drifted / known)).sum()) <= floor + 1e-9
    policy = JudgingPolicy(min_window_rows=LEAST, psi_warning=floor)
    bad = np.zeros(days, dtype=bool)
    for day in range(days):
        names = random.choice(list("abcd"), n, p=known).tolist()
        side = ReferenceSide(CategoricalReference.build("label", names))
        question = LabelsDrifted(side, level, policy)
        cells = side.column.cells(random.choice(list("abcd"), 6400, p=drifted).tolist())
        window = np.zeros((32, len(side.cells)), dtype=np.int64)
        np.add.at(window, (np.arange(6400) // 200, cells), 1)
        looks = np.cumsum(window, axis=0)
        bad[day] = any(question.bad(DayTotal(labels=counts)) for counts in looks)
    assert bad.mean() <= level + 3 * np.sqrt(level * (1 - level) / days)


def test_labels_that_drift_are_found_on_their_day() -> None:
    """The bound is not so wide that nothing is ever found: a class that doubles its share is, from
    the 500 labels on that a window needs.
    """
    random = np.random.default_rng(4)
    side = ReferenceSide(
        CategoricalReference.build("label", random.choice(list("ab"), 4000, p=[0.7, 0.3]).tolist())
    )
    level = levels(JudgingPolicy(), 100_000, 18).target_day
    question = LabelsDrifted(side, level, JudgingPolicy())
    cells = side.column.cells(random.choice(list("ab"), 500, p=[0.3, 0.7]).tolist())
    total = DayTotal(labels=np.bincount(cells, minlength=len(side.cells)))
    assert question.rows(total) == question.least
    assert question.bad(total) == ("label",)


def test_the_days_have_their_part_of_the_budget() -> None:
    """What past days and the window may raise falsely makes the share of the performance."""
    policy = JudgingPolicy()
    found = levels(policy, 100_000, 18)
    evaluations = 100_000 / policy.pane_events * 30
    days = found.performance_day * PAST_DAYS * PERFORMANCE_TESTS
    window = found.performance * evaluations * PERFORMANCE_TESTS
    assert days == pytest.approx(policy.late_share * policy.performance_share)
    assert days + window == pytest.approx(policy.performance_share)
