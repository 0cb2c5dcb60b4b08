"""Which segment explains a change of the model's metric: the parts add up, and the words say what
was put in.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.segments.attribution import Attribution, Means, attribute, clause

NAMES = tuple(f"region={name}" for name in ("north", "south", "east", "west", "OTHER"))
sizes = st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=1, max_size=21)


def errors(rows: list[int], rates: list[float]) -> Means:
    wrong = np.rint(np.array(rows) * np.array(rates))
    return Means(np.array(rows), wrong, wrong)


def said(found: Attribution) -> str:
    return clause(found, "region", NAMES)


@given(sizes, st.data())
def test_contributions_and_mix_add_up_to_the_change(
    now: list[tuple[int, float]], data: st.DataObject
) -> None:
    """Whatever the rows, segments without any among them, the parts are the change; a share of it
    is never without limit.
    """
    before = data.draw(
        st.lists(
            st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=len(now), max_size=len(now)
        )
    )
    one, other = (
        errors([size for size, _ in side], [rate for _, rate in side]) for side in (now, before)
    )
    if not one.rows or not other.rows:
        return
    found = attribute(one, other)
    assert found.contributions.sum() + found.mix == pytest.approx(one.mean - other.mean, abs=1e-12)
    assert np.isfinite(found.share)
    assert bool(
        clause(found, "region", tuple(f"region={place}" for place in range(len(now))))
    ) == bool(found.kind)


ROWS = [800, 600, 400, 200, 0]
BEFORE = errors([3200, 2400, 1600, 800, 0], [0.09, 0.09, 0.09, 0.09, 0])
CASES = {
    "one": (ROWS, [0.26, 0.09, 0.09, 0.09, 0], "all of it in region=north"),
    "two": (ROWS, [0.20, 0.25, 0.09, 0.09, 0], "all of it in region=south and region=north"),
    "one, and other shares": (
        [400, 300, 200, 1100, 0],
        [0.59, 0.09, 0.09, 0.22, 0],
        "58 % of it in region=north",
    ),
    "alike": (ROWS, [0.16, 0.17, 0.16, 0.15, 0], "in all values of region alike"),
    "nothing": (ROWS, [0.1, 0.08, 0.09, 0.1, 0], ""),
    "a new value": (
        [700, 500, 300, 100, 400],
        [0.09, 0.09, 0.09, 0.09, 0.45],
        "all of it in region=OTHER",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_sentence_says_what_was_put_in(case: str) -> None:
    """A fall of one segment is named, of two both are, one that is everywhere is nobody's, and
    chance says nothing.
    """
    rows, rates, expected = CASES[case]
    found = attribute(errors(rows, rates), BEFORE)
    assert said(found) == expected


def test_other_shares_of_the_segments_are_the_mix() -> None:
    """When a bad segment becomes frequent and each stays as good as it was, the mix explains the
    fall, and no segment.
    """
    before = errors([3000, 1000], [0.05, 0.40])
    found = attribute(errors([500, 1500], [0.05, 0.40]), before)
    assert found.kind == "mix"
    assert found.contributions.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert said(found) == "by the mix of region, not within its values"
    half = attribute(errors([500, 1500], [0.05, 0.60]), before)
    assert said(half) != "by the mix of region, not within its values"


def test_a_large_segment_is_not_named_for_a_fall_that_is_everywhere() -> None:
    """A segment of nine tenths of the rows has nine tenths of any fall; that alone explains
    nothing.
    """
    found = attribute(errors([1800, 200], [0.16, 0.16]), errors([7200, 800], [0.09, 0.09]))
    assert said(found) == "in all values of region alike"
    worse = attribute(errors([1800, 200], [0.10, 0.75]), errors([7200, 800], [0.09, 0.09]))
    assert said(worse).endswith("in region=south")


def test_chance_is_rarely_explained() -> None:
    """Without a change a sentence is written for about 1 window in 100: in 3,000 windows there are
    fewer than 60 (with the asked 1 % more of them have a probability below 1e-5).
    """
    random = np.random.default_rng(3)
    rates = np.array([0.05, 0.1, 0.2, 0.3, 0.02])
    sentences = 0
    for _ in range(3000):
        sides = []
        for rows in (2000, 4000):
            n = random.multinomial(rows, [0.4, 0.3, 0.2, 0.05, 0.05])
            wrong = random.binomial(n, rates).astype(np.float64)
            sides.append(Means(n, wrong, wrong))
        sentences += bool(attribute(*sides).kind)
    assert sentences < 60


def test_a_fall_of_one_segment_is_named_as_a_rule() -> None:
    """A fall by 40 points in a tenth of the rows is given to that segment in at least 95 of 100
    windows, and never to another one.
    """
    random = np.random.default_rng(4)
    rates, worse = np.full(5, 0.1), np.array([0.1, 0.1, 0.5, 0.1, 0.1])
    shares = [0.4, 0.3, 0.1, 0.1, 0.1]
    named = []
    for _ in range(300):
        sides = []
        for rows, wrong in ((2000, worse), (4000, rates)):
            n = random.multinomial(rows, shares)
            hits = random.binomial(n, wrong).astype(np.float64)
            sides.append(Means(n, hits, hits))
        found = attribute(*sides)
        named += [found.places] if found.kind == "named" else []
    assert all(2 in places for places in named)
    assert len(named) >= 285
