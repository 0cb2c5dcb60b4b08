"""Numbers that no event has: what an API refused, and what a client gave up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.events import VOID, Void, encode
from tests.consumer.builders import NOON, cell_map, count, event, published, traffic
from tests.consumer.counting.entries.test_publishers import LIMIT, LONG

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
POLICY = CountingPolicy(retire_ms=LIMIT)
NAME = b"client:a1b2c3d4"


def sent(number: int, ms: int) -> Entry:
    return event(ms, number, ROW, publisher=NAME)


def void(ms: int, *spans: tuple[int, int], payload: bytes | None = None) -> Entry:
    number = str(spans[0][0]).encode()
    content = encode(Void(list(spans))) if payload is None else payload
    return f"{ms}-0".encode(), [b"t", VOID, b"p", NAME, b"s", number, b"e", content]


def test_a_void_is_no_hole_and_no_event() -> None:
    """Its numbers are not missing, nothing is counted for them, and they are told apart from lost
    ones; said twice it changes nothing.
    """
    log = [sent(1, NOON), void(NOON + 1, (2, 3), (6, 6)), void(NOON + 2, (3, 3)), sent(7, NOON + 3)]
    counters = count(log, VERSIONS, POLICY).state(VERSIONS).counters
    assert (counters.events, counters.void, counters.missing) == (2, 3, 2)
    assert (counters.duplicates, counters.dead, counters.lost) == (0, 0, 0)


def test_what_was_given_up_is_not_counted_when_it_comes() -> None:
    """An API may hold in its spool what the client gave up: whichever comes first holds."""
    log = [void(NOON, (1, 2)), sent(2, NOON + 1), sent(3, NOON + 2), void(NOON + 3, (3, 4))]
    counters = count(log, VERSIONS, POLICY).state(VERSIONS).counters
    assert (counters.events, counters.void, counters.duplicates, counters.missing) == (1, 3, 1, 0)


def test_a_void_of_closed_numbers_changes_nothing() -> None:
    """What was closed by a retirement is settled; later numbers are not."""
    log = [sent(1, NOON), sent(5, NOON + 1), void(NOON + LONG, (2, 7)), sent(8, NOON + LONG + 1)]
    counters = count(log, VERSIONS, POLICY).state(VERSIONS).counters
    assert (counters.events, counters.lost, counters.void, counters.missing) == (3, 3, 2, 0)


def test_a_void_that_cannot_be_read_is_a_dead_letter() -> None:
    """Its own number has arrived; it says nothing of others."""
    log = [void(NOON, (1, 1), payload=b'{"spans":[[0,4]]}'), sent(2, NOON + 1)]
    counted = count(log, VERSIONS, POLICY)
    assert "content cannot be read" in counted.dead[0].reason
    counters = counted.state(VERSIONS).counters
    assert (counters.events, counters.dead, counters.missing) == (1, 1, 0)


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.integers(1, 12), st.integers(0, 5), st.sampled_from([0, 1, LONG])
        ),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.integers(1, 29), max_size=6),
)
def test_voids_are_exact_under_any_cut(
    found: list[tuple[bool, int, int, int]], cuts: list[int]
) -> None:
    """Counts, dead letters and checkpoint are the same however the log was cut, and each number is
    counted once or void.
    """
    now, log = NOON, list[Entry]()
    for is_void, number, more, pause in found:
        now += pause + 1
        log.append(void(now, (number, number + more)) if is_void else sent(number, now))
    whole = count(log, VERSIONS, POLICY)
    assert count(log, VERSIONS, POLICY, [cut for cut in cuts if cut < len(log)]) == whole
    state = whole.state(VERSIONS)
    counters = state.counters
    assert (
        counters.events + counters.void + counters.lost + counters.missing
        == state.publishers[NAME].seen.last
    )
