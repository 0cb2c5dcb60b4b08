"""Ids that clients supplied."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.client_ids import (
    KEPT_BYTES,
    ClientIds,
    unpack,
)
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from tests.consumer.builders import NOON, cell_map, event, published, traffic

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
POLICY = CountingPolicy()


def asked(
    name: str,
    ms: int,
    number: int,
    publisher: bytes = b"api",
    *,
    client_id: bool = True,
    received: int | None = None,
) -> Entry:
    return event(
        ms, number, ROW, publisher=publisher, id=name, client_id=client_id, received=received
    )


def counted(
    entries: Sequence[Entry], cuts: Sequence[int] = (), policy: CountingPolicy = POLICY
) -> tuple[int, int, int, dict[int, set[bytes]]]:
    """Count through checkpoints, the ids in keys of their own as in Redis: events, duplicates, dead
    letters, what is stored.
    """
    fields: dict[bytes, bytes] = {}
    stored: dict[int, bytes] = {}
    edges = sorted({0, *(cut for cut in cuts if cut < len(entries)), len(entries)})
    state = CountingState()
    for first, last in itertools.pairwise(edges):
        state = CountingState.unpack(fields, VERSIONS)
        state.ids.restore({hour: len(ids) // KEPT_BYTES for hour, ids in stored.items()})
        batch = columns.read(entries[first:last])
        moments = batch.entry_ms.tolist()
        for hour in state.ids.absent(batch.predictions, moments, policy.retire_ms):
            state.ids.hours[hour] = unpack(stored[hour])
        advance(state, batch, VERSIONS, policy)
        fields.update(state.pack_changed())
        fields = {name: packed for name, packed in fields.items() if packed}
        added, gone = state.ids.take_changes()
        for hour, digests in added.items():
            stored[hour] = stored.get(hour, b"") + b"".join(digests)
        for hour in gone:
            stored.pop(hour, None)
    counters = state.counters
    found = {hour: unpack(ids) for hour, ids in stored.items()}
    return counters.events, counters.duplicates, counters.dead, found


def test_a_retry_through_another_api_counts_once() -> None:
    """A client that asks again with its id, after its API died, is counted once: whatever publisher
    and number it got.
    """
    first, again = asked("mine", NOON, 1), asked("mine", NOON + 3_500_000, 1, b"other")
    for cuts in ((), (1,)):
        assert counted([first, again], cuts)[:2] == (1, 1)


def test_ids_that_the_api_made_are_not_remembered() -> None:
    """Without `client_id` equal ids are two events, and nothing is kept."""
    log = [asked("x", NOON, 1, client_id=False), asked("x", NOON + 1, 1, b"other", client_id=False)]
    assert counted(log) == (2, 0, 0, {})


def test_a_first_try_out_of_a_spool_counts_once() -> None:
    """A hundred requests are repeated through another API; their first tries lie in a spool for
    hours or days, and arrive with requests that were not repeated. Each is counted once, also by a
    worker that starts in between.
    """
    for late in (3 * HOUR_MS, 30 * HOUR_MS, 167 * HOUR_MS):
        again = [asked(f"r{n}", NOON + 5000, n, b"second") for n in range(1, 101)]
        first = [asked(f"r{n}", NOON + late, n, b"first", received=NOON + n) for n in range(1, 104)]
        for cuts in ((), (50, 100, 150)):
            assert counted([*again, *first], cuts)[:3] == (103, 100, 0)


def test_both_tries_out_of_spools_count_once() -> None:
    """Redis was away from both APIs: whichever spool arrives first, and whenever the other does,
    the request is counted once.
    """
    one = asked("mine", NOON + 5 * HOUR_MS, 1, b"one", received=NOON)
    two = asked("mine", NOON + 50 * HOUR_MS, 1, b"two", received=NOON + 40 * 60_000)
    for cuts in ((), (1,)):
        assert counted([one, two], cuts)[:3] == (1, 1, 0)


def test_an_id_is_new_after_an_hour_or_two() -> None:
    """An id is compared with those received within an hour of it, and kept until no spool may bring
    it any more.
    """
    hour = NOON // HOUR_MS
    log = [asked("a", NOON, 1), asked("b", NOON + HOUR_MS, 2), asked("a", NOON + 2 * HOUR_MS, 3)]
    for cuts in ((), (1,), (2,), (1, 2)):
        events, duplicates, dead, stored = counted(log, cuts)
        assert (events, duplicates, dead) == (3, 0, 0)
        assert sorted(stored) == [hour, hour + 1, hour + 2]
    log.append(asked("c", NOON + POLICY.retire_ms + 3 * HOUR_MS, 4))
    assert sorted(counted(log)[3]) == [hour + 2, hour + 3 + POLICY.retire_ms // HOUR_MS]


def test_a_clock_that_is_wrong_costs_no_event() -> None:
    """A time of reception that cannot be (before any spool, or in the future) is as good as
    none.
    """
    for wrong in (0, NOON + 10 * HOUR_MS):
        log = [asked("a", NOON, 1, received=wrong), asked("a", NOON + 1, 1, b"other")]
        assert counted(log)[:3] == (1, 1, 0)


def test_beyond_its_bound_the_oldest_hours_are_forgotten_and_that_is_told() -> None:
    """What is kept has a bound. An event of a forgotten hour is a dead letter, since nobody knows
    whether it was counted; a prompt one is always counted.
    """
    policy = CountingPolicy(client_ids_max=100)
    log = [asked(f"a{n}", NOON + n, n) for n in range(1, 81)]
    log += [asked(f"b{n}", NOON + 4 * HOUR_MS + n, n) for n in range(81, 161)]
    log.append(asked("a1", NOON + 5 * HOUR_MS, 1, b"spool", received=NOON + 1))
    log.append(asked("b81", NOON + 5 * HOUR_MS, 2, b"spool", received=NOON + 4 * HOUR_MS + 1))
    for cuts in ((), (40, 81, 100, 161)):
        events, duplicates, dead, stored = counted(log, cuts, policy)
        assert (events, duplicates, dead) == (160, 1, 1)
        assert [len(ids) for ids in stored.values()] == [80]
    many = [asked(f"c{n}", NOON + n, n) for n in range(1, 300)]
    events, _, dead, stored = counted(many, (7, 150), policy)
    assert (events, dead, sum(map(len, stored.values()))) == (299, 0, 100)


def test_an_id_of_a_dead_letter_is_still_free() -> None:
    """An event that could not be counted does not use up its id: the client's second, good try
    counts.
    """
    broken = event(NOON, 1, ["no number"], id="mine", client_id=True)
    assert counted([broken, asked("mine", NOON + 1, 2)])[:3] == (1, 0, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcde"),
            st.integers(0, HOUR_MS),
            st.booleans(),
            st.integers(0, 5 * HOUR_MS) | st.just(0),
        ),
        min_size=1,
        max_size=25,
    ),
    st.lists(st.integers(1, 24), max_size=5),
)
def test_ids_are_exact_under_any_cut(
    found: list[tuple[str, int, bool, int]], cuts: list[int]
) -> None:
    """However late they arrive, and however the log is cut into batches and commits, an id counts
    again only if it was not received in the hours around.
    """
    now, log, taken, expected = NOON, list[Entry](), set[tuple[str, int]](), 0
    for number, (name, pause, client_id, late) in enumerate(found, start=1):
        now += pause
        log.append(asked(name, now, number, client_id=client_id, received=now - late))
        hour = (now - late) // HOUR_MS
        known = client_id and any((name, near) in taken for near in (hour - 1, hour, hour + 1))
        expected += known
        if client_id and not known:
            taken.add((name, hour))
    events, duplicates, dead, stored = counted(log, cuts)
    assert (events, duplicates, dead) == (len(log) - expected, expected, 0)
    assert stored == counted(log)[3]


def test_an_id_costs_the_same_however_long_it_is() -> None:
    """A client's id of a megabyte, or with half a surrogate pair, takes 8 bytes."""
    ids = ClientIds()
    assert ids.claim("x" * 1_000_000, None, NOON, POLICY.retire_ms) == "new"
    assert ids.claim("\ud800", None, NOON, POLICY.retire_ms) == "new"
    assert {len(digest) for digest in ids.hours[NOON // HOUR_MS]} == {KEPT_BYTES}
