"""What every registered detector keeps, whatever it computes."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.detectors import DETECTORS, Detection, Observed
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.runs import Runs
from tests.consumer.builders import cell_map, published, traffic

CELLS: CellMap = cell_map(published(rows=1500))
ALPHA = 1e-3
EVENTS = 1500


def observed(first: int, last: int, traffic_cells: np.ndarray) -> Observed:
    return Observed(
        traffic_cells[:, first:last],
        CELLS.ranks,
        [f"event-{place}" for place in range(first, last)],
        traffic_cells[:, first:last],
        [Runs(EVENTS, EVENTS, 2, EVENTS)] * len(CELLS.reference.columns),
    )


def drawn(seed: int, events: int = EVENTS) -> np.ndarray:
    """Draw cells of a feature of every awkward kind; half way one shifts, one loses values, new
    categories come, and the prediction is stuck.
    """
    random = np.random.default_rng(seed)
    rows = traffic(random, events // 2) + traffic(
        random, events - events // 2, shift=1.0, missing=0.3
    )
    for row in rows[events // 2 :: 3]:
        row[5] = "nowhere"
    made = random.normal(size=events)
    made[events // 2 :] = 0.25
    columns = [*zip(*rows, strict=True), made.tolist()]
    cells = []
    for reference, column in zip(CELLS.reference.columns, columns, strict=True):
        values = list(column) if reference.kind == "categorical" else np.array(column, dtype=float)
        cells.append(reference.cells(values))
    return np.array(cells) + CELLS.offsets[:-1, None]


def run(name: str, cells: np.ndarray, cuts: Sequence[int]) -> tuple[list[Detection], bytes]:
    """Show events in parts, through a packed state between any two; give the alarms by their rows
    in all events.
    """
    kind, found = DETECTORS[name], []
    detector = kind.start(CELLS.reference, CELLS.watched, CELLS.ranks, ALPHA)
    edges = sorted({0, *cuts, cells.shape[1]})
    for first, last in itertools.pairwise(edges):
        detector = kind.unpack(detector.pack(), CELLS.reference, CELLS.ranks)
        for one in detector.update(observed(first, last, cells)):
            assert 0 <= one.row < last - first
            found.append(
                (
                    one.row + first,
                    *[getattr(one, field) for field in Detection.__slots__ if field != "row"],
                )
            )
    return found, detector.pack()


@pytest.mark.parametrize("name", DETECTORS)
@settings(max_examples=8)
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(1, EVENTS - 1), max_size=30))
def test_cuts_change_nothing(name: str, seed: int, cuts: list[int]) -> None:
    """However the log is cut, through checkpoints: the same alarms, in order, and the same bytes of
    state.
    """
    cells = drawn(seed)
    assert run(name, cells, cuts) == run(name, cells, [])


@pytest.mark.parametrize("name", DETECTORS)
def test_one_by_one_changes_nothing(name: str) -> None:
    """The finest cut of all; and what changed in the traffic is found."""
    cells = drawn(3, 600)
    found, state = run(name, cells, [])
    assert run(name, cells, range(600)) == (found, state)
    assert found


@pytest.mark.parametrize("name", DETECTORS)
def test_it_knows_what_it_was_started_with(name: str) -> None:
    """Counting starts a detector anew when its columns or its rate are not those that are
    wanted.
    """
    detector = DETECTORS[name].start(CELLS.reference, [0, 5], CELLS.ranks, ALPHA)
    again = DETECTORS[name].unpack(detector.pack(), CELLS.reference, CELLS.ranks)
    assert (again.name, again.alpha, again.columns, detector.columns) == (
        name,
        ALPHA,
        [0, 5],
        [0, 5],
    )
    assert 0 <= detector.share < 1


@pytest.mark.parametrize("name", DETECTORS)
def test_damage_is_refused(name: str) -> None:
    """A state with a byte flipped, cut short or lengthened is never taken for a state."""
    detector = DETECTORS[name].start(CELLS.reference, CELLS.watched, CELLS.ranks, ALPHA)
    packed = detector.pack()
    for place in (0, 5, 9, len(packed) // 2, len(packed) - 1):
        damaged = bytearray(packed)
        damaged[place] ^= 0x41
        with pytest.raises(BadData, match="damaged or of another format"):
            DETECTORS[name].unpack(bytes(damaged), CELLS.reference, CELLS.ranks)
    with pytest.raises(BadData, match="damaged or of another format"):
        DETECTORS[name].unpack(packed[:-1], CELLS.reference, CELLS.ranks)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_drift_that_stays_is_alarmed_again_but_does_not_flood(name: str) -> None:
    """While a drift stays, its column alarms at least once in a window of 2,000 events, and far
    less often than events.
    """
    cells = drawn(4, 8000)[:, 4000:]
    found, _ = run(name, cells, [])
    column = found[0][1]
    rows = [one[0] for one in found if one[1] == column]
    assert max(np.diff([0, *rows, 4000])) < 2000
    assert len(rows) < 100
