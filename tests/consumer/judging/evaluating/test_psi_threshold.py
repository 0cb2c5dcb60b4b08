"""The threshold that makes a PSI significant as well as large."""

import numpy as np
import pytest
from scipy import optimize, stats

from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.shared.statistics.psi import population_stability


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.25])
@pytest.mark.parametrize(("bins", "n", "m"), [(11, 5000, 2000), (2, 1000, 500), (53, 100_000, 500)])
def test_the_threshold_is_the_noncentral_quantile(floor: float, bins: int, n: int, m: int) -> None:
    """PSI / (1/n + 1/m) exceeds the threshold with the stated probability under its noncentral
    chi-squared law.
    """
    scale = 1 / n + 1 / m
    for alpha in (0.05, 1e-6):
        law = stats.ncx2(bins - 1, floor / scale) if floor else stats.chi2(bins - 1)
        assert law.sf(threshold(floor, alpha, bins, n, m) / scale) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(5000, 2000), (1000, 500)])
def test_the_nominal_one_percent_gives_about_one_percent(n: int, m: int) -> None:
    """At a true PSI of exactly the floor, the rule's error rate is near what it says: 0.5 to 2 % at
    nominal 1 %.

    6,000 simulated windows; at a true rate of 1 % the test fails with probability below 1e-4
    (binomial).
    """
    random = np.random.default_rng(11)
    p = np.full(10, 0.1)
    tilt = np.linspace(-1, 1, 10)

    def tilted(size: float) -> np.ndarray:
        weights = p * np.exp(size * tilt)
        return weights / weights.sum()

    def psi(q: np.ndarray) -> float:
        return float(((q - p) * np.log(q / p)).sum())

    q = tilted(optimize.brentq(lambda size: psi(tilted(size)) - 0.1, 0.01, 3))
    bound = threshold(0.1, 0.01, 10, n, m)
    references, windows = random.multinomial(n, p, 6000), random.multinomial(m, q, 6000)
    rate = np.mean(
        [population_stability(a, b) > bound for a, b in zip(references, windows, strict=True)]
    )
    assert 0.005 < rate < 0.02


def test_no_drift_never_reaches_the_floor() -> None:
    """Without drift and with a floor of .1 there is no alarm: 10,000 windows of 500 rows, even at a
    level of 1 %.

    PSI without drift is .03 in the mean here; that one of 10,000 exceeds the threshold has a
    probability below 1e-6.
    """
    random = np.random.default_rng(12)
    bound = threshold(0.1, 0.01, 11, 1000, 500)
    p = np.full(11, 1 / 11)
    references, windows = random.multinomial(1000, p, 10_000), random.multinomial(500, p, 10_000)
    assert not any(
        population_stability(a, b) > bound for a, b in zip(references, windows, strict=True)
    )


def test_psi_without_drift_has_its_known_mean() -> None:
    """The expected PSI that is shown is (B - 1)(1/n + 1/m): within 5 %, 4 standard errors of 4,000
    windows being 4 %.
    """
    random = np.random.default_rng(13)
    p = np.full(10, 0.1)
    references, windows = random.multinomial(5000, p, 4000), random.multinomial(2000, p, 4000)
    mean = np.mean([population_stability(a, b) for a, b in zip(references, windows, strict=True)])
    assert mean == pytest.approx(9 * (1 / 5000 + 1 / 2000), rel=0.05)
