"""Replayed weeks, episodes, and the common threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.ordered.day_bins import DayBins, week_rows
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.replay_threshold import (
    EVALUATIONS,
    common_threshold,
    draw,
    episodes,
    in_order,
    rate,
    relative,
    usual,
    weekly,
)
from tests.consumer.judging.weeks import cells_of, profile_of, rows, times


def test_weekly_sums_every_seven_days() -> None:
    """Each window is the sum of its 7 days."""
    days = np.random.default_rng(0).integers(0, 9, (3, 20, 4))
    expected = np.stack([days[:, start : start + 7].sum(axis=1) for start in range(14)], axis=1)
    assert (weekly(days) == expected).all()


@given(st.lists(st.floats(0, 2), min_size=1, max_size=40))
def test_episodes_are_those_of_the_plain_rule(scores: list[float]) -> None:
    """Above 1 an episode begins; it ends after 3 evaluations running below .7."""
    began = firing = quiet = alarm = 0
    for score in scores:
        if score > 1:
            began, firing = began + (not firing), 1
        quiet = quiet + 1 if score < 0.7 else 0
        firing = firing and quiet < 3
        alarm += firing
    found, share = episodes(np.array([scores]))
    assert (found[0], share[0]) == (began, pytest.approx(alarm / len(scores)))


def test_replays_hold_the_drawn_weeks_against_the_others() -> None:
    """Drawn days and their reference together are the whole reference, none in both; every PSI is
    finite.
    """
    columns = rows(np.random.default_rng(1), 84)
    profile = profile_of(columns)
    timeline = timeline_of(profile, [*cells_of(profile, columns)], times(84))
    bins = DayBins.of(profile, week_rows(timeline))
    replays = draw(bins, timeline.counts, seed=3, replays=20)
    assert replays.psi.shape == (20, EVALUATIONS, 4)
    assert np.isfinite(replays.psi).all()
    rows_left = np.add.reduceat(replays.references, bins.starts, axis=1)
    assert (rows_left == 6 * 7 * 96).all()
    assert (draw(bins, timeline.counts, seed=3, replays=20).psi == replays.psi).all()


def test_the_threshold_keeps_the_budget_and_is_the_smallest() -> None:
    """At the threshold there are at most the episodes that were asked for, and a little below it
    there are more.
    """
    random = np.random.default_rng(2)
    psi = np.abs(random.normal(size=(200, 30, 3)).cumsum(axis=1)) * np.array([1, 5, 0.2])
    scale = usual(psi)
    kept = common_threshold(psi, scale, 0.01, 1.0)
    assert rate(episodes(relative(psi, scale * kept, 0.01))[0], 30) <= 1.0
    assert rate(episodes(relative(psi, scale * kept * 0.97, 0.01))[0], 30) > 1.0


def test_a_threshold_where_nothing_varies() -> None:
    """Weeks that are all alike give a threshold, not a division by zero; the floor holds."""
    psi = np.zeros((5, 30, 2))
    assert common_threshold(psi, usual(psi), 0.1, 1.0) > 0
    assert (relative(psi, np.zeros(2), 0.1) == 0).all()


def test_thresholds_hold_on_weeks_that_they_have_not_seen() -> None:
    """Over 12 references of 16 weeks, fresh weeks of the same kind give about the rate that was
    asked for.

    The mean of 12 series of about 4 months: its standard error is about .15 episodes per 30 days.
    """
    rates = []
    for seed in range(12):
        columns = rows(np.random.default_rng(seed), 112 + 126)
        profile = profile_of([values[: 112 * 96] for values in columns])
        timeline = timeline_of(profile, [*cells_of(profile, columns)], times(112 + 126))
        bins = DayBins.of(profile, 672)
        reference, fresh = timeline.counts[:112], timeline.counts[112:]
        ordered = draw(bins, reference, seed, replays=100).psi[..., [0, 3]]
        thresholds = usual(ordered) * common_threshold(ordered, usual(ordered), 0.1, 1.0)
        scores = bins.psi(bins.pool(reference).sum(axis=0), weekly(bins.pool(fresh)))[:, [0, 3]]
        rates.append(rate(episodes(relative(scores, thresholds, 0.1)[None])[0], len(scores)))
    assert 0.3 < np.mean(rates) < 1.5


def test_in_order_leaves_out_the_weeks_it_touches() -> None:
    """A week of the reference in its order is held against the other weeks alone."""
    columns = rows(np.random.default_rng(3), 56)
    profile = profile_of(columns)
    timeline = timeline_of(profile, [*cells_of(profile, columns)], times(56))
    bins = DayBins.of(profile, 672)
    found = in_order(bins, timeline.counts)
    pooled = bins.pool(timeline.counts)
    assert found.shape == (50, 4)
    assert found[7] == pytest.approx(
        bins.psi(pooled.sum(axis=0) - pooled[7:14].sum(axis=0), pooled[7:14].sum(axis=0))
    )
    touched = pooled[7:21].sum(axis=0)
    assert found[8] == pytest.approx(
        bins.psi(pooled.sum(axis=0) - touched, pooled[8:15].sum(axis=0))
    )
