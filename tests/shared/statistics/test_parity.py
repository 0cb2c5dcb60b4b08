"""The statistics against SciPy on the raw values."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics import STATISTICS, ColumnCounts, statistics_of
from driftgauge.shared.statistics.chi_squared import two_sample
from driftgauge.shared.statistics.counts import MIN_EXPECTED, RARE
from driftgauge.shared.statistics.psi import population_stability

Draw = Callable[[np.random.Generator, int], np.ndarray]
LAWS: dict[str, tuple[Draw, Draw]] = {
    "normal": (lambda r, n: r.normal(size=n), lambda r, n: r.normal(0.3, 1.2, n)),
    "lognormal": (lambda r, n: r.lognormal(size=n), lambda r, n: r.lognormal(0.2, 1.1, n)),
    "uniform": (lambda r, n: r.uniform(size=n), lambda r, n: r.uniform(0.1, 1.0, n)),
    "bimodal": (
        lambda r, n: r.normal(size=n) + 6 * (r.random(n) < 0.3),
        lambda r, n: r.normal(size=n) + 6 * (r.random(n) < 0.5),
    ),
}


def numeric(reference: np.ndarray, window: np.ndarray) -> ColumnCounts:
    column = NumericReference.build("x", reference)
    return ColumnCounts(column, np.bincount(column.cells(window), minlength=len(column.counts)))


def categorical(reference: list[str | None], window: list[str | None]) -> ColumnCounts:
    column = CategoricalReference.build("c", np.array(reference, dtype=object))
    cells = column.cells(np.array(window, dtype=object))
    return ColumnCounts(column, np.bincount(cells, minlength=len(column.counts)))


def found(counts: ColumnCounts, name: str) -> Statistic:
    return next(statistic for statistic in statistics_of(counts)[0] if statistic.name == name)


values = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60
)


@given(values, values)
def test_ks_is_exact_for_a_small_reference(reference: list[float], window: list[float]) -> None:
    """With at most K distinct reference values KS from cells is SciPy's, ties, constants and single
    rows included.
    """
    counts = numeric(np.array(reference), np.array(window))
    with np.errstate(divide="ignore"):  # in SciPy's p-value of very small samples
        expected = stats.ks_2samp(reference, window, method="asymp").statistic
    assert found(counts, "ks").value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_ks_is_within_one_cell_for_a_large_reference(name: str) -> None:
    """Beyond K distinct reference values KS from cells is never above, and below by at most about
    1/K.
    """
    random = np.random.default_rng(5)
    reference, window = LAWS[name][0](random, 20_000), LAWS[name][1](random, 3000)
    exact = stats.ks_2samp(reference, window).statistic
    value = found(numeric(reference, window), "ks").value
    assert value is not None
    assert exact - 1 / 256 - 0.002 <= value <= exact + 1e-12


def test_ks_p_value_is_scipys_asymptotic_one() -> None:
    """The p-value that goes with KS is that of the Kolmogorov law."""
    random = np.random.default_rng(0)
    reference, window = random.normal(size=200), random.normal(0.1, 1, 150)
    statistic = found(numeric(reference, window), "ks")
    scale = np.sqrt(200 * 150 / 350)
    assert statistic.p_value == pytest.approx(
        stats.kstwobign.sf(scale * stats.ks_2samp(reference, window).statistic)
    )
    assert statistic.expected == pytest.approx(stats.kstwobign.mean() / scale, rel=1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_wasserstein_is_near_for_smooth_features(name: str) -> None:
    """Wasserstein-1, interpolated inside cells, is within 2 % of the exact one."""
    random = np.random.default_rng(6)
    reference, window = LAWS[name][0](random, 20_000), LAWS[name][1](random, 3000)
    window = np.clip(
        window, reference.min(), reference.max()
    )  # beyond the reference it is not promised
    expected = stats.wasserstein_distance(reference, window)
    assert found(numeric(reference, window), "wasserstein").value == pytest.approx(
        expected, rel=0.02
    )


def test_wasserstein_is_exact_between_atoms() -> None:
    """A discrete feature whose values stay those of the reference has its exact distance."""
    reference, window = np.array([0.0, 1, 2, 5] * 50), np.array([0.0, 2, 2, 5, 5] * 30)
    expected = stats.wasserstein_distance(reference, window)
    assert found(numeric(reference, window), "wasserstein").value == pytest.approx(expected)


@pytest.mark.parametrize("name", LAWS)
def test_jensen_shannon_is_scipys_over_the_bins(name: str) -> None:
    """The Jensen-Shannon distance is SciPy's with base 2, over the decile bins, missing values a
    bin of their own.
    """
    random = np.random.default_rng(7)
    reference, window = LAWS[name][0](random, 5000), LAWS[name][1](random, 1000)
    reference[:200], window[:90] = np.nan, np.nan
    assert found(numeric(reference, window), "jensen_shannon").value == pytest.approx(
        jensenshannon(*_decile_counts(reference, window), base=2)
    )


@pytest.mark.parametrize("name", LAWS)
def test_psi_is_that_of_the_decile_counts(name: str) -> None:
    """PSI from cells is the textbook's on the values: shares of the reference's deciles, and of
    missing.
    """
    random = np.random.default_rng(8)
    reference, window = LAWS[name][0](random, 5000), LAWS[name][1](random, 1000)
    reference[:200], window[:90] = np.nan, np.nan
    p, q = (bins / bins.sum() for bins in _decile_counts(reference, window))
    assert found(numeric(reference, window), "psi").value == pytest.approx(
        float(((q - p) * np.log(q / p)).sum())
    )


def _decile_counts(reference: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count by numpy alone: a value belongs to the first decile that is not below it."""
    present = reference[~np.isnan(reference)]
    deciles = np.quantile(present, np.arange(1, 10) / 10, method="inverted_cdf")
    return tuple(
        np.append(
            np.bincount(np.digitize(rows[~np.isnan(rows)], deciles, right=True), minlength=10),
            np.isnan(rows).sum(),
        )
        for rows in (reference, window)
    )  # type: ignore[return-value]


