"""The confidence sequence against its definition, and its promise over many runs.

A thousand runs of each kind of losses, looked at after every label. Of a mean of exactly 0 the
promise is that at most 2.5 % of runs are ever called better; were it just kept, more than 5 % of
1,000 runs would be with a probability below 1e-5.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, optimize, special

from benchmarks.challenge import NO_BETTER, Draw, better, by_one_look, equal
from driftgauge.shared.paired.sequence import (
    FIRST,
    RHO,
    Walk,
    boundary,
    log_evidence,
)

RUNS, LABELS = 1000, 2000
LEVEL = 0.025
MOST = 0.05 * RUNS
SHAPE = (RUNS, LABELS)


def evidence_by_definition(sums: float, variation: float) -> float:
    """Integrate the supermartingales over l, weighted by the cut gamma density of 1 - l."""

    def of(rate: float) -> float:
        gamma = special.xlogy(RHO - 1, 1 - rate) - RHO * (1 - rate)
        walked = rate * sums + variation * (rate + math.log1p(-rate))
        return math.exp(gamma + walked)

    weights = integrate.quad(lambda u: u ** (RHO - 1) * math.exp(-RHO * u), 0, 1)[0]
    return float(integrate.quad(of, 0, 1, limit=500, epsabs=0, epsrel=1e-10)[0] / weights)


@pytest.mark.parametrize("variation", [0.01, 3.0, 40.0, 600.0])
def test_the_evidence_is_the_mean_of_the_supermartingales(variation: float) -> None:
    """It is the integral of the papers' definition; the boundary is where that is 1 / level."""
    for sums in (0.0, 0.7 * variation**0.5, 3.0 * variation**0.5, 4 + 5.0 * variation**0.5):
        expected = math.log(evidence_by_definition(sums, variation))
        found = log_evidence(np.array([sums]), np.array([variation]))
        assert found[0] == pytest.approx(expected, abs=1e-8)

    def beyond(sums: float) -> float:
        return math.log(evidence_by_definition(sums, variation)) - math.log(40)

    known = optimize.brentq(beyond, 0.0, 30 + 10 * variation**0.5, xtol=1e-10)
    assert boundary(variation, LEVEL) == pytest.approx(known, abs=1e-6)


def test_a_walk_is_what_a_loop_makes_of_it() -> None:
    """Sums, variation about the predictions, the scale and its part of the level, the decision and
    the interval agree with a plain loop; the bounds grow, and the scale with them.
    """
    random = np.random.default_rng(0)
    bounds = random.uniform(0.1, 1.5, 400) * np.linspace(1, 12, 400)
    gains = bounds * random.uniform(-0.6, 1, 400)
    walk = Walk.of(gains, bounds)
    above = walk.is_above(0.2)
    usual = sum(bounds[:FIRST]) / FIRST
    first = 1.5 * max(bounds[:FIRST]) + usual
    s = v = 0.0
    for place, gain in enumerate(gains.tolist()):
        predicted = max(-usual, min(usual, s / (place + 1)))
        s, v, times = s + gain, v + (gain - predicted) ** 2, 0
        while first * 1.5**times < max(bounds[: place + 1]) + usual:
            times += 1
        scale, share = first * 1.5**times, 0.2 / 2**times if times else 0.8
        assert abs(gain - predicted) <= scale
        assert (walk.sums[place], walk.variation[place]) == (pytest.approx(s), pytest.approx(v))
        assert (walk.scale[place], walk.share[place]) == (
            pytest.approx(scale),
            pytest.approx(share),
        )
        half = scale * boundary(v / scale**2, 0.2 * share)
        assert above[place] == (place + 1 >= FIRST and s > half)
    assert walk.interval(0.2) == pytest.approx(((s - half) / 400, (s + half) / 400))
    assert times == 2
    assert above.any()
    assert not above.all()


def test_what_was_said_stays_when_more_rows_come() -> None:
    """After each number all is as it would be if it were the last, so whoever looks again later has
    looked at the same walk.
    """
    random = np.random.default_rng(3)
    bounds = random.lognormal(0, 1.5, 2000) * (random.random(2000) < 0.2)
    gains = bounds * random.uniform(-0.5, 1, 2000)
    whole = Walk.of(gains, bounds)
    for rows in (150, 151, 700):
        part = Walk.of(gains[:rows], bounds[:rows])
        for name in ("sums", "variation", "scale", "share", "widest", "has_begun"):
            assert (getattr(part, name) == getattr(whole, name)[:rows]).all()


def test_before_it_begins_it_says_only_what_is_certain() -> None:
    """With fewer than 100 numbers, or fewer than 10 that could be other than 0, the interval is as
    wide as the bounds allow; it is never wider, and 0 alone where nothing can differ.
    """
    bounds = np.where(np.arange(1000) < 9, 2.0, 0.0)
    for rows, widest in ((99, 18 / 99), (1000, 0.018)):
        walk = Walk.of(bounds[:rows], bounds[:rows])
        assert walk.interval(LEVEL) == pytest.approx((-widest, widest))
        assert not walk.is_above(LEVEL).any()
    assert Walk.of(np.zeros(500), np.zeros(500)).interval(LEVEL) == (0.0, 0.0)
    assert Walk.of(np.ones(120), np.ones(120)).interval(LEVEL)[1] == 1.0


@pytest.mark.parametrize("draw", NO_BETTER)
def test_nothing_is_called_better_that_is_not(draw: Draw) -> None:
    """Over 1,000 runs with a look after every label at most 5 % are ever called better."""
    gains, bounds, _ = draw(np.random.default_rng(2024), SHAPE)
    assert Walk.of(gains, bounds).is_above(LEVEL).any(axis=1).sum() <= MOST


@pytest.mark.parametrize("draw", NO_BETTER)
def test_the_intervals_hold_the_mean_at_every_label(draw: Draw) -> None:
    """Of 1,000 runs at most 5 % leave out what was to be expected, on either side, at any label."""
    gains, bounds, expected = draw(np.random.default_rng(2025), SHAPE)
    walk = Walk.of(gains, bounds)
    off = replace(walk, sums=walk.sums - np.cumsum(expected, axis=1))
    for side in (off, off.turned()):
        assert side.is_above(LEVEL).any(axis=1).sum() <= MOST


def test_a_test_of_one_look_is_fooled_by_looking_often() -> None:
    """The yardstick: a t-test at the same level after every label calls many runs better that are
    not, so the runs above can tell a promise that is not kept.
    """
    gains = equal(np.random.default_rng(2024), SHAPE).gains
    assert by_one_look(gains).any(axis=1).sum() > 3 * MOST


def test_what_is_better_is_found() -> None:
    """Of two classifiers that disagree on a tenth of the rows, one is right in two thirds of these:
    90 % of runs find it within 2,000 labels, and none calls the other one better.
    """
    gains, bounds, _ = better(np.random.default_rng(7), SHAPE)
    walk = Walk.of(gains, bounds)
    assert walk.is_above(LEVEL).any(axis=1).mean() >= 0.9
    assert not walk.turned().is_above(LEVEL).any()
