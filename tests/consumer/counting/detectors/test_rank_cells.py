"""The law of rank cells, which the false-alarm rate of the e-detector rests on."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.counting.detectors import Observed
from driftgauge.consumer.counting.detectors.bets import EXPERTS, HISTOGRAMS, bets, tilts, unmoved
from driftgauge.consumer.counting.detectors.rank_cells import (
    BORDERS,
    CELLS,
    FEW,
    MISSING,
    PRESENT,
    RankCells,
)
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)

ROWS = 49
LAWS = {
    "continuous": lambda random, size: random.normal(size=size),
    "discrete": lambda random, size: random.choice([1.0, 2.0, 5.0], size, p=[0.1, 0.5, 0.4]),
    "mixed": lambda random, size: np.where(
        random.random(size) < 0.3, 0.0, random.normal(size=size)
    ),
    "categories": lambda random, size: [
        f"c{place}" for place in random.choice(6, size, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05])
    ],
}


def bets_on(law: Floats, histogram: Floats) -> Floats:
    """All experts' bets in one column, shape (cells, experts)."""
    histograms = np.stack([histogram] * HISTOGRAMS)
    return bets(law[:, None, None], histograms[:, :, None, None], tilts(law[:, None]))


def profile(column: Column, name: str = "x") -> ReferenceProfile:
    build = CategoricalReference.build if isinstance(column, list) else NumericReference.build
    return ReferenceProfile(len(column), (build(name, column),))


def found(reference: ReferenceProfile, column: Column, ids: list[str]) -> np.ndarray:
    cells = reference.columns[0].cells(column)[None]
    return RankCells.build(reference, [0]).of(Observed(cells, np.empty(0), ids))[0]


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name != "discrete" else name for name in LAWS],
)
def test_a_new_value_falls_into_each_cell_as_the_gaps_say(name: str) -> None:
    """Over references and new values the cells come with chance g / (n + 1), and so do pairs of
    them as a Polya urn's.

    Chi-squared tests with p > 1e-4: a right law fails in one of 10,000 seeds.
    """
    random = np.random.default_rng(5)
    pairs = np.zeros((PRESENT, PRESENT))
    for trial in range(3000):
        values = LAWS[name](random, ROWS + 2)
        reference = profile(values[:ROWS], f"x{trial}")
        first, second = found(reference, values[ROWS:], [f"{trial}-a", f"{trial}-b"])
        pairs[first, second] += 1
    gaps = RankCells.build(reference, [0]).gaps[0]
    assert gaps.sum() == ROWS + 2
    assert gaps[MISSING] == 1
    urn = np.outer(gaps[:PRESENT], gaps[:PRESENT]) + np.diag(gaps[:PRESENT])
    assert stats.chisquare(pairs.sum(axis=1), gaps[:PRESENT] / (ROWS + 1) * 3000).pvalue > 1e-4
    assert stats.chisquare(pairs.ravel(), (urn / urn.sum() * 3000).ravel()).pvalue > 1e-4


def test_bets_on_missing_values_gain_nothing_without_drift() -> None:
    """For each number of missing values among reference and events, in any order, no expert's
    product has a mean above 1.

    Exact: all arrangements of four events after 12 reference rows are summed up.
    """
    rows, events = 12, 4
    for total in range(rows + events + 1):
        means = np.zeros(EXPERTS)
        for order in product((0, 1), repeat=events):
            missing = total - sum(order)
            if not 0 <= missing <= rows:
                continue
            gaps = np.array([0] * (PRESENT - 1) + [rows - missing + 1, missing + 1])
            law = unmoved(gaps, np.zeros(CELLS, dtype=np.int64))
            shares = bets_on(law, law)
            product_of_e, counts = np.ones(EXPERTS), gaps.astype(float)
            for place, lost in enumerate(order):
                cell = MISSING if lost else PRESENT - 1
                product_of_e *= shares[cell] / (counts[cell] / (rows + 1 + place))
                counts[cell] += 1
            means += comb(rows, missing) / comb(rows + events, total) * product_of_e
        assert (means <= 1 + 1e-12).all()


