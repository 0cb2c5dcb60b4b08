"""Measures of fairness equal fairlearn's on the same rows, and their intervals hold at the levels
of a false-alarm budget.
"""

import itertools

import numpy as np
import pytest
from fairlearn import metrics as fl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from driftgauge.shared.performance import (
    MEASURES,
    Confidence,
    GroupCounts,
    Layout,
    Measures,
    Rate,
    disparity,
    label_counts,
)
from driftgauge.shared.performance.fairness import LEAST_ROWS, Bounded, difference, ratio

LAYOUT = Layout("categorical", ("no", "perhaps", "yes"))
SIZES = ((30, 30), (30, 1000), (1000, 30), (1000, 45), (200, 1800), (1000, 1000))
SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 1.0)
FOUR_FIFTHS, TENTH, RARE = 0.8, 0.1, 0.02


def counted(
    said: list[str], true: list[str], codes: np.ndarray, groups: int
) -> dict[Rate, GroupCounts]:
    """Count rows as counting does: predictions by segment, and the sums of joined rows."""
    measures = Measures(LAYOUT, 1.0)
    rows = np.bincount(codes, minlength=groups)
    hits = np.bincount(codes[np.array(said) == "yes"], minlength=groups)
    sums = measures.of(said, true, codes[None], groups)
    return {"selection_rate": GroupCounts(hits, rows), **label_counts(measures, sums, "yes")}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6))
def test_measures_are_fairlearns(seed: int, groups: int) -> None:
    """Of groups of any rates, with a third class beside the favourable one, each measure is
    fairlearn's of the same rows, which takes the class as 1 and the others as 0.
    """
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), random.integers(150, 400, groups))
    names = np.array(LAYOUT.classes)
    chances = random.dirichlet((4, 4, 4), (2, groups))[:, codes].cumsum(axis=-1)[..., :2]
    said, true = (
        names[(random.random((len(codes), 1)) > side).sum(axis=-1)].tolist() for side in chances
    )
    counts = counted(said, true, codes, groups)
    enough = all(known.rows.min() >= LEAST_ROWS for known in counts.values())
    rows = {
        "y_true": np.array(true) == "yes",
        "y_pred": np.array(said) == "yes",
        "sensitive_features": codes,
    }
    expected = {
        "selection_rate_ratio": fl.demographic_parity_ratio(**rows),
        "equal_opportunity": fl.equal_opportunity_difference(**rows),
        "equalised_odds": fl.equalized_odds_difference(**rows),
    }
    for name, value in expected.items():
        found = disparity(MEASURES[name], counts)
        if enough:
            assert found.value == pytest.approx(value, abs=1e-12), name
        if found.value is not None:
            assert found.low is not None
            assert found.high is not None
            assert 0 <= found.low <= found.value <= found.high <= 1


def shares(n: int, level: float) -> Bounded:
    """Return every share of n rows with the limits that alarms of a one-sided level take."""
    hits = np.arange(n + 1)
    return Bounded(hits / n, *Confidence(1 - 2 * level).exact(hits, np.full(n + 1, n)))


def chance(alarms: np.ndarray, sizes: tuple[int, int], rates: tuple[float, float]) -> float:
    """Sum up the chances of the outcomes in which two groups of these true rates alarm."""
    one, other = (
        binom.pmf(np.arange(n + 1), n, rate) for n, rate in zip(sizes, rates, strict=True)
    )
    return float((one[:, None] * other)[alarms].sum())


