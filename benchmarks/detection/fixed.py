"""False-alarm rates of the usual fixed thresholds: the share of evaluations in alarm, each of a new
draw without drift.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from benchmarks.detection.contestants import psi_alarm, wasserstein_alarm
from benchmarks.results import ResultRow
from driftgauge.shared.arrays import Floats

Alarm = Callable[[Floats, Floats], bool]


def _chi_squared(reference: Floats, window: Floats) -> bool:
    """Take the reference's shares as the truth."""
    shares = reference / reference.sum()
    return bool(stats.chisquare(window, shares * window.sum()).pvalue < 0.05)


def _jensen_shannon(reference: Floats, window: Floats) -> bool:
    return bool(jensenshannon(reference, window, base=2) >= 0.1)


def _normal(rule: Alarm, rows: int, window: int) -> Callable[[np.random.Generator], bool]:
    return lambda random: rule(random.normal(size=rows), random.normal(size=window))


def _categories(
    rule: Alarm, categories: int, rows: int, window: int
) -> Callable[[np.random.Generator], bool]:
    shares = np.full(categories, 1 / categories)

    def drawn(random: np.random.Generator, size: int) -> Floats:
        return random.multinomial(size, shares).astype(np.float64) + 1e-9

    return lambda random: rule(drawn(random, rows), drawn(random, window))


RULES: list[tuple[str, str, Callable[[np.random.Generator], bool]]] = [
    (
        "chi-squared p < .05, reference taken as exact",
        "10 categories, 1000/1000",
        _categories(_chi_squared, 10, 1000, 1000),
    ),
    (
        "chi-squared p < .05, reference taken as exact",
        "30 categories, 1000/1000",
        _categories(_chi_squared, 30, 1000, 1000),
    ),
    *(
        ("Wasserstein / sd >= .1", f"5000/{window}", _normal(wasserstein_alarm, 5000, window))
        for window in (100, 200, 500)
    ),
    (
        "Jensen-Shannon >= .1",
        "100 categories, 5000/1000",
        _categories(_jensen_shannon, 100, 5000, 1000),
    ),
    *(
        ("PSI >= .1", f"5000/{window}", _normal(psi_alarm, 5000, window))
        for window in (100, 200, 500)
    ),
]


def rows(trials: int) -> list[ResultRow]:
    """Measure each rule; the interval is Clopper and Pearson's."""
    found = []
    for place, (rule, sizes, drawn) in enumerate(RULES):
        random = np.random.default_rng(place)
        alarms = sum(drawn(random) for _ in range(trials))
        interval = stats.binomtest(alarms, trials).proportion_ci(0.95)
        found.append(
            {
                "rule": rule,
                "reference/window": sizes,
                "false alarms": f"{alarms / trials:.0%} ({interval.low:.0%}-{interval.high:.0%})",
            }
        )
    return found
