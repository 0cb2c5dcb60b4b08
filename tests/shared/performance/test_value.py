"""The value of predictions: that of their rows, with an interval that is right where few rows are
dear.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import binom
from sklearn.metrics import confusion_matrix

from driftgauge.shared.performance import (
    Confidence,
    Layout,
    PerformanceBaselines,
    PerformanceReference,
    Sums,
    Worth,
    metrics,
)
from driftgauge.shared.performance.weighted_shares import mean_weight

LOAN = Worth("EUR", {"good": {"good": 12.0, "bad": -5.0}, "bad": {"good": -250.0, "bad": 0.5}})
LOANS = Layout("categorical", ("bad", "good"))
NAMES = ("a", "b", "c", "d")
FOUR = Worth(
    "EUR",
    {
        label: {
            said: 7.0 * (label == said) - 3.0 * row * column - row
            for column, said in enumerate(NAMES)
        }
        for row, label in enumerate(NAMES)
    },
)


@pytest.mark.parametrize(("layout", "worth"), [(LOANS, LOAN), (Layout("categorical", NAMES), FOUR)])
def test_it_is_what_the_rows_are_worth(layout: Layout, worth: Worth) -> None:
    """Value and variance are those of the rows' own values, one by one, and of scikit-learn's
    confusion matrix times the values.
    """
    random = np.random.default_rng(1)
    labels, said = (random.choice(layout.classes, 5000).tolist() for _ in range(2))
    assert worth.matrix is not None
    rows = np.array([worth.matrix[one][other] for one, other in zip(labels, said, strict=True)])
    found = metrics(Sums.of(layout, said, labels), 0.95, ["value"], worth)["value"]
    counted = confusion_matrix(labels, said, labels=layout.classes)
    values = np.array([[worth.matrix[a][b] for b in layout.classes] for a in layout.classes])
    assert found.value == pytest.approx(1000 * rows.mean())
    assert found.value == pytest.approx(1000 * (counted * values).sum() / 5000)
    assert found.n == 5000
    assert found.low is not None
    assert found.high is not None
    half = 1.96 * 1000 * rows.std() / 5000**0.5
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.01)


def test_numbers_are_worth_less_by_their_absolute_errors() -> None:
    """Of numbers it is the cost of the absolute errors of the rows, with their variance."""
    random = np.random.default_rng(2)
    labels = random.normal(50, 10, 3000)
    said = labels + random.normal(1, 3, 3000)
    worth = Worth("EUR", cost_per_unit_of_error=0.4)
    found = metrics(Sums.of(Layout("numeric"), said, labels), worth=worth)["value"]
    rows = -0.4 * np.abs(said - labels)
    assert found.value == pytest.approx(1000 * rows.mean())
    half = 1.95996 * 1000 * rows.std(ddof=1) / 3000**0.5
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


@given(st.lists(st.integers(0, 500), min_size=2, max_size=2).filter(any), st.floats(0.5, 0.9999999))
def test_of_two_cells_it_is_that_of_a_share(counts: list[int], level: float) -> None:
    """With the weights 0 and 1 the mean weight is a share, and its interval on each side the wider
    one of Wilson's and that of SciPy's binomial likelihood.
    """
    sure, (misses, hits) = Confidence(level), counts
    low, high = mean_weight(np.array(counts), np.array([0.0, 1.0]), sure)
    wilson = [float(one) for one in sure.wilson(hits, sum(counts))]
    assert low <= wilson[0] + 1e-9
    assert high >= wilson[1] - 1e-9

    def ratio(share: float) -> float:
        best = binom.logpmf(hits, hits + misses, hits / (hits + misses))
        return float(2 * (best - binom.logpmf(hits, hits + misses, share)) - sure.z**2)

    for end, of_score in zip((low, high), wilson, strict=True):
        assert end == pytest.approx(of_score, abs=1e-9) or ratio(end) == pytest.approx(0, abs=1e-5)
        assert ratio(end) >= -1e-5 or end in {0, 1}


@given(
    st.lists(st.integers(0, 300), min_size=3, max_size=6).filter(any),
    st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6),
    st.floats(0.5, 0.999999),
)
def test_no_shares_that_a_test_allows_have_a_mean_beyond_it(
    counts: list[int], weights: list[float], level: float
) -> None:
    """An interval holds the mean, lies within the weights, moves and grows with them, and no shares
    that Pearson's statistic or the likelihood ratio allows have a mean beyond it: random ones are
    tried.
    """
    sure, w, n = Confidence(level), np.array(weights[: len(counts)]), sum(counts)
    low, high = mean_weight(np.array(counts), w, sure)
    mean, slack = float(np.array(counts) @ w) / n, 1e-6 * (float(np.ptp(w)) + 1e-9)
    assert w.min() - slack <= low <= mean + slack
    assert mean - slack <= high <= w.max() + slack
    moved = mean_weight(np.array(counts), 10 - w / 2, sure)
    assert moved == pytest.approx((10 - high / 2, 10 - low / 2), rel=1e-6, abs=slack)
    random = np.random.default_rng(n)
    shares = random.dirichlet(np.array(counts) + 0.5, 50)
    pearson = ((np.array(counts) - n * shares) ** 2 / (n * shares)).sum(axis=1)
    ratio = 2 * rel_entr(np.array(counts) / n, shares).sum(axis=1) * n
    allowed = (shares @ w)[np.minimum(pearson, ratio) <= sure.z**2]
    assert ((allowed >= low - slack) & (allowed <= high + slack)).all()


@pytest.mark.parametrize(
    ("shares", "values"),
    [
        ((0.5, 0.3, 0.15, 0.05), (12.0, -5.0, 0.5, -250.0)),
        ((0.95, 0.03, 0.015, 0.005), (0.0, -2.0, 100.0, -400.0)),
        ((0.25, 0.25, 0.25, 0.25), (1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_the_interval_holds_the_true_value(
    shares: tuple[float, ...], values: tuple[float, ...]
) -> None:
    """Of 2,000 windows of 2,000 rows, 19 in 20 intervals hold what the rows are worth on average:
    between 1,859 and 1,939 do, beyond which a coverage of 95 % is found with a probability of 5e-5.
    """
    random = np.random.default_rng(3)
    truth = float(np.dot(shares, values))
    held = 0
    for counts in random.multinomial(2000, shares, 2000):
        low, high = mean_weight(counts, np.array(values), Confidence(0.95))
        held += low <= truth <= high
    assert 1859 <= held <= 1939


def test_a_rare_gain_that_is_absent_is_not_proof() -> None:
    """Where one row in 1,000 is a large gain, 2,000 rows without one are chance, 1 window in 7: the
    interval that takes the variance of those rows has no width then. Ours, of 99.8 %, should end
    below the truth 2 times in 2,000 windows: more than 15 has a probability below 1e-9.
    """
    random = np.random.default_rng(4)
    values, sure, missed, narrow = np.array([0.0, 500.0]), Confidence(0.998), 0, 0
    for gains in random.binomial(2000, 0.001, 2000).tolist():
        counts = np.array([2000 - gains, gains])
        missed += mean_weight(counts, values, sure)[1] < 0.5
        p = counts / 2000
        variance = p @ values**2 - (p @ values) ** 2
        narrow += p @ values + sure.z * (variance / 2000) ** 0.5 < 0.5
    assert missed <= 15
    assert narrow > 200


def test_rows_of_unknown_classes_need_a_value_of_their_own() -> None:
    """Rows whose label no class is are left out, and `n` and the note say so; with values of OTHER
    they count.
    """
    labels, said = ["good", "bad", "good", "lost"], ["good", "bad", "bad", "good"]
    sums = Sums.of(LOANS, said, labels)
    found = metrics(sums, names=["value"], worth=LOAN)["value"]
    assert (found.value, found.n) == (pytest.approx(1000 * (12 + 0.5 - 5) / 3), 3)
    assert found.note == "rows of classes that the policy states no value of are left out: 1"
    assert LOAN.matrix is not None
    matrix = {name: {**row, "OTHER": -1.0} for name, row in LOAN.matrix.items()}
    matrix["OTHER"] = {"good": -90.0, "bad": 0.0, "OTHER": 0.0}
    found = metrics(sums, names=["value"], worth=Worth("EUR", matrix))["value"]
    assert (found.value, found.n, found.note) == (pytest.approx(1000 * (7.5 - 90) / 4), 4, "")
    none = metrics(Sums.of(LOANS, ["good"], ["lost"]), names=["value"], worth=LOAN)["value"]
    assert (none.value, none.note[-3:]) == (None, ": 1")
    assert metrics(Sums.zero(LOANS), names=["value"], worth=LOAN)["value"].note == "no rows"


@pytest.mark.parametrize(
    ("worth", "layout", "why"),
    [
        (LOAN, Layout("categorical", ("bad", "good", "ugly")), "no value of the class 'ugly'"),
        (LOAN, Layout("numeric"), "the version predicts numbers"),
        (Worth("EUR", cost_per_unit_of_error=1.0), LOANS, "the version predicts classes"),
        (LOAN, Layout("categorical", ("good",)), ""),
    ],
)
def test_a_value_that_does_not_fit_the_version_says_so(
    worth: Worth, layout: Layout, why: str
) -> None:
    """A version with a class that has no value, or of another kind, has no value, with the reason.
    Classes that a version lacks do no harm: a model's versions may differ in them.
    """
    assert why in worth.lacking(layout)
    found = metrics(Sums.zero(layout), names=["value"], worth=worth)["value"]
    assert found.value is None
    assert found.note == (worth.lacking(layout) or "no rows")
    assert PerformanceBaselines(layout, {}).baseline("value", worth) is None
    assert PerformanceBaselines(layout, {}).baseline("value") is None


def test_the_baseline_is_what_the_reference_was_worth() -> None:
    """The labelled reference rows have a value by whatever matrix comes later; its error is that of
    their number. Of numbers it follows from the baseline of MAE, also of a stated one.
    """
    random = np.random.default_rng(5)
    labels, said = (random.choice(LOANS.classes, 4000).tolist() for _ in range(2))
    reference = PerformanceReference.of(LOANS, said, labels)
    assert reference is not None
    found = PerformanceBaselines(LOANS, {}, reference).baseline("value", LOAN)
    assert LOAN.matrix is not None
    rows = np.array([LOAN.matrix[one][other] for one, other in zip(labels, said, strict=True)])
    assert found is not None
    assert (found.value, found.unit) == (pytest.approx(1000 * rows.mean()), "EUR")
    assert found.error == pytest.approx(1000 * rows.std() / math.sqrt(4000), rel=0.1)
    numbers = PerformanceReference.of(
        Layout("numeric"), np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0])
    )
    worth = Worth("EUR", cost_per_unit_of_error=0.5)
    for stated, expected in (({}, -500.0), ({"mae": 3.0}, -1500.0)):
        baseline = PerformanceBaselines(Layout("numeric"), stated, numbers).baseline("value", worth)
        assert baseline is not None
        assert (baseline.value, baseline.unit) == (expected, "EUR")
        assert baseline.error > 0


def test_a_reference_of_before_has_no_baseline_of_it() -> None:
    """A version that was registered before confusion matrices were kept is read, and its value is
    not judged.
    """
    old = PerformanceReference(400, {})
    assert PerformanceBaselines(LOANS, {}, old).baseline("value", LOAN) is None
