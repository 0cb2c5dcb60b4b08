"""A new reference in the log: the same place for everybody, detectors that begin anew, nothing
counted differently.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import InUse, references_of
from driftgauge.shared.contract.pane import Alarm, NewReference, Pane, encode, unpack_counts
from driftgauge.shared.reference.accepted import recounted
from driftgauge.shared.reference.history import ReferenceChange, encode_change
from driftgauge.shared.reference.profile import ReferenceProfile
from tests.consumer.builders import (
    NOON,
    SCHEMA,
    Counted,
    cell_map,
    count,
    event,
    published,
    tick,
    traffic,
)
from tests.consumer.counting.test_advance import VERSIONS, random_log, seeds

POLICY = CountingPolicy(pane_events=20, pane_seconds=600, expected_events_per_day=5000)
BASE = published(rows=2000)


def shifted_profile(shift: float = 1.0, rows: int = 2000) -> ReferenceProfile:
    """Return the reference of traffic that is shifted, in the cells of the registered one."""
    profile = BASE.reference
    random = np.random.default_rng(5)
    entries = [
        event(NOON + 10 * n, n + 1, row, prediction=random.normal())
        for n, row in enumerate(traffic(random, rows, shift))
    ]
    counted = count(entries, {"1.0.0": cell_map(BASE)}, POLICY)
    return recounted(profile, counted.cells({"1.0.0": cell_map(BASE)})["1.0.0"])


MAPS = {"1.0.0": cell_map(BASE), "1.0.0#1": CellMap(SCHEMA, shifted_profile())}


def change(ms: int, change: int, number: int, version: str = "1.0.0", suffix: int = 0) -> Entry:
    packed = encode_change(ReferenceChange(version, change, number, "ann", "the plant was rebuilt"))
    return f"{ms}-{suffix}".encode(), [b"t", b"r", b"e", packed]


def drifted(seed: int, rows: int, start: int, first: int, shift: float = 1.0) -> list[Entry]:
    random = np.random.default_rng(seed)
    return [
        event(start + 50 * place, first + place, row, prediction=float(random.normal()))
        for place, row in enumerate(traffic(random, rows, shift))
    ]


def alarms(counted: Counted) -> list[Alarm]:
    return [entry for _, _, entry in counted.panes if isinstance(entry, Alarm)]


@settings(max_examples=15)
@given(seeds, st.lists(st.integers(1, 223), max_size=6))
def test_cuts_change_nothing(seed: int, cuts: list[int]) -> None:
    """With changes of reference in the log, also such as come twice, too late or cannot be read,
    advance(a + b) is still advance(a) and then advance(b).
    """
    maps = {**VERSIONS, "1.0.0#1": CellMap(SCHEMA, VERSIONS["1.0.0"].reference)}
    log = random_log(seed).entries
    for place, (number, reference) in zip(
        (200, 150, 120, 60), ((2, 0), (1, 1), (1, 1), (3, 7)), strict=True
    ):
        ms = int(log[place][0].split(b"-")[0])
        log.insert(place, change(ms, number, reference, suffix=500 + place))
    log.insert(30, (log[30][0] + b"9", [b"t", b"r", b"e", b"{"]))
    whole, parts = (count(log, maps, POLICY, found) for found in ((), cuts))
    assert [(number, place, encode(entry)) for number, place, entry in parts.panes] == [
        (number, place, encode(entry)) for number, place, entry in whole.panes
    ]
    assert (parts.rollups, parts.dead, parts.fields) == (whole.rollups, whole.dead, whole.fields)
    told = [
        (entry.change, entry.number)
        for _, _, entry in whole.panes
        if isinstance(entry, NewReference)
    ]
    assert told == [(1, 1), (2, 0)]
    assert sum("reference 7" in letter.reason for letter in whole.dead) == 1


def test_the_change_has_a_place_and_closes_the_pane() -> None:
    """Everything before it was counted by the old reference, everything after it by the new one: no
    pane spans it.
    """
    log = [
        *drifted(1, 30, NOON, 1),
        change(NOON + 1600, 1, 1),
        *drifted(2, 30, NOON + 2000, 31),
        tick(NOON + 900_000),
    ]
    counted = count(log, MAPS, POLICY)
    kinds = [entry for _, _, entry in counted.panes if isinstance(entry, Pane | NewReference)]
    place = next(at for at, entry in enumerate(kinds) if isinstance(entry, NewReference))
    assert sum(pane.events for pane in kinds[:place] if isinstance(pane, Pane)) == 30
    assert sum(pane.events for pane in kinds[place:] if isinstance(pane, Pane)) == 30
    told = kinds[place]
    assert isinstance(told, NewReference)
    assert (told.total, told.who, told.reason, told.undo) == (
        30,
        "ann",
        "the plant was rebuilt",
        False,
    )
    assert counted.state(MAPS).position.references == {"1.0.0": InUse(1, 1)}
    assert references_of(counted.fields) == {("1.0.0", 1)}


def test_detectors_begin_anew_from_the_new_reference() -> None:
    """What is a drift against the old reference alarms until the change, and is usual from there
    on; undone, it alarms.
    """
    before, after = drifted(1, 1500, NOON, 1), drifted(2, 3000, NOON + 200_000, 1501)
    back = drifted(3, 1500, NOON + 500_000, 4501)
    log = [*before, change(NOON + 150_000, 1, 1), *after, change(NOON + 450_000, 2, 0), *back]
    found = alarms(count(log, MAPS, POLICY))
    places = [alarm.total for alarm in found if alarm.column == "smooth"]
    assert any(place <= 1500 for place in places)
    assert not [place for place in places if 1500 < place <= 4500]
    assert any(place > 4500 for place in places)


def test_cells_are_the_same_under_either_reference() -> None:
    """A change of reference changes no count: windows and roll-ups go on adding up across it."""
    log = drifted(1, 400, NOON, 1)
    plain = count(log, MAPS, POLICY)
    changed = count(
        [*log[:200], change(NOON + 50 * 199, 1, 1, suffix=10**6), *log[200:]], MAPS, POLICY
    )
    base = {"1.0.0": MAPS["1.0.0"]}
    assert _sum(plain, base).tolist() == _sum(changed, MAPS).tolist()


def _sum(counted: Counted, maps: dict[str, CellMap]) -> np.ndarray:
    total = np.zeros(MAPS["1.0.0"].size, dtype=np.int64)
    for pane in counted.closed:
        total += unpack_counts(pane.blocks["1.0.0"].cells)
    state = counted.state(maps)
    return total + (state.pane.blocks["1.0.0"].cells if state.pane else 0)
