"""Logical time and the measured traffic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.clock import DAY_MS, Clock, Traffic
from driftgauge.consumer.counting.policy import CountingPolicy
from tests.consumer.builders import NOON, SCHEMA, cell_map, count, event, published, tick, traffic

times = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 500)), min_size=1, max_size=40)


@given(times, st.integers(0, 40))
def test_logical_time_is_the_running_maximum(steps: list[tuple[int, int]], cut: int) -> None:
    """Logical time never runs back, never ahead of entry time, and does not hang on the cuts into
    batches.
    """
    event_ms = [moment for moment, _ in steps]
    entry_ms = np.cumsum([passed for _, passed in steps]).tolist()
    expected, highest = [], 0
    for moment, entry in zip(event_ms, entry_ms, strict=True):
        highest = max(highest, min(moment, entry))
        expected.append(highest)
    clock, found = Clock(), []
    for part in (slice(0, min(cut, len(steps))), slice(min(cut, len(steps)), None)):
        if event_ms[part]:
            found += clock.advance(np.array(event_ms[part]), np.array(entry_ms[part])).tolist()
    assert found == expected
    assert (clock.logical, clock.entry) == (expected[-1], entry_ms[-1])


def test_a_tick_adds_the_entry_time_that_passed() -> None:
    """A year replayed in a minute stays a year when it ends: a tick adds seconds, it does not jump
    to today.
    """
    clock = Clock()
    clock.advance(np.array([1000]), np.array([9_000_000]))
    assert clock.tick(9_005_000) == 6000
    assert clock.tick(9_005_000) == 6000


def test_a_day_is_measured_only_when_it_was_whole() -> None:
    """The day in which a partition starts says nothing about traffic; the first whole one does."""
    traffic = Traffic()
    assert traffic.begin(10)
    traffic.count = 5
    assert not traffic.begin(10)
    assert traffic.begin(11)
    assert traffic.per_day is None
    traffic.count = 700
    assert traffic.begin(12)
    assert traffic.per_day == 700


def test_a_quiet_day_does_not_make_the_next_one_lax() -> None:
    """The rate is that of a week: a weekend with few events or none leaves the levels near what a
    week needs.
    """
    traffic = Traffic()
    for day in range(100):
        traffic.begin(day)
        traffic.count = 0 if day % 7 == 6 else 10 if day % 7 == 5 else 100_000
    assert traffic.per_day == pytest.approx(100_000 * 6 / 7, rel=0.01)
    assert len(traffic.days) == 7


def test_a_tick_before_the_first_event_does_not_make_its_day_whole() -> None:
    """A worker that waited for its first event must not take the rest of that day's traffic for a
    whole day's.
    """
    version = published()
    versions = {"1.0.0": cell_map(version)}
    rows = traffic(np.random.default_rng(1), 2)
    late = NOON // DAY_MS * DAY_MS + DAY_MS - 1000
    log = [
        tick(late - 9000),
        tick(late - 4000),
        event(late, 1, rows[0]),
        event(late + 2000, 2, rows[1]),
    ]
    counted = count(log, versions, CountingPolicy())
    assert counted.state(versions).position.traffic.per_day is None
    assert len(SCHEMA.features) == len(rows[0])
