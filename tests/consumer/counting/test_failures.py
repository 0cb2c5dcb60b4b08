"""Failed predictions are counted in panes, exactly once, wherever they stand among others."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.panes.open_pane import MOST_KINDS, OTHER_KIND
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.events import FAILURE, Failure, encode
from driftgauge.shared.contract.pane import Pane, RollUp
from tests.consumer.builders import NOON, Counted, cell_map, count, event, published, tick, traffic

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
POLICY = CountingPolicy(pane_events=4)


def failed(number: int, ms: int, kind: str = "ValueError", version: str = "1.0.0") -> Entry:
    payload = encode(Failure(f"f{number}", version, ms, kind))
    fields = [b"t", FAILURE, b"p", b"client:a", b"s", str(number).encode(), b"e", payload]
    return f"{ms}-{number}".encode(), fields


def totals(panes: list[Pane]) -> list[tuple[int, int, dict[str, int]]]:
    """Rows, events and failed ones of each pane."""
    blocks = [pane.blocks["1.0.0"] for pane in panes]
    return [(one.rows, pane.events, one.failed) for one, pane in zip(blocks, panes, strict=True)]


def test_they_stand_in_the_pane_of_their_time() -> None:
    """One between two predictions belongs to the pane that is open there; they are no rows, no
    events and close no pane; sent twice they are counted once.
    """
    log = [event(NOON + 1000 * place, place, ROW) for place in range(1, 9)]
    log[2:2] = [failed(1, NOON + 2500), failed(2, NOON + 2500, "KeyError"), failed(1, NOON + 2501)]
    log[7:7] = [failed(3, NOON + 4500)]
    counted = count([*log, tick(NOON + 20_000)], VERSIONS, POLICY)
    assert totals(counted.closed) == [
        (4, 4, {"ValueError": 1, "KeyError": 1}),
        (4, 4, {"ValueError": 1}),
    ]
    counters = counted.state(VERSIONS).counters
    assert (counters.events, counters.failed, counters.duplicates) == (8, 3, 1)


def test_when_everything_fails_panes_close_nevertheless() -> None:
    """From the first event on: at ticks, when as many failed as fill a pane, or it is old."""
    log = [failed(place, NOON + place) for place in range(1, 6)]
    log += [
        tick(NOON + 5000),
        failed(6, NOON + 6000),
        tick(NOON + 7000),
        tick(NOON + 4 * 3_600_000),
    ]
    counted = count(log, VERSIONS, POLICY)
    assert totals(counted.closed) == [(0, 0, {"ValueError": 5}), (0, 0, {"ValueError": 1})]
    assert counted.closed[0].start == NOON + 1
    assert [pane.end for pane in counted.closed] == [NOON + 5000, NOON + 4 * 3_600_000]


def test_an_unknown_version_is_a_dead_letter() -> None:
    """Nothing could be said of it."""
    counted = count([failed(1, NOON, version="9.9.9"), event(NOON, 1, ROW)], VERSIONS, POLICY)
    assert [letter.reason for letter in counted.dead] == [
        "version '9.9.9' was never published, or cannot be read, so its schema is unknown"
    ]
    assert counted.state(VERSIONS).counters.failed == 0


def test_kinds_are_bounded() -> None:
    """A client that puts a number into each kind does not make panes grow."""
    log = [failed(place, NOON + place, f"Error{place}") for place in range(1, 100)]
    (pane,) = count([*log, tick(NOON + 5000)], VERSIONS, POLICY).closed
    kinds = pane.blocks["1.0.0"].failed
    assert len(kinds) == MOST_KINDS + 1
    assert (sum(kinds.values()), kinds[OTHER_KIND]) == (99, 99 - MOST_KINDS)


Step = tuple[str, int]


def log_of(steps: list[Step]) -> list[Entry]:
    now, log = NOON, list[Entry]()
    for number, (kind, pause) in enumerate(steps, 1):
        now += pause
        if kind == "tick":
            log.append(tick(now, number))
        else:
            log.append(failed(number, now, kind) if kind else event(now, number, ROW))
    return log


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "", "ValueError", "KeyError", "tick"]),
            st.sampled_from([1, 400, 1500, 3_600_000, 50_000_000]),
        ),
        min_size=1,
        max_size=40,
    ),
    st.lists(st.integers(1, 39), max_size=6),
)
def test_any_cut_gives_the_same(steps: list[Step], cuts: list[int]) -> None:
    """Panes, roll-ups and checkpoint are the same however the log was cut, and every failed
    prediction is in one pane, or in the open one.
    """
    log = log_of(steps)
    whole = count(log, VERSIONS, POLICY)
    assert count(log, VERSIONS, POLICY, [cut for cut in cuts if cut < len(log)]) == whole
    state = whole.state(VERSIONS)
    closed = sum(sum(pane.blocks["1.0.0"].failed.values()) for pane in whole.closed)
    still = state.pane.failed if state.pane is not None else 0
    assert (
        closed + still
        == state.counters.failed
        == len([one for one, _ in steps if one not in {"", "tick"}])
    )


def test_rollups_sum_them() -> None:
    """Hours and days have them too."""
    log = [event(NOON, 1, ROW), failed(1, NOON + 1), event(NOON + 2, 2, ROW), failed(2, NOON + 3)]
    later = NOON + 3 * 86_400_000
    more = [event(later, 3, ROW), tick(later + 3_600_000), tick(later + 2 * 3_600_000)]
    counted: Counted = count([*log, *more], VERSIONS, POLICY)
    found: list[RollUp] = [rolled for _, rolled in counted.rollups]
    assert [rolled.pane.blocks["1.0.0"].failed for rolled in found[:2]] == [{"ValueError": 2}] * 2
    assert msgspec.json.encode(found[0].pane.events) == b"2"
