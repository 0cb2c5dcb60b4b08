"""When a column changed: against the moment at which the rows were made to change."""

import numpy as np

from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.incidents.changes import Changes
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.window import VersionWindow, WindowPane
from driftgauge.shared.contract.pane import Pane
from tests.consumer.judging.builders import SIZES, VERSIONS, Stream

VERSION = VERSIONS["1.0.0"]
SMOOTH, CITY = 0, 5


def changes_of(stream: Stream) -> Changes:
    """Make the window of a stream's panes."""
    panes = [
        WindowPane(0, pane.number, pane.start, pane.end, pane.events, pane.blocks["1.0.0"].cells)
        for _, pane in stream.entries
        if isinstance(pane, Pane)
    ]
    window = VersionWindow.of(SIZES["1.0.0"], panes)
    policy = JudgingPolicy()
    evaluation = Evaluation(VERSION, window.cells, window.rows, levels(policy, 1e5, 5), policy)
    return Changes(evaluation, window, window.end)


def test_a_shift_is_located_to_a_pane() -> None:
    """For each of 20 seeds a shift of .7 standard deviations, 6 panes ago, lies within the moments
    that are held for possible, and these span 6 panes of 20 at most.
    """
    for seed in range(20):
        stream = Stream(np.random.default_rng(seed)).panes(14)
        moment = stream.now
        located = changes_of(stream.panes(6, shift=0.7)).of(SMOOTH)
        assert located.is_sure
        assert located.when.earliest <= moment + 10_000 <= located.when.latest + 1000
        assert located.when.latest - located.when.earliest <= 60_000
        assert abs(located.when.since - moment) <= 20_000


def test_no_change_is_not_believed() -> None:
    """Of 40 windows without any change, none is told to have one in any of 5 columns: a likelihood
    ratio of e^5 beyond what fitting gains happens less often than once in a thousand.
    """
    for seed in range(40):
        changes = changes_of(Stream(np.random.default_rng(1000 + seed)).panes(16))
        sure = [changes.of(column).is_sure for column in (0, 1, 2, 3, 5)]
        assert not any(sure)


def test_the_rows_since_the_change_are_counted() -> None:
    """The counts are those of the panes since the change, and tell how large it is."""
    stream = Stream(np.random.default_rng(0)).panes(10).panes(4, shift=2.0)
    changes = changes_of(stream)
    located = changes.of(SMOOTH)
    assert int(located.cells.sum()) == 1000
    assert located.strength > 1
    assert located.strength > 10 * changes.of(CITY).strength


def test_a_window_without_panes_tells_nothing() -> None:
    """An alarm may come before the first pane."""
    changes = changes_of(Stream(np.random.default_rng(0)))
    assert not changes.of(SMOOTH).is_sure
    assert changes.back(100) == 0


def test_rows_are_counted_backwards() -> None:
    """The moment some rows ago is the start of the pane that has them; at most the window's."""
    stream = Stream(np.random.default_rng(0)).panes(4)
    starts = [pane.start for _, pane in stream.entries if isinstance(pane, Pane)]
    changes = changes_of(stream)
    assert changes.back(0) == changes.window.end
    assert changes.back(10) == starts[-1]
    assert changes.back(251) == starts[-2]
    assert changes.back(10**9) == starts[0]


def test_a_long_window_is_looked_at_in_steps() -> None:
    """A window of 500 panes is taken in 63 steps, and a change is found all the same."""
    stream = Stream(np.random.default_rng(3)).panes(400, rows=20).panes(100, rows=20, shift=1.0)
    located = changes_of(stream).of(SMOOTH)
    assert located.is_sure
    assert abs(located.when.since - (stream.now - 1_000_000)) <= 80_000
