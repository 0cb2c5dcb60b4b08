"""Rare categories: what is held against the reference, its false-alarm rate, and what it finds."""

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.judging.evaluating.rare_categories import RareCategories
from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile


def names(random: np.random.Generator, categories: int, power: float, rows: int) -> list[str]:
    """Draw rows of categories whose shares fall with a power of their rank."""
    shares = np.arange(1, categories + 1) ** -power
    return [f"c{place}" for place in random.choice(categories, rows, p=shares / shares.sum())]


def held(values: list[str]) -> tuple[CategoricalReference, RareCategories | None]:
    column = CategoricalReference.build("c", values)
    return column, RareCategories.of(ReferenceProfile(len(values), (column,)), 0)


def counted(column: CategoricalReference, values: list[str]) -> np.ndarray:
    return np.bincount(column.cells(values), minlength=len(column.counts))


@pytest.mark.long
@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("categories", [1000, 5000])
def test_the_level_is_kept_without_drift(categories: int, power: float) -> None:
    """Of 200 windows without drift, each against a reference of its own, at most as many are above
    the threshold of no effect as are promised (5 %), but for a chance of 1 in 10,000.
    """
    random, over, runs = np.random.default_rng(categories + int(power)), 0, 200
    for run in range(runs):
        n, m = [(1500, 800), (5000, 2000), (4000, 9000)][run % 3]
        column, rare = held(names(random, categories, power, n))
        if rare is not None:
            window = counted(column, names(random, categories, power, m))
            over += rare.psi(window, m) > rare.threshold(0.0, 0.05, window, m)
    assert over <= stats.binom.isf(1e-4, runs, 0.05)


@pytest.mark.parametrize("kept", [1.0, 0.75, 0.5])
def test_the_estimate_is_the_divergence_of_the_categories(kept: float) -> None:
    """If only a share of equally frequent categories stays, their chi-squared divergence is
    1 / share - 1, though eight of them are in each bucket; within .12, the mean of ten windows.
    """
    random, found = np.random.default_rng(4), []
    for _ in range(10):
        column, rare = held(names(random, 4000, 0.0, 40_000))
        assert rare is not None
        left = random.permutation(4000)[: int(4000 * kept)]
        window = [f"c{place}" for place in random.choice(left, 8000)]
        found.append(rare.psi(counted(column, window), 8000))
    assert np.mean(found) == pytest.approx(1 / kept - 1, abs=0.12)


def test_categories_that_never_come_twice_are_not_judged() -> None:
    """Identifiers have no shares that could be held against each other, and few categories have no
    buckets.
    """
    assert held([f"id{place}" for place in range(2000)])[1] is None
    assert held(["a", "b"] * 500)[1] is None
