"""Which traces a pane names, and which an alert: few, and the same however the log is cut."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.pane import (
    MOST_TRACES,
    Block,
    OddValues,
    encode,
    slowest_of,
)
from tests.consumer.builders import NOON, Counted, cell_map, count, event, published, traffic

VERSIONS = {"1.0.0": cell_map(published())}
POLICY = CountingPolicy(pane_events=250, detectors=("integrity",))
SMOOTH, DISCRETE, ABSENT = 0, 1, 4
PAIRS = st.lists(st.tuples(st.integers(0, 9).map(float), st.sampled_from("abcdefgh")), max_size=12)


def trace(number: int) -> str:
    return f"{number:032x}"


def log(seed: int, every: int = 3) -> list[Any]:
    """1,000 events, of which each third is traced; some with a broken or a missing value, some that
    do not count for drift, one with a trace that another hand wrote.
    """
    random = np.random.default_rng(seed)
    rows = traffic(random, 1000)
    found = []
    for number, row in enumerate(rows, start=1):
        if number % 30 == 0:
            row[SMOOTH] = -999.0
        if number % 45 == 0:
            row[DISCRETE] = None
        carried = f"{trace(number)}-{number:016x}" if number % every == 0 else None
        more: dict[str, object] = {"trace": "=cmd()" if number == 6 else carried}
        more |= {"source": "shadow"} if number % 60 == 0 else {}
        latency = float(random.integers(1, 50))
        found.append(event(NOON + 10 * number, number, row, latency_ms=latency, **more))
    return found


def blocks(counted: Counted) -> list[Block]:
    return [pane.blocks["1.0.0"] for pane in counted.closed]


def test_a_pane_names_traces_of_broken_values() -> None:
    """The first ones that had a value which the reference does not have, and the first ones without
    a value, of the rows that count for drift.
    """
    first = blocks(count(log(1), VERSIONS, POLICY))[0]
    assert first.odd[SMOOTH].traces == tuple(trace(number) for number in (30, 90, 150))
    assert first.odd[DISCRETE] == OddValues(missing=tuple(map(trace, (45, 90, 135))))
    assert first.odd[ABSENT].missing == tuple(map(trace, (3, 9, 12)))  # that of 6 is none


def test_a_pane_names_its_slowest_traces() -> None:
    """Those with the highest latency among the traced ones that count."""
    for place, block in enumerate(blocks(count(log(2), VERSIONS, POLICY))):
        assert len(block.slowest) == MOST_TRACES
        latencies = [latency for latency, _ in block.slowest]
        assert latencies == sorted(latencies, reverse=True)
        numbers = [int(name, 16) for _, name in block.slowest]
        assert all(250 * place < number <= 250 * (place + 1) for number in numbers)
        assert not [number for number in numbers if number % 60 == 0 or number == 6]


@pytest.mark.parametrize("cuts", [(1,), (30, 31, 90, 250, 251), tuple(range(0, 1000, 7))])
def test_cuts_change_nothing(cuts: tuple[int, ...]) -> None:
    """However the log is cut, panes and checkpoint are the same bytes."""
    whole, parts = (count(log(3), VERSIONS, POLICY, one) for one in ((), cuts))
    assert [encode(entry) for _, _, entry in parts.panes] == [
        encode(entry) for _, _, entry in whole.panes
    ]
    assert parts.fields == whole.fields


def test_without_traces_a_pane_names_none() -> None:
    """Most traffic has none."""
    for block in blocks(count(log(4, every=2000)[6:], VERSIONS, POLICY)):
        assert block.slowest == ()
        assert not any(odd.traces or odd.missing for odd in block.odd.values())


@given(PAIRS, PAIRS, PAIRS)
def test_the_slowest_are_a_sum(
    one: list[tuple[float, str]], two: list[tuple[float, str]], three: list[tuple[float, str]]
) -> None:
    """In whatever parts and order they are added, they are the slowest of all."""
    whole = slowest_of([*one, *two, *three])
    assert slowest_of([*slowest_of([*slowest_of(one), *two]), *three]) == whole
    assert slowest_of([*slowest_of([*three, *one]), *slowest_of(two)]) == whole
    assert len(whole) <= MOST_TRACES
