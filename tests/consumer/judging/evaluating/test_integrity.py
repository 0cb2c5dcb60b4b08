"""The integrity checks: missing, unseen, out of range."""

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.judging.evaluating.budget import Levels, levels
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.integrity import (
    beyond_range,
    checks_of,
    jeffreys,
    limit,
    upper_tail,
)
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Feature, Schema
from tests.consumer.judging.weeks import SCHEMA as WEEKS
from tests.consumer.judging.weeks import calibration_of, profile_of, rows

LEVEL = levels(JudgingPolicy(), 100_000, 18).integrity


def bad_rules(
    kind: str, reference: list[object], window: list[object], level: float = LEVEL
) -> set[str]:
    """Evaluate a window of one feature; give the integrity rules that call it critical."""
    column: NumericReference | CategoricalReference
    if kind == "numeric":
        column = NumericReference.build("x", np.array(reference, dtype=float))
        cells = column.cells(np.array(window, dtype=float))
    else:
        column = CategoricalReference.build("x", np.array(reference, dtype=object))
        cells = column.cells(np.array(window, dtype=object))
    version = JudgedVersion(
        Schema((Feature("x", kind),), prediction=None), ReferenceProfile(len(reference), (column,))
    )  # type: ignore[arg-type]
    counts = np.bincount(cells, minlength=len(column.counts))
    evaluation = Evaluation(
        version, counts, len(window), Levels(psi=1e-6, integrity=level), JudgingPolicy()
    )
    return {
        rule
        for _, rule, reading, _ in evaluation.readings(set())
        if reading.severity == "critical" and rule != "psi"
    }


@pytest.mark.parametrize(
    ("a", "b", "m"), [(0.5, 5000.5, 2000), (2.0, 999.0, 500), (300.5, 700.5, 40), (0.5, 0.5, 1)]
)
def test_the_tail_is_scipys_beta_binomial(a: float, b: float, m: int) -> None:
    """P(Y >= y) is SciPy's for every y, and ends with 0 behind the last possible count."""
    tail = upper_tail(a, b, m)
    law = stats.betabinom(m, a, b)
    np.testing.assert_allclose(
        tail[:-1], law.sf(np.arange(-1, m)), rtol=1e-9, atol=1e-10
    )  # SciPy takes it from 1
    np.testing.assert_allclose(
        tail[:-1], np.cumsum(law.pmf(np.arange(m + 1))[::-1])[::-1], rtol=1e-7
    )
    assert tail[-1] == 0
    assert (np.diff(tail) <= 0).all()


@pytest.mark.parametrize(("count", "rows"), [(0, 1000), (10, 5000), (5000, 5000)])
@pytest.mark.parametrize("level", [0.5, 0.01, LEVEL])
def test_a_limit_is_the_smallest_significant_count(count: int, rows: int, level: float) -> None:
    """The alarm begins with the first count whose tail is at most the level, not one sooner or
    later; never at none.
    """
    found = limit(jeffreys(count, rows), 2000, level)
    law = stats.betabinom(2000, count + 0.5, rows - count + 0.5)
    assert found >= 1
    assert law.sf(found - 1) <= level < law.sf(found - 2)


@pytest.mark.parametrize("missing", [50, 100, 2000])
def test_missing_where_the_reference_has_none_is_found(missing: int) -> None:
    """2.5 % missing in a window of 2,000, of a sensor that was never silent in training, is beyond
    chance.
    """
    values = np.random.default_rng(1).uniform(size=7000).tolist()
    assert bad_rules(
        "numeric", [0.0, 1.0, *values[:5000]], values[5000 : 7000 - missing] + [None] * missing
    ) == {"missing"}


def test_missing_as_often_as_in_the_reference_is_not() -> None:
    """A feature that is missing in 30 % of the training rows may be missing in 31 % of a window."""
    values = [0.0, 1.0, *np.random.default_rng(1).uniform(size=6998).tolist()]
    assert (
        bad_rules("numeric", values[:3500] + [None] * 1500, values[3500:4880] + [None] * 620)
        == set()
    )


@pytest.mark.parametrize(("rows", "found"), [(1, set()), (40, {"unseen"})])
def test_unseen_categories_are_found(rows: int, found: set[str]) -> None:
    """A category that training never saw is beyond chance at 2 %, one single row of it is not."""
    assert (
        bad_rules(
            "categorical", ["a"] * 3000 + ["b"] * 2000, ["a"] * (2000 - rows) + ["new"] * rows
        )
        == found
    )


