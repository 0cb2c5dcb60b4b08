"""Ids that clients supplied."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.client_ids import HOUR_MS, ClientIds
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState, id_hours_of
from tests.consumer.builders import NOON, cell_map, event, published, traffic

VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]
POLICY = CountingPolicy()


def asked(
    name: str, ms: int, number: int, publisher: bytes = b"api", *, client_id: bool = True
) -> Entry:
    return event(ms, number, ROW, publisher=publisher, id=name, client_id=client_id)


def counted(
    entries: Sequence[Entry], cuts: Sequence[int] = ()
) -> tuple[int, int, dict[int, set[bytes]]]:
    """Count through checkpoints, the ids in keys of their own as in Redis: events, duplicates, what
    is stored.
    """
    fields: dict[bytes, bytes] = {}
    stored: dict[int, set[bytes]] = {}
    edges = sorted({0, *(cut for cut in cuts if cut < len(entries)), len(entries)})
    state = CountingState()
    for first, last in itertools.pairwise(edges):
        state = CountingState.unpack(fields, VERSIONS)
        state.ids.hours = {hour: set(stored.get(hour, ())) for hour in id_hours_of(state)}
        advance(state, columns.read(entries[first:last]), VERSIONS, POLICY)
        fields.update(state.pack_changed())
        fields = {name: packed for name, packed in fields.items() if packed}
        added, gone = state.ids.take_changes()
        for hour, digests in added.items():
            stored.setdefault(hour, set()).update(digests)
        for hour in gone:
            stored.pop(hour, None)
    return (
        state.counters.events,
        state.counters.duplicates,
        {hour: ids for hour, ids in stored.items() if ids},
    )


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
    assert counted(log) == (2, 0, {})


def test_an_id_is_forgotten_after_two_hours() -> None:
    """What is kept is bounded: after the second hour the same id is a new event, and the old hours
    are deleted.
    """
    hour = NOON // HOUR_MS
    log = [asked("a", NOON, 1), asked("b", NOON + HOUR_MS, 2), asked("a", NOON + 2 * HOUR_MS, 3)]
    for cuts in ((), (1,), (2,), (1, 2)):
        events, duplicates, stored = counted(log, cuts)
        assert (events, duplicates) == (3, 0)
        assert sorted(stored) == [hour + 1, hour + 2]


def test_an_id_of_a_dead_letter_is_still_free() -> None:
    """An event that could not be counted does not use up its id: the client's second, good try
    counts.
    """
    broken = event(NOON, 1, ["no number"], id="mine", client_id=True)
    assert counted([broken, asked("mine", NOON + 1, 2)])[:2] == (1, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(0, HOUR_MS), st.booleans()),
        min_size=1,
        max_size=25,
    ),
    st.lists(st.integers(1, 24), max_size=5),
)
def test_ids_are_exact_under_any_cut(found: list[tuple[str, int, bool]], cuts: list[int]) -> None:
    """However the log is cut into batches and commits, an id counts again only when its hour and
    the next have passed.
    """
    now, log, last, expected = NOON, list[Entry](), dict[str, int](), 0
    for number, (name, pause, client_id) in enumerate(found, start=1):
        now += pause
        log.append(asked(name, now, number, client_id=client_id))
        known = client_id and name in last and last[name] >= now // HOUR_MS - 1
        expected += known
        if client_id and not known:
            last[name] = now // HOUR_MS
    events, duplicates, stored = counted(log, cuts)
    assert (events, duplicates) == (len(log) - expected, expected)
    assert stored == counted(log)[2]


def test_an_id_costs_the_same_however_long_it_is() -> None:
    """A client's id of a megabyte, or with half a surrogate pair, takes 16 bytes."""
    ids = ClientIds()
    assert ids.claim("x" * 1_000_000, NOON)
    assert ids.claim("\ud800", NOON)
    assert {len(digest) for digest in ids.hours[NOON // HOUR_MS]} == {16}
