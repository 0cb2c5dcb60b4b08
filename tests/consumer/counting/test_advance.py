"""Panes: the algebra of counting, over logs with every kind of entry."""

import gc
import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.panes.cells import LATENCY_EDGES_MS, CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.contract.pane import Alarm, Watermark, decode, encode, unpack_counts
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from tests.consumer.builders import (
    NOON,
    SCHEMA,
    cell_map,
    cells_by_comparison,
    count,
    event,
    payload_of,
    published,
    raw,
    tick,
    traffic,
)

POLICY = CountingPolicy(pane_events=20, pane_seconds=600, expected_events_per_day=50)
VERSIONS: dict[str, CellMap] = {
    "1.0.0": cell_map(published("1.0.0", seed=0, rows=600, segments=("city",))),
    "2.0.0": cell_map(published("2.0.0", seed=1, rows=300)),
}


@dataclass
class Log:
    """A log of every kind of entry, and beside it what an oracle says of it."""

    entries: list[Entry] = field(default_factory=list)
    fresh: list[Entry] = field(default_factory=list)
    """The good predictions, each once, in order."""


def random_log(seed: int, length: int = 220) -> Log:
    """Draw a log with duplicates, dead letters, ticks, midnights, two versions, three sources, two
    publishers.
    """
    random = np.random.default_rng(seed)
    log, now = Log(), NOON + int(random.integers(0, DAY_MS))
    numbers = {b"api": 0, b"spool:a": 0}
    rows = traffic(random, length // 2, missing=0.1) + traffic(
        random, length - length // 2, shift=3.0
    )
    for place, row in enumerate(rows):
        now += int(
            random.choice([0, 1, 40, 900, 30_000, 5_000_000], p=[0.3, 0.2, 0.3, 0.15, 0.03, 0.02])
        )
        publisher = list(numbers)[int(random.random() < 0.2)]
        kind = random.random()
        if kind < 0.05:
            log.entries.append(tick(now, place))
        elif kind < 0.09 and log.fresh:
            fields = log.fresh[int(random.integers(len(log.fresh)))][1]
            log.entries.append((f"{now}-{place}".encode(), fields))
        else:
            numbers[publisher] += 1 + int(random.random() < 0.05)
            entry_id, number = f"{now}-{place}", numbers[publisher]
            if kind < 0.12:
                log.entries.append(raw(entry_id, number, b"{", publisher))
            elif kind < 0.13:
                log.entries.append((entry_id.encode(), [b"t", b"?"]))
            else:
                version = "9.0.0" if kind < 0.14 else "2.0.0" if random.random() < 0.3 else "1.0.0"
                source = str(random.choice(["online", "batch", "shadow"], p=[0.8, 0.1, 0.1]))
                late = now + int(random.choice([0, -50, -DAY_MS, 3600_000], p=[0.7, 0.1, 0.1, 0.1]))
                latency = None if random.random() < 0.3 else float(random.lognormal())
                _, fields = event(
                    late, number, row, version, publisher, source=source, latency_ms=latency
                )
                entry = (entry_id.encode(), fields)
                log.entries.append(entry)
                log.fresh += [entry] if version != "9.0.0" else []
    return log


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=15)
@given(seeds, st.lists(st.integers(1, 219), max_size=6))
def test_cuts_change_nothing(seed: int, cuts: list[int]) -> None:
    """advance(a + b) is advance(a), a checkpoint, advance(b): outputs and packed state are the same
    bytes.
    """
    log = random_log(seed)
    decoder = VERSIONS["1.0.0"].decoder
    whole, parts = (
        count(log.entries, VERSIONS, POLICY, found, way)
        for found, way in (((), None), (cuts, decoder))
    )
    assert [(number, place, encode(entry)) for number, place, entry in parts.panes] == [
        (number, place, encode(entry)) for number, place, entry in whole.panes
    ]
    assert (parts.rollups, parts.dead) == (whole.rollups, whole.dead)
    assert parts.fields == whole.fields


def test_entry_by_entry_changes_nothing() -> None:
    """The same for the finest cut of all, and the log has everything in it that a cut could
    disturb.
    """
    log = random_log(7, length=400)
    whole, single = (count(log.entries, VERSIONS, POLICY, cuts) for cuts in ((), range(400)))
    assert single == whole
    kinds = {type(entry) for _, _, entry in whole.panes}
    assert {Alarm, Watermark} < kinds
    counters = whole.state(VERSIONS).counters
    assert (
        min(counters.duplicates, counters.dead, counters.missing, *counters.versions.values()) > 0
    )