def test_psi_known_answer() -> None:
    """[3, 2, 2] against [1, 2, 3] is 2.934147, an empty bin counting as 1e-4."""
    assert population_stability(np.array([1, 1, 1]), np.array([0, 2, 1])) == pytest.approx(
        2.934147, abs=5e-7
    )


def test_chi_squared_known_answer() -> None:
    """The two-sample p-value of SciPy's documented dice is .89853, not the .49882... of a reference
    taken as the truth.
    """
    value, freedom, p_value = two_sample(
        np.array([16, 18, 16, 14, 12, 12]), np.array([16, 16, 16, 16, 16, 8])
    )
    expected = stats.chi2_contingency(
        [[16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]], correction=False
    )
    assert (freedom, p_value) == (5, pytest.approx(0.89853, abs=5e-6))
    assert (value, p_value) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=8))
def test_chi_squared_is_scipys(table: list[tuple[int, int]]) -> None:
    """Chi-squared is SciPy's without correction; bins that are empty on both sides are left out."""
    reference, window = np.array(table).T
    if not reference.sum() or not window.sum():
        return
    kept = reference + window > 0
    value, freedom, p_value = two_sample(reference, window)
    if kept.sum() == 1:
        assert (value, freedom, p_value) == (pytest.approx(0), 0, 1.0)
        return
    expected = stats.chi2_contingency(np.array([reference[kept], window[kept]]), correction=False)
    assert (value, freedom) == (pytest.approx(expected.statistic), expected.dof)
    assert p_value == pytest.approx(expected.pvalue)


def test_chi_squared_of_categories_with_missing_and_unseen() -> None:
    """Missing and unseen are categories of the test; the small ones are pooled, so that its law
    holds.
    """
    reference = ["a"] * 300 + ["b"] * 200 + [None] * 100 + ["rare"]
    window = ["a"] * 100 + ["b"] * 120 + [None] * 60 + ["new"] * 20
    expected = stats.chi2_contingency([[300, 200, 100, 1], [100, 120, 60, 20]], correction=False)
    statistic = found(categorical(reference, window), "chi_squared")
    assert statistic.value == pytest.approx(expected.statistic)
    assert statistic.p_value == pytest.approx(expected.pvalue)


@given(st.lists(st.integers(0, 30), min_size=2, max_size=15), st.integers(1, 400))
def test_pooled_bins_are_large_enough_and_lose_nothing(sizes: list[int], m: int) -> None:
    """Every pooled bin but a rare one has 5 expected rows in the smaller sample, or there is only
    one; totals stay.
    """
    names = [f"c{place}" for place, size in enumerate(sizes) for _ in range(size)] or ["c0"]
    counts = categorical(list(names), [names[place % len(names)] for place in range(m)])
    reference, window = counts.bins
    expected = reference * min(counts.n, counts.m) / counts.n
    rare = reference[-1] < RARE * counts.n
    assert len(reference) == 1 or expected[: -1 if rare else None].min() >= MIN_EXPECTED
    assert (reference.sum(), window.sum()) == (counts.n, counts.m)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("window", [[], [1.0], [np.nan] * 5, [1.0] * 600, [-1e300, 1e300] * 300])
@pytest.mark.parametrize(
    "reference", [[1.0], [np.nan] * 3, [2.0] * 1500, [1e-300, 1e300] * 700, list(range(1500))]
)
def test_every_statistic_is_defined_or_says_why(
    name: str, reference: list[float], window: list[float]
) -> None:
    """A statistic is a finite number or None with a reason, for whatever counts; never NaN or
    infinite.
    """
    statistic = STATISTICS[name](
        numeric(np.array(reference, dtype=float), np.array(window, dtype=float))
    )
    _assert_defined(statistic)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("window", [[], ["a"], [None] * 5, ["new"] * 600, ["a", "b"] * 300])
@pytest.mark.parametrize(
    "reference", [["a"], [None] * 3, ["a"] * 1500, [f"c{i}" for i in range(1500)]]
)
def test_every_statistic_is_defined_for_categories(
    name: str, reference: list[str | None], window: list[str | None]
) -> None:
    """The same for categories."""
    _assert_defined(STATISTICS[name](categorical(reference, window)))


def _assert_defined(statistic: Statistic) -> None:
    for number in (statistic.value, statistic.expected, statistic.p_value):
        assert number is None or np.isfinite(number)
    assert statistic.value is not None or statistic.note
    assert statistic.value is None or statistic.value >= 0
    assert statistic.p_value is None or 0 <= statistic.p_value <= 1
