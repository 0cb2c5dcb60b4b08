"""Retirement of publishers that have been silent for longer than the longest spool age."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.entries import publishers
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from tests.consumer.builders import (
    NOON,
    Counted,
    cell_map,
    count,
    event,
    published,
    raw,
    tick,
    traffic,
)

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
LIMIT = 2 * HOUR_MS
POLICY = CountingPolicy(retire_ms=LIMIT)
LONG = 4 * HOUR_MS


def sent(number: int, ms: int, publisher: bytes = b"old") -> Entry:
    return event(ms, number, ROW, publisher=publisher)


def test_a_silent_publisher_is_retired() -> None:
    """Its holes are lost now, not missing any more, and its place in the checkpoint shrinks to one
    interval.
    """
    log = [sent(1, NOON), sent(3, NOON + 1), sent(7, NOON + 2), sent(1, NOON + LONG, b"new")]
    state = count(log, VERSIONS, POLICY).state(VERSIONS)
    assert (state.counters.lost, state.counters.missing, state.counters.events) == (4, 0, 4)
    old = state.publishers[b"old"]
    assert (old.retired, old.closed, old.seen.bounds) == (True, 7, [[1, 7]])
    assert not state.publishers[b"new"].retired


def test_a_spool_that_is_too_old_goes_to_the_dead_letters() -> None:
    """Whether it was counted before nobody knows any more: it is not counted, is no duplicate, and
    the reason says so.
    """
    late = sent(2, NOON + LONG)
    counted = count(
        [sent(1, NOON), sent(3, NOON + 1), late, sent(1, NOON + LONG + 1)], VERSIONS, POLICY
    )
    assert [letter.entry for letter in counted.dead] == [
        late,
        (f"{NOON + LONG + 1}-1".encode(), counted.dead[1].entry[1]),
    ]
    assert "was retired after a long silence" in counted.dead[0].reason
    counters = counted.state(VERSIONS).counters
    assert (counters.events, counters.dead, counters.duplicates, counters.lost) == (2, 2, 0, 1)


def test_a_publisher_that_was_only_idle_goes_on() -> None:
    """A model without traffic for weeks loses nothing: numbers above the last one are new, and
    holes in them are seen.
    """
    log = [
        sent(1, NOON),
        sent(2, NOON + LONG),
        sent(4, NOON + LONG + 1),
        sent(4, NOON + LONG + 2),
        sent(5, NOON + 2 * LONG),
    ]
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
    """API processes that come and go do not make the checkpoint grow: the longest silent are
    forgotten.
    """
    monkeypatch.setattr(publishers, "RETIRED_KEPT", 3)
    log = [sent(1, NOON + place, b"api%d" % place) for place in range(10)]
    counted = count([*log, tick(NOON + LONG)], VERSIONS, POLICY)
    assert sorted(counted.state(VERSIONS).publishers) == [b"api7", b"api8", b"api9"]
    assert sum(name.startswith(b"publisher:") for name in counted.fields) == 3


def test_publishers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process of a client is a publisher: beyond a number, those that were silent for longest
    are retired at the next hour, and what comes of their numbers later is never counted twice.
    """
    monkeypatch.setattr(publishers, "MOST_LIVING", 4)
    log = [sent(1, NOON + place, b"client%d" % place) for place in range(10)]
    later = [
        tick(NOON + HOUR_MS),
        sent(1, NOON + HOUR_MS, b"client0"),
        sent(2, NOON + HOUR_MS + 1, b"client0"),
    ]
    state = count([*log, *later], VERSIONS, POLICY).state(VERSIONS)
    retired = {name for name, one in state.publishers.items() if one.closed}
    assert retired == {b"client%d" % place for place in range(6)}
    assert (state.counters.events, state.counters.dead, state.counters.lost) == (11, 1, 0)


def test_what_is_kept_of_one_publisher_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves hole after hole has the oldest closed at the next hour: they are lost."""
    monkeypatch.setattr(publishers, "MOST_RUNS", 3)
    log = [sent(2 * place, NOON + place) for place in range(1, 8)]
    state = count([*log, tick(NOON + HOUR_MS), sent(1, NOON + HOUR_MS)], VERSIONS, POLICY).state(
        VERSIONS
    )
    assert state.publishers[b"old"].seen.bounds == [[1, 10], [12, 12], [14, 14]]
    assert (state.counters.lost, state.counters.missing, state.counters.dead) == (5 - 1 + 1, 2, 1)


Sent = tuple[bytes, int, int, bool]


def sent_with(
    pauses: st.SearchStrategy[int], numbers: st.SearchStrategy[int]
) -> st.SearchStrategy[list[Sent]]:
    """Draw publisher, number, pause before it, and whether a tick follows."""
    return st.lists(
        st.tuples(st.sampled_from([b"a", b"b", b"c"]), numbers, pauses, st.booleans()),
        min_size=1,
        max_size=30,
    )


cut_lists = st.lists(st.integers(1, 29), max_size=6)


def log_of(found: list[Sent]) -> list[Entry]:
    """Make the entries of publishers, each after a pause, some with a tick."""
    now, log = NOON, list[Entry]()
    for name, number, pause, ticks in found:
        now += pause
        log.append(sent(number, now, name))
        if ticks:
            log.append(tick(now, 99))
    return log


def whole_and_parts(log: list[Entry], cuts: list[int]) -> tuple[Counted, Counted]:
    """Count a log in one batch, and cut."""
    return count(log, VERSIONS, POLICY), count(
        log, VERSIONS, POLICY, [cut for cut in cuts if cut < len(log)]
    )


@given(sent_with(st.integers(0, LONG), st.integers(1, 12)), cut_lists)
def test_retirement_is_exact_under_any_cut(found: list[Sent], cuts: list[int]) -> None:
    """Counts, dead letters and checkpoint are the same however the log was cut; no number is ever
    counted twice.
    """
    whole, parts = whole_and_parts(log_of(found), cuts)
    assert parts == whole
    counters = whole.state(VERSIONS).counters
    assert counters.events <= len({(name, number) for name, number, _, _ in found})
    assert counters.events + counters.dead + counters.duplicates == len(found)


@settings(max_examples=100)
@given(sent_with(st.sampled_from([0, 1, LONG]), st.integers(1, 3)), cut_lists)
def test_forgetting_is_exact_under_any_cut(found: list[Sent], cuts: list[int]) -> None:
    """The same when retired publishers are too many, so that some are forgotten."""
    with patch.object(publishers, "RETIRED_KEPT", 1):
        whole, parts = whole_and_parts(log_of(found), cuts)
    assert parts == whole


def test_who_is_forgotten_is_so_before_its_next_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour's first entry forgets whom there is no room for: also within a batch, which once
    ended before it was done. Then the number that comes again was a dead letter or was counted, as
    the batch was cut.
    """
    monkeypatch.setattr(publishers, "RETIRED_KEPT", 1)
    log = [
        sent(1, NOON, b"a"),
        sent(1, NOON + 1, b"b"),
        tick(NOON + LONG),
        sent(1, NOON + LONG + 1, b"a"),
    ]
    for cuts in ([], [2], [3], [1, 2, 3]):
        _, counted = whole_and_parts(log, cuts)
        assert (counted.state(VERSIONS).counters.events, counted.dead) == (3, [])
        assert {name for name in counted.fields if name.startswith(b"publisher:")} == {
            b"publisher:a",
            b"publisher:b",
        }