def test_a_step_leaves_nothing_to_the_garbage_collector() -> None:
    """A batch goes when its step is done: batches that wait for the collector take memory, and time
    at every collection.
    """
    log, state = random_log(7, length=400), CountingState()
    gc.collect()
    gc.disable()
    try:
        outputs = advance(state, columns.read(log.entries), VERSIONS, POLICY)
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert outputs.panes


@settings(max_examples=15)
@given(seeds)
def test_panes_and_open_pane_sum_to_the_batch_result(seed: int) -> None:
    """Every cell of every column holds what comparing each value with each cut in one go would
    count.
    """
    log = random_log(seed)
    counted = count(log.entries, VERSIONS, POLICY)
    payloads = [payload_of(entry) for entry in log.fresh]
    for version, cells in counted.cells(VERSIONS).items():
        mine = [payload for payload in payloads if payload["version"] == version]
        online = [payload for payload in mine if payload.get("source", "online") == "online"]
        for place, reference in enumerate(VERSIONS[version].reference.columns):
            columns = [[*payload["features"], payload["prediction"]] for payload in online]  # type: ignore[misc]
            values = [row[place] for row in columns]
            part = cells[VERSIONS[version].offsets[place] : VERSIONS[version].offsets[place + 1]]
            assert part.tolist() == _expected(values, reference), reference.name
        assert counted.state(VERSIONS).counters.versions.get(version, 0) == len(mine)
    assert counted.state(VERSIONS).counters.events == len(payloads)


def _expected(
    values: list[object], reference: NumericReference | CategoricalReference
) -> list[int]:
    if isinstance(reference, NumericReference):
        return cells_by_comparison(values, reference)  # type: ignore[arg-type]
    known = [*reference.categories, *reference.other]
    return [
        *(values.count(name) for name in reference.categories),
        sum(value in reference.other for value in values),
        sum(value is not None and value not in known for value in values),
        values.count(None),
    ]