def test_ties_are_broken_by_the_id_alone() -> None:
    """The same event gets the same cell in every replay, and the ids of one value spread evenly
    over its tie.
    """
    reference = profile(np.append(np.full(998, 3.0), [9.0, 10.0]))
    ids = [str(number) for number in range(20_000)]
    cells = found(reference, np.full(20_000, 3.0), ids)
    assert (cells[::-1] == found(reference, np.full(20_000, 3.0), ids[::-1])).all()
    shares = np.bincount(cells, minlength=CELLS)[:PRESENT] / 20_000
    borders = stats.beta(100, 901).std()  # each cell is as wide as the borders that were drawn
    assert np.abs(shares - np.diff([0.0, *BORDERS, 1.0])).max() < 6 * (borders + 0.002)
    assert found(reference, np.array([2.0, 4.0, np.nan]), ids).tolist() == [0, PRESENT - 1, MISSING]


def test_a_constant_bets_on_nothing() -> None:
    """The value of a constant always has one cell, whose chance is all of it: no bet ever gains by
    it, and so none alarms; what is smaller or larger has one gap.
    """
    reference = profile(np.full(200, 3.0))
    cells = found(reference, np.array([3.0, 2.0, 4.0, 3.0, np.nan]), list("abcde")).tolist()
    assert cells == [PRESENT // 2, 0, PRESENT - 1, PRESENT // 2, MISSING]
    gaps = RankCells.build(reference, [0]).gaps[0]
    assert gaps[[0, PRESENT // 2, PRESENT - 1, MISSING]].tolist() == [1, 201, 1, 1]
    law = unmoved(gaps, np.zeros(CELLS, dtype=np.int64))
    own = np.eye(CELLS)[PRESENT // 2]  # a histogram that knows that nothing else comes
    found_ = bets_on(law, own)
    assert found_[PRESENT // 2].max() <= 1


def test_bets_on_two_values_gain_nothing_without_drift() -> None:
    """A column of two values, some perhaps missing, is counted kind by kind, without a draw: for
    all counts of the kinds among reference and events together, no expert's product has a mean
    above 1.

    Exact: all references of 8 rows and all orders of 4 events after them are summed up.
    """
    rows, events = 8, 4
    kinds = [*FEW[2][1::2], MISSING]
    for first in range(rows + events + 1):
        for second in range(rows + events + 1 - first):
            total = np.array([first, second, rows + events - first - second])
            means = sum(
                _means(total - np.bincount(order, minlength=3), order, kinds)
                for order in product(range(3), repeat=events)
            )
            assert np.all(means <= 1 + 1e-12), (total, means)


def _means(reference: np.ndarray, order: tuple[int, ...], kinds: list[int]) -> np.ndarray:
    """Return the chance of a reference's counts and of an order of events behind it, given all
    counts, times each expert's product of e-values; the bets are fixed before the events.
    """
    if reference.min() < 0:
        return np.zeros(EXPERTS)
    gaps = np.zeros(CELLS, dtype=np.int64)
    gaps[FEW[2]] = 1
    gaps[MISSING] = 1
    gaps[kinds] = reference + 1
    law = unmoved(gaps, np.zeros(CELLS, dtype=np.int64))
    shares = bets_on(law, law)
    rows, counts = int(reference.sum()), gaps.astype(float)
    chance, found_ = 1.0, np.ones(EXPERTS)
    for place, kind in enumerate(order):
        likely = counts[kinds[kind]] / (rows + 1 + place)
        found_ *= shares[kinds[kind]] / likely
        chance *= likely
        counts[kinds[kind]] += 1
    return chance * found_


def test_degenerate_references_have_a_law() -> None:
    """A reference of one row, of no value, or of one category has cells for whatever comes."""
    empty = profile(np.full(5, np.nan))
    assert found(empty, np.array([1.0, np.nan]), ["a", "b"]).tolist() == [PRESENT - 1, MISSING]
    assert RankCells.build(empty, [0]).gaps.tolist() == [[0] * len(BORDERS) + [1, 6]]
    single = RankCells.build(profile(np.array([4.0])), [0])
    assert single.gaps[0][[0, -2, -1]].tolist() == [1, 1, 1]
    assert found(profile(np.array([4.0])), np.array([3.0, 5.0]), ["a", "b"]).tolist() == [
        0,
        PRESENT - 1,
    ]
    category = profile(["x"] * 50)
    assert set(found(category, ["x", "new", None], ["a", "b", "c"]).tolist()[1:]) == {
        PRESENT - 1,
        MISSING,
    }
