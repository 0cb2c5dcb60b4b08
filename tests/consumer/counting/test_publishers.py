"""Retirement of publishers that have been silent for longer than the longest spool age."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.counting import publishers
from consumer.counting.cells import CellMap
from consumer.counting.clock import HOUR_MS
from consumer.counting.columns import Entry
from consumer.counting.policy import CountingPolicy
from tests.consumer.builders import NOON, cell_map, count, event, published, raw, tick, traffic

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
LIMIT = 2 * HOUR_MS
POLICY = CountingPolicy(retire_ms=LIMIT)
LONG = 4 * HOUR_MS


def sent(number: int, ms: int, publisher: bytes = b"old") -> Entry:
    return event(ms, number, ROW, publisher=publisher)


def test_a_silent_publisher_is_retired() -> None:
    """Its holes are lost now, not missing any more, and its place in the checkpoint shrinks to one interval."""
    log = [sent(1, NOON), sent(3, NOON + 1), sent(7, NOON + 2), sent(1, NOON + LONG, b"new")]
    state = count(log, VERSIONS, POLICY).state(VERSIONS)
    assert (state.counters.lost, state.counters.missing, state.counters.events) == (4, 0, 4)
    old = state.publishers[b"old"]
    assert (old.retired, old.closed, old.seen.bounds) == (True, 7, [[1, 7]])
    assert not state.publishers[b"new"].retired


def test_a_spool_that_is_too_old_goes_to_the_dead_letters() -> None:
    """Whether it was counted before nobody knows any more: it is not counted, is no duplicate, and the reason says so."""
    late = sent(2, NOON + LONG)
    counted = count([sent(1, NOON), sent(3, NOON + 1), late, sent(1, NOON + LONG + 1)], VERSIONS, POLICY)
    assert [letter.entry for letter in counted.dead] == [late, (f"{NOON + LONG + 1}-1".encode(), counted.dead[1].entry[1])]
    assert "was retired after a long silence" in counted.dead[0].reason
    counters = counted.state(VERSIONS).counters
    assert (counters.events, counters.dead, counters.duplicates, counters.lost) == (2, 2, 0, 1)


def test_a_publisher_that_was_only_idle_goes_on() -> None:
    """A model without traffic for weeks loses nothing: numbers above the last one are new, and holes in them are seen."""
    log = [sent(1, NOON), sent(2, NOON + LONG), sent(4, NOON + LONG + 1), sent(4, NOON + LONG + 2), sent(5, NOON + 2 * LONG)]
    counters = count(log, VERSIONS, POLICY).state(VERSIONS).counters
    assert (counters.events, counters.dead, counters.duplicates) == (4, 0, 1)
    assert (counters.missing, counters.lost) == (0, 1)


def test_an_unreadable_entry_of_a_retired_publisher_is_one_dead_letter() -> None:
    """It is not taken for a duplicate, and closes nothing."""
    broken = raw(f"{NOON + LONG}-9", 1, b"{", b"old")
    counted = count([sent(1, NOON), broken], VERSIONS, POLICY)
    assert [letter.entry for letter in counted.dead] == [broken]
    assert counted.state(VERSIONS).counters.duplicates == 0


def test_within_the_limit_nothing_is_retired() -> None:
    """A spool that comes within its longest age is counted, holes and all."""
    log = [sent(1, NOON), sent(3, NOON + 1), sent(1, NOON + LIMIT, b"new"), sent(2, NOON + LIMIT)]
    counters = count(log, VERSIONS, POLICY).state(VERSIONS).counters
    assert (counters.events, counters.dead, counters.lost) == (4, 0, 0)


def test_retired_publishers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """API processes that come and go do not make the checkpoint grow: the longest silent are forgotten."""
    monkeypatch.setattr(publishers, "RETIRED_KEPT", 3)
    log = [sent(1, NOON + place, b"api%d" % place) for place in range(10)]
    counted = count([*log, tick(NOON + LONG)], VERSIONS, POLICY)
    assert sorted(counted.state(VERSIONS).publishers) == [b"api7", b"api8", b"api9"]
    assert sum(name.startswith(b"publisher:") for name in counted.fields) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(1, 12), st.integers(0, LONG), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.integers(1, 29), max_size=6),
)
def test_retirement_is_exact_under_any_cut(found: list[tuple[bytes, int, int, bool]], cuts: list[int]) -> None:
    """Counts, dead letters and checkpoint are the same however the log was cut; no number is ever counted twice."""
    now, log = NOON, list[Entry]()
    for name, number, pause, ticks in found:
        now += pause
        log.append(sent(number, now, name))
        if ticks:
            log.append(tick(now, 99))
    whole, parts = (count(log, VERSIONS, POLICY, [cut for cut in way if cut < len(log)]) for way in ((), cuts))
    assert parts == whole
    counters = whole.state(VERSIONS).counters
    assert counters.events <= len({(name, number) for name, number, _, _ in found})
    assert counters.events + counters.dead + counters.duplicates == len(found)
