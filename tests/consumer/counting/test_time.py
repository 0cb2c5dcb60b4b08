"""Clocks that jump: of Redis (entry ids), of the API (event times), an hour back or forth."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.clock import DAY_MS, HOUR_MS
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.pane import Pane, Watermark
from tests.consumer.builders import NOON, cell_map, count, event, published, tick, traffic

POLICY = CountingPolicy(pane_events=20, pane_seconds=600)
VERSIONS: dict[str, CellMap] = {"1.0.0": cell_map(published(rows=300))}
ROWS = traffic(np.random.default_rng(0), 120)

jumps = st.lists(st.tuples(st.integers(0, 119), st.sampled_from([-HOUR_MS, HOUR_MS])), max_size=4)


def clock(jumps_at: list[tuple[int, int]]) -> list[int]:
    """Return the readings of a clock, one every 100 ms, that jumps at some of them."""
    steps = np.full(len(ROWS), 100)
    for place, jump in jumps_at:
        steps[place] += jump
    return (NOON + np.cumsum(steps)).tolist()


def log_of(server: list[tuple[int, int]], api: list[tuple[int, int]]) -> list[Entry]:
    """Make a log as Redis would: its ids never go back, whatever its clock does. Every tenth entry
    is sent twice.
    """
    entry_ms = np.maximum.accumulate(clock(server)).tolist()
    log: list[Entry] = []
    for number, (row, id_ms, time) in enumerate(
        zip(ROWS, entry_ms, clock(api), strict=True), start=1
    ):
        fields = event(time, number, row)[1]
        log.append((f"{id_ms}-{len(log)}".encode(), fields))
        if number % 10 == 0:
            log.append((f"{id_ms}-{len(log)}".encode(), fields))
            log.append(tick(id_ms, len(log)))
    return log


@settings(max_examples=15)
@given(jumps, jumps, st.lists(st.integers(1, 143), max_size=4))
def test_jumping_clocks_change_no_count(
    server: list[tuple[int, int]], api: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Every cell holds what it holds with clocks that run straight; duplicates and losses are the
    same.
    """
    log = log_of(server, api)
    jumped, calm = count(log, VERSIONS, POLICY, cuts), count(log_of([], []), VERSIONS, POLICY)
    assert jumped.cells(VERSIONS)["1.0.0"].tolist() == calm.cells(VERSIONS)["1.0.0"].tolist()
    counters = jumped.state(VERSIONS).counters
    assert (
        counters.events,
        counters.duplicates,
        counters.dead,
        counters.missing,
        counters.lost,
    ) == (120, 12, 0, 0, 0)
    assert jumped == count(log, VERSIONS, POLICY)


@settings(max_examples=15)
@given(jumps, jumps)
def test_jumping_clocks_reorder_nothing(
    server: list[tuple[int, int]], api: list[tuple[int, int]]
) -> None:
    """Panes follow each other in number, time and events, and watermarks never go back: the merge
    can rely on it.
    """
    panes = count(log_of(server, api), VERSIONS, POLICY).panes
    ends = [
        entry.end if isinstance(entry, Pane) else entry.time
        for _, _, entry in panes
        if isinstance(entry, Pane | Watermark)
    ]
    assert ends == sorted(ends)
    totals = [entry.total for _, _, entry in panes]
    assert totals == sorted(totals)
    closed = [entry for _, _, entry in panes if isinstance(entry, Pane)]
    assert [pane.number for pane in closed] == list(range(1, len(closed) + 1))
    assert all(
        pane.start <= pane.end and pane.start // DAY_MS == (pane.end - 1) // DAY_MS
        for pane in closed
    )


@settings(max_examples=15)
@given(jumps, jumps)
def test_jumping_clocks_stall_no_pane(
    server: list[tuple[int, int]], api: list[tuple[int, int]]
) -> None:
    """A full pane closes at the next tick at the latest, wherever the clocks stand."""
    log = log_of(server, api)
    for length in range(len(log) - 12, len(log) + 1):
        if log[length - 1][1] == [b"t", b"k"]:
            open_pane = count(log[:length], VERSIONS, POLICY).state(VERSIONS).pane
            assert open_pane is None or open_pane.events < POLICY.pane_events