@pytest.mark.parametrize("level", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("sizes", SIZES)
def test_no_alarm_is_likelier_than_its_level(level: float, sizes: tuple[int, int]) -> None:
    """Where the true measure is just what the policy allows, an interval lies beyond it with the
    chance that is stated or less, or up to twice of it where a rate is 2 % at most: no simulation,
    all outcomes of two groups are summed up.
    """
    one, other = (shares(n, level) for n in sizes)
    down = Bounded(*(part[:, None] for part in one))
    ratios, differences = ratio(down, other).high, difference(down, other).low
    for rate in SHARES:
        most = level * (2 if rate <= RARE else 1)
        for limit in (0.5, FOUR_FIFTHS, 0.9):
            assert chance(ratios < limit, sizes, (limit * rate, rate)) <= most
        for limit in (0.05, TENTH, 0.3):
            if rate + limit <= 1:
                assert chance(differences > limit, sizes, (rate + limit, rate)) <= most


@settings(max_examples=200, deadline=None)
@given(st.integers(30, 500), st.integers(30, 500), st.floats(0, 1), st.floats(0, 1))
def test_a_ratio_is_in_its_interval_if_its_difference_may_be_nothing(
    n: int, m: int, one: float, other: float
) -> None:
    """MOVER-R is MOVER of `one - r other`: at the ends of its interval of the ratio, that of the
    difference ends at 0.
    """
    hits, rows = np.array([round(one * n), round(other * m)]), np.array([n, m])
    sides = np.array([hits / rows, *Confidence(0.999).exact(hits, rows)]).T
    first, second = (Bounded(*side) for side in sides)
    _, low, high = ratio(first, second)
    assert (high == np.inf) == (second.low == 0)
    for end, side in ((low, "low"), (high, "high")):
        if np.isfinite(end) and end > 0:
            scaled = Bounded(*(end * part for part in second))
            assert getattr(difference(first, scaled), side) == pytest.approx(0, abs=1e-9)


def test_the_largest_of_many_differences_is_no_finding() -> None:
    """Of ten groups that are all treated alike, 95 % intervals exclude that in 5 % of 1,000 seeded
    draws or less (with that chance, 73 would be passed once in 1,000 such tests), though those of
    the two groups that differ most, taken alone, do so in most draws.
    """
    random = np.random.default_rng(5)
    rows = np.full(10, 150)
    told = alone = 0
    for _ in range(1000):
        counts = GroupCounts(random.binomial(rows, 0.4), rows)
        found = disparity(MEASURES["equal_opportunity"], {"true_positive_rate": counts})
        assert found.low is not None
        told += found.low > 0
        ends = [found.least, found.most]
        pair = GroupCounts(counts.hits[ends], rows[:2])
        picked = disparity(MEASURES["equal_opportunity"], {"true_positive_rate": pair})
        assert picked.low is not None
        alone += picked.low > 0
    assert told <= 73
    assert alone > 500


def test_a_small_group_is_left_out() -> None:
    """Three rows without a hit are not a selection-rate ratio of 0; two groups are needed."""
    measure = MEASURES["selection_rate_ratio"]
    counts = GroupCounts(np.array([0, 60, 45]), np.array([3, 100, 100]))
    found = disparity(measure, {"selection_rate": counts})
    assert (found.value, found.least, found.most, found.rows) == (0.75, 2, 1, 200)
    assert disparity(measure, {"selection_rate": counts.of(slice(0, 2))}).note == (
        "fewer than two groups have 30 rows for the selection rate"
    )


def test_what_is_not_defined_says_why() -> None:
    """No labels, and nobody selected, are reasons and no numbers."""
    none = {"selection_rate": GroupCounts(np.zeros(2, np.int64), np.array([50, 50]))}
    found = [disparity(measure, none) for measure in MEASURES.values()]
    assert [one.value for one in found] == [None, None, None]
    assert [one.note for one in found] == [
        "the selection rate of all groups is 0",
        "no labels, or of too many classes",
        "no labels, or of too many classes",
    ]
    many = Measures(Layout("categorical", tuple(map(str, range(30)))), 1.0)
    assert label_counts(many, np.zeros(4, np.int64), "3") == {}


def test_the_odds_are_those_of_the_rate_that_differs_most() -> None:
    """Equalised odds name the rate and the groups behind the larger of its two differences."""
    rows = np.array([400, 400])
    for rates in itertools.permutations(("true_positive_rate", "false_positive_rate")):
        wide, narrow = GroupCounts(np.array([80, 240]), rows), GroupCounts(rows // 2, rows)
        counts: dict[Rate, GroupCounts] = dict(zip(rates, (wide, narrow), strict=True))
        found = disparity(MEASURES["equalised_odds"], counts)
        assert (found.value, found.rate) == (pytest.approx(0.4), rates[0])
        assert (found.least, found.most) == (0, 1)
