"""Promises of the statistics of two samples."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from driftgauge.consumer.offline.sample_statistics import of_samples, statistics
from driftgauge.shared.errors import BadData

numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=60)
INFINITE = st.lists(
    st.integers(-5, 5).map(float) | st.sampled_from([np.inf, -np.inf]), min_size=1, max_size=30
)


@settings(max_examples=80, deadline=None)
@given(numbers, numbers)
def test_statistics_of_arrays_are_scipys(reference: list[int], current: list[int]) -> None:
    """On raw arrays KS and Wasserstein equal SciPy's, ties and constants included."""
    found = statistics(reference, current)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its p-value is undefined for a row or two
        exact = stats.ks_2samp(reference, current, method="asymp").statistic
    assert found["ks"].value == pytest.approx(exact, abs=1e-12)
    assert found["wasserstein"].value == pytest.approx(
        stats.wasserstein_distance(reference, current), abs=1e-12
    )


@settings(max_examples=80, deadline=None)
@given(numbers, numbers)
def test_chi_squared_and_jensen_shannon_of_categories_are_scipys(
    reference: list[int], current: list[int]
) -> None:
    """On raw categories chi-squared and Jensen-Shannon equal SciPy's on the table of counts."""
    before, after = ([str(value % 7) for value in values] for values in (reference, current))
    names = sorted({*before, *after})
    table = np.array([[values.count(name) for name in names] for values in (before, after)])
    found = statistics(before, after)
    new = [name for name in names if name not in before]
    if len(names) > 1 and len(new) < 2:  # several new categories are one bin here
        assert found["chi_squared"].p_value == pytest.approx(
            stats.chi2_contingency(table, correction=False).pvalue, abs=1e-9
        )
        assert found["jensen_shannon"].value == pytest.approx(
            distance.jensenshannon(*table, base=2), abs=1e-7
        )


def test_known_psi() -> None:
    """The PSI of the categories [3, 2, 2] against [1, 2, 3] is the published 2.934147."""
    assert of_samples("psi")(["1", "2", "3"], ["3", "2", "2"]).value == pytest.approx(
        2.934147, abs=1e-6
    )


@settings(max_examples=80, deadline=None)
@given(INFINITE, INFINITE)
def test_infinite_values_are_the_outermost(reference: list[float], current: list[float]) -> None:
    """KS of samples with infinities equals SciPy's; a Wasserstein distance that is not finite has
    no value, and says why.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        exact = stats.ks_2samp(reference, current, method="asymp").statistic
    found = statistics(reference, current)
    assert found["ks"].value == pytest.approx(exact, abs=1e-12)
    if not np.isfinite([*reference, *current]).all():
        assert found["wasserstein"].value is None
        assert "infinite" in found["wasserstein"].note


def test_a_sample_without_rows_is_refused() -> None:
    """Without a row there is nothing to compare, and that is said."""
    with pytest.raises(BadData, match="no rows"):
        of_samples("psi")([], [1])
