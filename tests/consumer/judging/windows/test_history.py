import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.windows.history import MOST_POINTS, History
from tests.consumer.judging.builders import Stream, judge


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=400))
def test_points_are_bounded_ordered_and_true(steps: list[int]) -> None:
    """However evaluations are spaced: at most 64 points, ascending, none too old, the latest among
    them, each as it was.
    """
    history, told, now = History(), {}, 10_000
    for place, step in enumerate(steps):
        now += step
        told[now] = float(np.float32(place))
        history.add(now, np.array([place, np.nan]), oldest=now - 100_000)
    assert len(history.times) <= MOST_POINTS
    assert all(a < b for a, b in itertools.pairwise(history.times))
    assert history.times[-1] == now
    assert history.times[0] >= now - 100_000
    assert [told[time] for time in history.times] == [
        float(np.float32(value or 0)) for value in history.columns()[0]
    ]
    assert set(history.columns()[1]) == {None}


def test_points_spread_evenly() -> None:
    """Of many more evaluations the points that are kept have about the same distance."""
    history = History()
    for now in range(10_000):
        history.add(now, np.zeros(1), oldest=0)
    gaps = np.diff(history.times[:-1])
    assert gaps.max() <= 4 * max(1, np.median(gaps))
    assert len(history.times) == MOST_POINTS


def test_a_snapshot_has_the_evaluations_until_it() -> None:
    """A report's line ends with its own PSI, one point for each pane of its version, through any
    number of restarts.
    """
    stream = Stream(np.random.default_rng(3)).panes(12).panes(8, shift=1.0)
    whole, cut = judge(stream.entries), judge(stream.entries, cuts=range(1, 20, 3))
    assert whole.current == cut.current
    assert whole.snapshots == cut.snapshots
    last = whole.current["1.0.0"]
    assert last.history_times[-1] == last.created
    assert len(last.history_times) == 20
    for feature in [*last.features, last.prediction]:
        assert feature is not None
        assert len(feature.psi_history) == 20
        psi = next(one.value for one in feature.statistics if one.name == "psi")
        assert psi is not None
        assert abs((feature.psi_history[-1] or 0) - psi) <= 1e-3 * psi
    assert last.features[0].psi_history[0] is None  # below the least rows nothing was judged


def test_a_version_that_left_has_no_history() -> None:
    """With the window of a version its points go from the checkpoint."""
    stream = Stream(np.random.default_rng(3)).panes(4).panes(4, version="2.0.0", seconds=90_000)
    assert [name for name in judge(stream.entries).fields if name.startswith(b"history:")] == [
        b"history:2.0.0"
    ]
