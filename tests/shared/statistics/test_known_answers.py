"""Known answers and parity with SciPy on whatever rows: ties, constants, single rows, missing ones,
too many categories.
"""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from driftgauge.shared.reference.profile import (
    TOP_CATEGORIES,
    CategoricalReference,
    NumericReference,
)
from driftgauge.shared.statistics import STATISTICS, ColumnCounts
from driftgauge.shared.statistics.chi_squared import two_sample
from driftgauge.shared.statistics.jensen_shannon import distance
from driftgauge.shared.statistics.psi import population_stability

Rows = list[float]
tied = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0, 1.0, 2.5, math.nan]), st.floats(-1e3, 1e3)),
    min_size=1,
    max_size=40,
)
counts = st.lists(st.integers(0, 50), min_size=2, max_size=12)
names = st.lists(
    st.one_of(st.none(), st.integers(0, 3 * TOP_CATEGORIES).map(str)), min_size=1, max_size=300
)


def value(name: str, column: ColumnCounts) -> float:
    found = STATISTICS[name](column).value
    assert found is not None
    return found


def test_known_answers_of_the_categorical_values() -> None:
    """PSI of the values [3, 2, 2] against [1, 2, 3] is 2.934147 with absent shares of .0001;
    another share, another PSI.
    """
    reference, window = np.array([1, 1, 1]), np.array([0, 2, 1])
    assert population_stability(reference, window, 1e-4) == pytest.approx(2.934147, abs=5e-7)
    p, q = np.full(3, 1 / 3), np.array([0.01, 2 / 3, 1 / 3])
    assert population_stability(reference, window, 0.01) == pytest.approx(
        float(((q - p) * np.log(q / p)).sum())
    )


def test_known_answers_of_chi_squared() -> None:
    """SciPy takes the reference as the truth and has p = .67309; ours takes it as the sample that
    it is: .89853.
    """
    window, reference = np.array([16, 16, 16, 16, 16, 8]), np.array([16, 18, 16, 14, 12, 12])
    assert stats.chisquare(window, f_exp=reference).pvalue == pytest.approx(0.67309, abs=5e-6)
    assert two_sample(reference, window)[2] == pytest.approx(0.89853, abs=5e-6)


