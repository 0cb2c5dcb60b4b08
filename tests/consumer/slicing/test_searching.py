"""The search for the worst slices: what is planted is found, and of nothing it says nothing."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from driftgauge.consumer.slicing.searching import LEVEL, WorstSlices, worst_slices
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout
from driftgauge.shared.reference.feature import Feature
from tests.consumer.slicing.making import SCHEMA, frame

RUNS = 60


def searched(rows: Any, seed: int = 0, **more: Any) -> WorstSlices:
    columns = [
        rows.age.to_numpy(),
        [*rows.region],
        rows.load.to_numpy(),
        rows.paid.to_numpy(dtype=float),
    ]
    return worst_slices(
        SCHEMA.names,
        SCHEMA.features,
        columns,
        Layout("categorical", ("no", "yes")),
        [*rows.prediction],
        [*rows.label],
        seed=seed,
        **more,
    )


def test_a_planted_slice_of_two_features_is_found() -> None:
    """Its condition is of both features, and its figure is that of the half that did not choose
    it.
    """
    rows = frame(20_000)
    found = searched(rows)
    first = found.slices[0]
    assert "\"region\" = 'north'" in first.condition
    assert '"age" <= ' in first.condition
    assert first.worse
    assert found.looked > 100
    held = np.ones(len(rows), dtype=bool)
    held[np.random.default_rng(0).permutation(len(rows))[: len(rows) // 2]] = False
    written = first.condition.replace('"', "").replace("AND", "and").replace(" = ", " == ")
    chosen = held & np.asarray(rows.eval(written))
    one, other = rows[chosen], rows[held & ~chosen]
    assert first.rows == len(one)
    assert first.value == pytest.approx(sk.accuracy_score(one.label, one.prediction))
    assert first.rest == pytest.approx(sk.accuracy_score(other.label, other.prediction))
    table = [
        [(part.prediction != part.label).sum(), (part.prediction == part.label).sum()]
        for part in (one, other)
    ]
    exact = stats.fisher_exact(np.array(table), alternative="greater").pvalue
    assert first.p_value == pytest.approx(len(found.slices) * exact)


def test_without_effect_slices_are_named_no_more_often_than_stated() -> None:
    """Of seeded runs without effect, more than the binomial quantile name a slice with a
    probability below one in 10,000, if each does with the stated probability.
    """
    named = sum(
        any(one.worse for one in searched(frame(2000, seed, planted=False), seed).slices)
        for seed in range(RUNS)
    )
    assert named <= stats.binom.isf(1e-4, RUNS, LEVEL)


@pytest.mark.parametrize("planted", [True, False])
def test_numbers_are_searched_by_their_absolute_errors(*, planted: bool) -> None:
    """Errors with long tails name nothing by themselves, and a planted slice is found."""
    rng = np.random.default_rng(3)
    x, city = rng.normal(size=8000), rng.choice(["a", "b", "c"], 8000)
    error = rng.standard_t(2, 8000) * np.where((x > 0) & (city == "a") & planted, 3, 1)
    found = worst_slices(
        ("x", "city"),
        (Feature("x", "numeric"), Feature("city", "categorical")),
        [x, [*city]],
        Layout("numeric"),
        error,
        np.zeros(8000),
    )
    assert any(one.worse for one in found.slices) == planted
    assert not planted or "\"city\" = 'a'" in found.slices[0].condition


def test_too_few_rows_are_refused() -> None:
    """Half of them choose, the other half tests; both need some."""
    with pytest.raises(BadData, match="needs at least"):
        searched(frame(300))
