from typing import Any

import pytest

from driftgauge.producer.reading.model_state import Backlog, ModelState, PartitionState
from driftgauge.producer.watching.meter import BOUNDS_S, Meter
from driftgauge.producer.watching.traffic import Traffic, quantile_s, state_of
from driftgauge.shared.contract.counters import Counters


def state(events: int, now_ms: int = 10_000, **backlog: Any) -> ModelState:
    partition = PartitionState(
        0,
        Counters(events=events),
        {},
        owned=True,
        offset="0-0",
        backlog=Backlog(**backlog),
        dead_letters=0,
        judged="0-0",
        panes_behind=0,
    )
    return ModelState("plant", now_ms, (partition,), judging_owned=True, firing={})


def test_a_rate_is_taken_over_the_last_seconds() -> None:
    """Events a second over ten seconds; unknown at first sight and after a pause; never below 0."""
    now = 100.0
    traffic = Traffic(lambda: now)
    assert traffic.rate(state(0)) is None
    for second in range(1, 30):
        now = 100.0 + second
        rate = traffic.rate(state(50 * second, 1000 * second))
        assert rate == pytest.approx(50)
    assert traffic.latest("plant") == pytest.approx(50)
    now += 1
    assert traffic.rate(state(0)) == 0, (
        "the counters went back: Redis was restored from an older file"
    )
    now += 60
    assert traffic.latest("plant") is None
    assert traffic.rate(state(5000)) is None


def test_the_words_of_the_tiles() -> None:
    """A tile has the unit that suits its number, and says where a number is only a lower bound."""
    words = state_of(
        state(12_345, 10_000, entries=1000, exact=False, oldest_ms=8000), 3.14, Meter()
    )["words"]
    assert words["events"] == "12,345"
    assert words["rate"] == "3.1/s"
    assert words["lag"] == "2\u00a0s"
    assert words["waiting"] == "more than 1,000 waiting"
    assert words["latency99"] == "no prediction here yet"
    assert state_of(state(1), None, Meter())["words"]["rate"] == "\u2013"


def test_a_quantile_of_buckets() -> None:
    """It lies within the bucket that holds it; beyond the last bound it is that bound, a lower
    one.
    """
    buckets = [0] * (len(BOUNDS_S) + 1)
    assert quantile_s(buckets, 0.5) is None
    buckets[0] = 4
    assert quantile_s(buckets, 0.5) == pytest.approx(BOUNDS_S[0] / 2)
    buckets[-1] = 96
    assert quantile_s(buckets, 0.99) == BOUNDS_S[-1]
