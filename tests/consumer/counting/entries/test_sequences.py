"""The dedupe set."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.entries.sequences import Intervals

batches = st.lists(
    st.one_of(
        st.lists(st.integers(1, 40), min_size=1, max_size=12),
        st.tuples(st.integers(1, 60), st.integers(1, 15)).map(
            lambda run: list(range(run[0], run[0] + run[1]))
        ),
    ),
    max_size=12,
)


@given(batches)
def test_claims_are_those_of_a_set(found: list[list[int]]) -> None:
    """A number is new once and never again, whatever the order, the runs and the cuts into
    batches.
    """
    seen, known = Intervals(), set[int]()
    for batch in found:
        expected = []
        for number in batch:
            expected.append(number not in known)
            known.add(number)
        assert seen.claim(np.array(batch)).tolist() == expected
        inside = [number for first, last in seen.bounds for number in range(first, last + 1)]
        assert inside == sorted(known)


@given(batches)
def test_bounds_stay_sorted_disjoint_and_apart(found: list[list[int]]) -> None:
    """The checkpoint stays small: neighbours are joined, so a publisher without a hole costs one
    interval.
    """
    seen = Intervals()
    for batch in found:
        seen.claim(np.array(batch))
    flat = [bound for interval in seen.bounds for bound in interval]
    assert flat == sorted(flat)
    assert all(
        later[0] > earlier[1] + 1
        for earlier, later in zip(seen.bounds, seen.bounds[1:], strict=False)
    )


@given(batches)
def test_missing_counts_the_holes(found: list[list[int]]) -> None:
    """The loss meter is the number of holes below the largest number that arrived."""
    seen = Intervals()
    numbers = {number for batch in found for number in batch}
    for batch in found:
        seen.claim(np.array(batch))
    assert seen.missing == (max(numbers) - len(numbers) if numbers else 0)


def test_the_largest_numbers_do_not_overflow() -> None:
    """Sequence numbers up to 2^63 - 1 are claimed like any other."""
    seen = Intervals()
    top = 2**63 - 1
    assert seen.claim(np.array([1, top - 1, top, top], dtype=np.int64)).tolist() == [
        True,
        True,
        True,
        False,
    ]
    assert seen.bounds == [[1, 1], [top - 1, top]]
    assert seen.missing == top - 3


spans = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12)), max_size=12)


@given(batches, spans)
def test_a_span_is_as_all_of_its_numbers(
    found: list[list[int]], later: list[tuple[int, int]]
) -> None:
    """Added at once, the numbers from a first to a last one are those that were new, as if each was
    added alone.
    """
    seen, known = Intervals(), Intervals()
    for batch in found:
        seen.claim(np.array(batch))
        known.claim(np.array(batch))
    for first, more in later:
        new = sum(known.add(number) for number in range(first, first + more + 1))
        assert seen.add_span(first, first + more) == new
        assert seen.bounds == known.bounds