def test_known_answer_of_wasserstein() -> None:
    """[0, 1, 3] against [5, 6, 8] is 5, over cells that know all these values."""
    assert value(
        "wasserstein", _over_common_cells([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    ) == pytest.approx(5)


def test_known_answers_of_jensen_shannon() -> None:
    """SciPy's documented examples, in nats and in bits."""
    assert distance(np.array([2, 0]), np.array([1, 1]), math.e) == pytest.approx(
        0.46450140402245893
    )
    assert distance(np.array([1, 0, 0]), np.array([0, 1, 0]), 2.0) == pytest.approx(1.0)
    assert distance(np.array([1, 0, 0]), np.array([1, 0, 0])) == pytest.approx(0)


@given(counts, st.data(), st.sampled_from([2.0, math.e, 10.0]))
def test_jensen_shannon_is_scipys(reference: list[int], data: st.DataObject, base: float) -> None:
    """On any counts, empty bins on either side included, in any base."""
    window = data.draw(
        st.lists(st.integers(0, 50), min_size=len(reference), max_size=len(reference))
    )
    if not sum(reference) or not sum(window):
        return
    expected = jensenshannon(np.array(reference, float), np.array(window, float), base=base)
    assert distance(np.array(reference), np.array(window), base) == pytest.approx(
        expected, abs=1e-7
    )


@given(tied, tied)
def test_ks_and_wasserstein_are_scipys(reference: Rows, window: Rows) -> None:
    """Over cells that know all values both are exact: ties, constants, single and missing rows
    included.
    """
    column = _over_common_cells(reference, window)
    one, other = ([row for row in rows if not math.isnan(row)] for rows in (reference, window))
    if not one or not other:
        assert STATISTICS["ks"](column).value is STATISTICS["wasserstein"](column).value is None
        return
    with np.errstate(divide="ignore"):  # in SciPy's p-value of very small samples
        ks = stats.ks_2samp(one, other, method="asymp").statistic
    assert value("ks", column) == pytest.approx(ks, abs=1e-12)
    assert value("wasserstein", column) == pytest.approx(
        stats.wasserstein_distance(one, other), abs=1e-9, rel=1e-9
    )


@given(tied, tied)
def test_ks_is_never_more_than_one(reference: Rows, window: Rows) -> None:
    """KS is from 0 to 1, whatever is added up on the way."""
    column = NumericReference.build("x", np.array(reference))
    found = ColumnCounts(
        column, np.bincount(column.cells(np.array(window)), minlength=len(column.counts))
    )
    known = STATISTICS["ks"](found).value
    assert known is None or 0 <= known <= 1


def test_a_distance_beyond_the_references_range_is_called_a_lower_bound() -> None:
    """Counts do not tell how far beyond its ends values lie: Wasserstein says so then, and only
    then.
    """
    column = NumericReference.build("x", np.arange(1000.0))
    for values, note in (
        (np.arange(500.0), ""),
        (np.append(np.arange(750.0), np.full(250, 5e6)), "at least: 25 % of the values lie beyond"),
    ):
        counted = np.bincount(column.cells(values), minlength=len(column.counts))
        found = STATISTICS["wasserstein"](ColumnCounts(column, counted))
        assert found.note.startswith(note)
        assert bool(found.note) == bool(note)


@given(names, names)
def test_categories_are_scipys(reference: list[str | None], window: list[str | None]) -> None:
    """Chi-squared is SciPy's over the bins by hand, with more categories than cells, missing and
    unseen ones.
    """
    column = CategoricalReference.build("c", reference)
    found = ColumnCounts(column, np.bincount(column.cells(window), minlength=len(column.counts)))
    bins = found.bins
    table = np.array(bins)[:, np.array(bins).sum(axis=0) > 0]
    assert table.sum(axis=1).tolist() == [len(reference), len(window)]
    if table.shape[1] > 1:
        expected = stats.chi2_contingency(table, correction=False)
        statistic = STATISTICS["chi_squared"](found)
        assert (statistic.value, statistic.p_value) == (
            pytest.approx(expected.statistic, abs=1e-9),
            pytest.approx(expected.pvalue, abs=1e-9),
        )


@given(names)
def test_the_cells_are_the_counted_categories(reference: list[str | None]) -> None:
    """The first 50 categories count what a plain count says; the rest is OTHER; nothing is lost."""
    column = CategoricalReference.build("c", reference)
    plain = [sum(row == name for row in reference) for name in column.categories]
    assert column.counts[: len(plain)] == plain
    assert sum(column.counts) == len(reference)
    assert len(column.categories) <= TOP_CATEGORIES


@given(tied, tied)
def test_psi_is_the_textbooks(reference: Rows, window: Rows) -> None:
    """PSI over the bins is the textbook's sum with an absent share of .0001, and 0 for the same
    rows.
    """
    column = NumericReference.build("x", np.array(reference))
    found = ColumnCounts(
        column, np.bincount(column.cells(np.array(window)), minlength=len(column.counts))
    )
    p, q = (np.maximum(bins / bins.sum(), 1e-4) for bins in found.bins)
    assert value("psi", found) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), abs=1e-12)
    same = ColumnCounts(column, np.array(column.counts))
    assert value("psi", same) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["psi", "ks", "jensen_shannon", "wasserstein"])
def test_the_expected_value_is_that_of_no_drift(name: str) -> None:
    """Over 300 windows without drift the mean of each statistic is what is stated beside it, within
    10 %.
    """
    random = np.random.default_rng(3)
    found, expected = [], []
    for _ in range(300):
        column = NumericReference.build("x", random.normal(size=2000))
        cells = column.cells(random.normal(size=600))
        statistic = STATISTICS[name](
            ColumnCounts(column, np.bincount(cells, minlength=len(column.counts)))
        )
        found.append(statistic.value)
        expected.append(statistic.expected)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)  # type: ignore[arg-type]  # no None among them


def _over_common_cells(reference: Rows, window: Rows) -> ColumnCounts:
    """Count both sides in cells that are cut at every value of either."""
    column = NumericReference.build("x", np.array([*reference, *window]))
    sides = [
        np.bincount(column.cells(np.array(rows)), minlength=len(column.counts))
        for rows in (reference, window)
    ]
    return ColumnCounts(msgspec.structs.replace(column, counts=sides[0].tolist()), sides[1])