@settings(max_examples=15)
@given(seeds)
def test_a_pane_never_spans_a_midnight(seed: int) -> None:
    """Days are sums of panes; and panes neither overlap nor leave an event out."""
    log = random_log(seed)
    counted = count(log.entries, VERSIONS, POLICY)
    times, highest, before = list[int](), 0, 0
    for entry_id, fields in log.entries:
        now = int(entry_id.split(b"-")[0])
        if fields == [b"t", b"k"]:
            highest += max(0, now - before) if times or highest else 0
        elif any(entry_id == fresh[0] for fresh in log.fresh):
            highest = max(highest, min(int(payload_of((entry_id, fields))["time"]), now))  # type: ignore[call-overload]
            times.append(highest)
        before = now
    first = 0
    for number, pane in enumerate(counted.closed, start=1):
        assert (pane.number, pane.events, pane.start) == (number, pane.total - first, times[first])
        assert times[first] // DAY_MS == times[pane.total - 1] // DAY_MS
        assert times[pane.total - 1] <= pane.end <= (times[first] // DAY_MS + 1) * DAY_MS
        first = pane.total
    open_pane = counted.state(VERSIONS).pane
    assert first + (open_pane.events if open_pane else 0) == len(times)
    assert not open_pane or times[first] // DAY_MS == times[-1] // DAY_MS


def test_latency_and_sources_are_counted() -> None:
    """Every source is counted and every latency binned; only online predictions count for drift."""
    log = random_log(3)
    counted = count(log.entries, VERSIONS, POLICY)
    latency, sources, rows = np.zeros(len(LATENCY_EDGES_MS) + 1, dtype=int), dict[str, int](), 0
    state = counted.state(VERSIONS)
    open_blocks = state.pane.blocks.values() if state.pane else ()
    blocks = [block for pane in counted.closed for block in pane.blocks.values()] + [
        block.pack() for block in open_blocks
    ]
    for block in blocks:
        latency += unpack_counts(block.latency)
        rows += block.rows
        for name, number in block.sources.items():
            sources[name] = sources.get(name, 0) + number
    payloads = [payload_of(entry) for entry in log.fresh]
    expected = [
        payload["latency_ms"] for payload in payloads if payload.get("latency_ms") is not None
    ]
    bounds = np.array([-np.inf, *LATENCY_EDGES_MS, np.inf])
    assert latency.tolist() == [
        sum(low < value <= high for value in expected)  # type: ignore[operator]
        for low, high in itertools.pairwise(bounds)
    ]
    names = [str(payload.get("source", "online")) for payload in payloads]
    assert sources == {name: names.count(name) for name in sorted(set(names))}
    assert rows == names.count("online")


@pytest.mark.parametrize("batch_counts", [False, True])
def test_batches_count_for_drift_only_if_the_version_says_so(batch_counts: bool) -> None:  # noqa: FBT001  a parameter
    """Predictions of a batch are counted as events, and move cells, detectors and traffic only if
    they count for drift.
    """
    found = published("1.0.0", seed=0, rows=600)
    versions = {"1.0.0": CellMap(found.schema, found.reference, batch_counts=batch_counts)}
    random = np.random.default_rng(4)
    shifted = [
        event(NOON + number, number, row, source="batch")
        for number, row in enumerate(traffic(random, 400, shift=3.0), start=1)
    ]
    online = [
        event(NOON + 500 + number, 400 + number, row)
        for number, row in enumerate(traffic(random, 40), start=1)
    ]
    shadow = event(NOON + 600, 441, traffic(random, 1)[0], source="shadow")
    counted = count([*shifted, *online, shadow, tick(NOON + 10_000_000)], versions, POLICY)
    state = counted.state(versions)
    expected = 440 if batch_counts else 40
    assert state.counters.events == 441
    assert sum(pane.blocks["1.0.0"].rows for pane in counted.closed) == expected
    assert counted.cells(versions)["1.0.0"].sum() == expected * len(found.reference.columns)
    assert state.position.traffic.count == expected
    assert any(isinstance(entry, Alarm) for _, _, entry in counted.panes) == batch_counts


@pytest.mark.parametrize("spacing", [0, 3, 400])
def test_a_pane_closes_when_full_and_a_second_old(spacing: int) -> None:
    """Judging sees at most a pane a second, and no pane waits longer than it must."""
    rows = traffic(np.random.default_rng(0), 900)
    log = [event(NOON + spacing * number, number + 1, row) for number, row in enumerate(rows)]
    panes = count(log, VERSIONS, CountingPolicy(pane_events=100)).closed
    expected = {0: 0, 3: 900 // 335, 400: 9}[spacing]
    assert len(panes) == expected
    assert all(pane.end - pane.start >= 1000 for pane in panes)


def test_a_full_pane_with_a_clock_that_stands_still_closes_at_a_tick() -> None:
    """A shuffled file or a frozen clock stalls nothing: the tick that is due closes the full
    pane.
    """
    rows = traffic(np.random.default_rng(0), 120)
    log = [event(NOON, number + 1, row) for number, row in enumerate(rows)]
    counted = count([*log, tick(NOON, 500)], VERSIONS, CountingPolicy(pane_events=100))
    assert [pane.events for pane in counted.closed] == [120]


def test_an_old_pane_closes_at_a_tick() -> None:
    """A stream that falls silent still gets its last pane, when it is `pane_seconds` old."""
    row = traffic(np.random.default_rng(0), 1)[0]
    log = [event(NOON, 1, row), tick(NOON + 599_999), tick(NOON + 600_000)]
    counted = count(log, VERSIONS, POLICY)
    assert [(pane.start, pane.end, pane.events) for pane in counted.closed] == [
        (NOON, NOON + 600_000, 1)
    ]
    assert [(number, place) for number, place, _ in counted.panes] == [(0, 1), (1, 0), (1, 1)]


def test_panes_are_numbered_without_a_gap() -> None:
    """Pane n has the id n-0 and what follows it n-1, n-2, …: so nothing can be written twice."""
    panes = count(random_log(11, length=500).entries, VERSIONS, POLICY).panes
    ids = [(number, place or 0) for number, place, _ in panes]
    assert ids == sorted(set(ids))
    expected = []
    for number, place in ids:
        expected.append((number, 0) if not place else (expected[-1][0] if expected else 0, place))
    assert ids == expected
    assert [number for number, place in ids if not place] == list(range(1, ids[-1][0] + 1))
    assert all(decode(encode(entry)) == entry for _, _, entry in panes)


def test_measured_traffic_reaches_the_panes() -> None:
    """Judging's significance levels come from the last whole logical day's events, once there was
    one.
    """
    row = traffic(np.random.default_rng(0), 1)[0]
    midnight = NOON // DAY_MS * DAY_MS
    times = [midnight + hour * 3_600_000 for hour in (20, 25, 26, 27, 49, 50)]
    log = [event(ms, number, row) for number, ms in enumerate(times, start=1)]
    panes = count(log, VERSIONS, CountingPolicy(pane_seconds=1)).closed
    assert [pane.events_per_day for pane in panes if pane.start >= midnight + 2 * DAY_MS] == [3.0]
    assert {pane.events_per_day for pane in panes if pane.end < midnight + 2 * DAY_MS} == {None}
    assert SCHEMA.names[0] == "smooth"