def test_good_turing_allows_new_categories_where_training_had_many_rare_ones() -> None:
    """If a tenth of the training rows were categories seen once, a tenth of new ones is what must
    be expected.
    """
    reference = ["a"] * 4500 + [f"once{place}" for place in range(500)]
    assert (
        bad_rules(
            "categorical", list(reference), ["a"] * 1800 + [f"new{place}" for place in range(200)]
        )
        == set()
    )


def test_values_out_of_range_are_found() -> None:
    """Thirty of 2,000 values beyond everything that 5,000 training rows had are beyond chance."""
    values = [0.0, 1.0, *np.random.default_rng(1).uniform(size=6998).tolist()]
    assert bad_rules("numeric", values[:5000], values[5000:6970] + [1.5] * 15 + [-0.5] * 15) == {
        "out_of_range"
    }


def test_out_of_range_has_its_exact_law() -> None:
    """The share of exchangeable rows outside the range of n is Beta(2, n - 1): 4,000 draws against
    the exact tail.

    The rate may be off by 4 standard errors: a right law fails with probability 6e-5.
    """
    random = np.random.default_rng(2)
    n, m, level = 200, 50, 0.05
    least = limit(beyond_range(n), m, level)
    reference, window = random.normal(size=(4000, n)), random.normal(size=(4000, m))
    low, high = reference.min(axis=1, keepdims=True), reference.max(axis=1, keepdims=True)
    rate = (((window < low) | (window > high)).sum(axis=1) >= least).mean()
    exact = stats.betabinom(m, 2, n - 1).sf(least - 1)
    assert exact <= level
    assert rate == pytest.approx(exact, abs=4 * np.sqrt(exact / 4000))


def test_what_is_cached_is_bounded() -> None:
    """Tails are as long as the window: few are kept, however many columns and window sizes come
    along.
    """
    for m in range(100, 200):
        limit(jeffreys(3, 1000), m, 1e-6)
    assert upper_tail.cache_info().currsize <= 8
    assert limit.cache_info().maxsize == 4096


def test_values_that_cluster_count_for_fewer_rows() -> None:
    """An ordered column's extremes cluster: what is beyond chance for independent rows is not
    beyond it for them; a column that never had a missing value is tested as strictly as before.
    """
    columns = rows(np.random.default_rng(0), 112)
    profile = profile_of(columns)
    plain, ordered = (
        JudgedVersion(WEEKS, profile),
        JudgedVersion(WEEKS, profile, calibration_of(profile, columns)),
    )
    limits = [
        {check.rule: limit(check.law, 2000, LEVEL) for check in version.checks if check.column == 0}
        for version in (plain, ordered)
    ]
    assert limits[1]["out_of_range"] > 2 * limits[0]["out_of_range"]
    assert limits[1]["missing"] == limits[0]["missing"]


def test_missing_values_that_cluster() -> None:
    """A sensor that is silent in some weeks: the clustering is the variance of weekly counts over
    their mean.
    """
    columns = rows(np.random.default_rng(1), 112)
    slow = np.array(columns[0])
    slow[: 7 * 96] = np.nan
    columns[0] = slow
    profile = profile_of(columns)
    made = calibration_of(profile, columns)
    weekly = np.array([672.0] + [0.0] * 15)
    assert made.timeline.clustering(0) == pytest.approx(weekly.var(ddof=1) / weekly.mean())
    assert made.timeline.clustering(1) == 1


@pytest.mark.parametrize(
    ("categories", "power", "n"), [(1000, 1, 1000), (5000, 1, 5000), (2000, 0, 5000)]
)
def test_new_categories_of_a_long_tail_keep_the_level(categories: int, power: int, n: int) -> None:
    """Of 300 windows without drift, each against a reference of its own, at most as many have more
    new categories than the limit as are promised (1 %), but for a chance of 1 in 10,000.
    """
    random, over = np.random.default_rng(n + power), 0
    shares = 1 / np.arange(1.0, categories + 1) ** power
    for _ in range(300):
        drawn = random.choice(categories, n + 800, p=shares / shares.sum()).tolist()
        names = [f"c{place}" for place in drawn]
        column = CategoricalReference.build("c", names[:n])
        check = next(
            one for one in checks_of(ReferenceProfile(n, (column,)), 0) if one.rule == "unseen"
        )
        window = np.bincount(column.cells(names[n:]), minlength=len(column.counts))
        over += int(window[check.cells].sum()) >= limit(check.law, 800, 0.01)
    assert over <= stats.binom.isf(1e-4, 300, 0.01)
