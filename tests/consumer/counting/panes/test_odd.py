"""What a pane keeps of the values that its reference does not have, and what an alert tells of
them.
"""

import itertools
from typing import Any

import numpy as np
import pytest

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.pane import LONGEST_NAME, Alarm, OddValues
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from tests.consumer.builders import NOON, Counted, cell_map, count, event, published, traffic

VERSION = published()
MAP = cell_map(VERSION)
VERSIONS = {"1.0.0": MAP}
POLICY = CountingPolicy(pane_events=250, detectors=("integrity",))
SMOOTH, CITY = 0, 5


def log(rows: list[list[object]]) -> list[Any]:
    return [event(NOON + 10 * number, number, row) for number, row in enumerate(rows, start=1)]


def broken(number: int, seed: int = 3) -> list[list[object]]:
    """Good rows, and from the 400th on one in ten with a number or a city that nobody knows."""
    found = traffic(np.random.default_rng(seed), number)
    for row in range(400, number, 10):
        found[row][SMOOTH] = float([-999, 1e6, 55][row // 10 % 3])
        found[row + 1][CITY] = f"town{row // 10 % 9}" + "y" * 80
    return found


def odd_of(counted: Counted) -> list[dict[int, OddValues]]:
    return [pane.blocks["1.0.0"].odd for pane in counted.closed]


def test_a_pane_keeps_the_worst_values() -> None:
    """The lowest and the highest number outside the reference's range, as the rows have them, and
    the first five unseen categories, cut off; nothing of a column that has only known values.
    """
    rows = broken(1000)
    first, *others = odd_of(count(log(rows), VERSIONS, POLICY))
    reference = VERSION.reference.columns[SMOOTH]
    cities = VERSION.reference.columns[CITY]
    assert isinstance(reference, NumericReference)
    assert isinstance(cities, CategoricalReference)
    low, high, known = reference.cuts[0], reference.cuts[-1], {*cities.categories, *cities.other}
    for place, odd in enumerate([first, *others]):
        part = rows[250 * place : 250 * (place + 1)]
        values = [row[SMOOTH] for row in part if row[SMOOTH] is not None]
        outside = [one for one in values if one < low or one > high]  # type: ignore[operator]
        expected = OddValues(min(outside), max(outside)) if outside else None
        assert odd.get(SMOOTH) == expected
        names = [str(row[CITY]) for row in part if row[CITY] is not None]
        unseen = dict.fromkeys(name[:LONGEST_NAME] for name in names if name not in known)
        assert (odd[CITY].names if CITY in odd else ()) == tuple(unseen)[:5]
        assert not {1, 2, 4} & odd.keys()
    assert others[-1][SMOOTH] == OddValues(-999.0, 1e6)


@pytest.mark.parametrize("seed", range(3))
def test_batches_leave_no_trace(seed: int) -> None:
    """However the log is cut, panes and alarms have the same worst values, and an alarm has none
    that came after it.
    """
    entries = log(broken(1100, seed))
    whole = count(entries, VERSIONS, POLICY)
    alarms = [entry for _, _, entry in whole.panes if isinstance(entry, Alarm)]
    assert {one.column for one in alarms} >= {"smooth"}
    assert any(one.odd is not None for one in alarms)
    for cuts in (range(0, 1100, 37), np.random.default_rng(seed).integers(1, 1100, 12).tolist()):
        assert count(entries, VERSIONS, POLICY, cuts).panes == whole.panes


def test_a_roll_up_has_the_worst_of_its_panes() -> None:
    """An hour's sum has the extremes of its panes, whatever their order."""
    rows = broken(1500)
    hours = [event(NOON + 5000 * number, number, row) for number, row in enumerate(rows, start=1)]
    counted = count(hours, VERSIONS, POLICY)
    rolled = next(one for span, one in counted.rollups if span == "hour")
    first, last = rolled.first, rolled.pane.number
    panes = [pane for pane in counted.closed if first <= pane.number <= last]
    found = [odd[SMOOTH] for odd in (pane.blocks["1.0.0"].odd for pane in panes) if SMOOTH in odd]
    assert (
        rolled.pane.blocks["1.0.0"].odd[SMOOTH]
        == list(itertools.accumulate(found, OddValues.then))[-1]
    )
