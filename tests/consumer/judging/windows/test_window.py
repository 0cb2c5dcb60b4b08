"""A version's window."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.windows.window import DAY_MS, VersionWindow, WindowPane
from driftgauge.shared.contract.pane import pack_counts, unpack_counts

drawn = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 12 * DAY_MS),
        st.lists(st.integers(0, 300), min_size=5, max_size=5),
    ),
    max_size=25,
)


def panes_of(found: list[tuple[int, int, list[int]]]) -> list[WindowPane]:
    return [
        WindowPane(
            partition,
            number,
            end - 1,
            end,
            sum(cells),
            pack_counts(np.array(cells)),
            segments=pack_counts(np.array(cells[:3])),
        )
        for number, (partition, end, cells) in enumerate(found)
    ]


@given(drawn, st.integers(0, 900), st.integers(1, 9))
def test_a_window_is_the_sum_of_its_panes(
    found: list[tuple[int, int, list[int]]], least: int, days: int
) -> None:
    """Whatever came and went, counts and rows are those of the panes that are left."""
    window = VersionWindow.of(5, [])
    for pane in panes_of(found):
        window.add(pane)
        window.trim(least, days)
        left = sum(
            (unpack_counts(kept.cells) for kept in window.panes), np.zeros(5, dtype=np.int64)
        )
        assert window.cells.tolist() == left.tolist()
        assert window.rows == window.cells.sum() == sum(kept.rows for kept in window.panes)
        assert window.segments is not None
        assert window.segments.tolist() == left.tolist()[:3]


@given(drawn, st.integers(1, 900), st.integers(1, 9))
def test_a_window_holds_what_it_needs_and_no_more(
    found: list[tuple[int, int, list[int]]], least: int, days: int
) -> None:
    """A trimmed window has the latest panes, the fewest that give its rows, none too old; what it
    dropped is told.
    """
    window = VersionWindow.of(5, panes_of(found))
    everything = list(window.panes)
    dropped = window.trim(least, days)
    assert [*dropped, *window.panes] == everything
    assert not window.panes or window.rows - window.panes[0].rows < least
    assert all(pane.end >= window.end - days * DAY_MS for pane in window.panes)
    if window.rows < least and dropped:
        assert dropped[-1].end < everything[-1].end - days * DAY_MS


@given(drawn, st.randoms(use_true_random=False))
def test_a_window_does_not_hang_on_the_order_of_its_panes(
    found: list[tuple[int, int, list[int]]], random: object
) -> None:
    """Partitions may be read in any order, and a checkpoint's fields come in any order: the window
    is the same.
    """
    panes = panes_of(found)
    shuffled = list(panes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = VersionWindow.of(5, panes), VersionWindow.of(5, shuffled)
    assert list(first.panes) == list(second.panes)
    assert first.cells.tolist() == second.cells.tolist()
    assert (first.segments is None) == (second.segments is None) == (not panes)
    if first.segments is not None and second.segments is not None:
        assert first.segments.tolist() == second.segments.tolist()
