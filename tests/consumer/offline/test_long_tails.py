"""Comparisons of columns with thousands of categories."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from driftgauge.consumer.offline.comparison import compare
from driftgauge.shared.contract.snapshot import FeatureReport

ROWS = [(1000, 600), (5000, 2000), (20_000, 4000)]
"""Rows of the reference and of what is compared with it."""


def merchants(random: np.random.Generator, shares: np.ndarray, rows: int) -> pd.DataFrame:
    return pd.DataFrame({"merchant": [f"m{place}" for place in _drawn(random, shares, rows)]})


def _drawn(random: np.random.Generator, shares: np.ndarray, rows: int) -> list[int]:
    return random.choice(len(shares), rows, p=shares / shares.sum()).tolist()


def compared(before: pd.DataFrame, after: pd.DataFrame) -> FeatureReport:
    return compare(before, after).features[0]


@pytest.mark.long
@pytest.mark.parametrize("categories", [1000, 2000, 5000])
def test_a_long_tail_without_drift_is_calm(categories: int) -> None:
    """At most one comparison in 100 of Zipf's merchants with others of the same law alarms, as
    promised: 60 comparisons, and a chance of 1 in 10,000 that a promise just kept fails.
    """
    random, shares = np.random.default_rng(categories), 1 / np.arange(1, categories + 1)
    alarms = 0
    for run in range(60):
        n, m = ROWS[run % 3]
        found = compared(merchants(random, shares, n), merchants(random, shares, m))
        alarms += found.severity in {"warning", "critical"}
    assert alarms <= stats.binom.isf(1e-4, 60, 0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_vanished_half_of_the_categories_is_found(seed: int) -> None:
    """Half of 5,000 equally frequent merchants disappear: CRITICAL, with the names of some that
    did.
    """
    random, shares = np.random.default_rng(seed), np.ones(5000)
    before = merchants(random, shares, 60_000)
    shares[random.permutation(5000)[:2500]] = 0
    found = compared(before, merchants(random, shares, 4000))
    assert found.severity == "critical"
    assert "PSI among rare categories" in found.reason
    assert len(found.vanished) == 10
    assert not found.appeared
    assert all(shares[int(one.name[1:])] == 0 or one.rows < 5 for one in found.vanished)


def test_new_categories_are_found_and_named() -> None:
    """6 % of the rows with a category that Zipf's tail does not lead to expect are CRITICAL, though
    8 % of the rows have unseen ones anyway.
    """
    random, shares = np.random.default_rng(8), 1 / np.arange(1, 2001)
    after = merchants(random, shares, 4000)
    after.loc[random.permutation(4000)[:240], "merchant"] = "the new one"
    found = compared(merchants(random, shares, 5000), after)
    assert found.severity == "critical"
    assert "unseen" in found.reason
    assert (found.appeared[0].name, found.appeared[0].rows) == ("the new one", 240)
