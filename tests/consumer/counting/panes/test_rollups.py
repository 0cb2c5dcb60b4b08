"""Roll-ups: hours are the sums of their panes, days those of their hours, each written once and at
the same place.
"""

import itertools

import numpy as np
from hypothesis import given, settings

from driftgauge.consumer.counting.clock import DAY_MS, HOUR_MS
from driftgauge.consumer.counting.panes.open_pane import OpenBlock
from driftgauge.consumer.counting.panes.rollups import RollUps, first_kept, mark
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.pane import (
    Alarm,
    Pane,
    RollUp,
    decode_rollup,
    encode,
    unpack_counts,
)
from tests.consumer.builders import NOON, Counted, cell_map, count, event, published, tick, traffic
from tests.consumer.counting.test_advance import POLICY, VERSIONS, random_log, seeds


def of_span(counted: Counted, span: str) -> list[RollUp]:
    return [rolled for name, rolled in counted.rollups if name == span]


def summed(
    panes: list[Pane], version: str
) -> tuple[list[int], list[int], list[int], int, dict[str, int]]:
    """Sum a version's blocks of some panes."""
    blocks = [pane.blocks[version] for pane in panes if version in pane.blocks]
    sources = {
        name: sum(block.sources.get(name, 0) for block in blocks)
        for name in sorted({n for b in blocks for n in b.sources})
    }
    return (
        np.sum([unpack_counts(block.cells) for block in blocks], axis=0).tolist(),
        np.sum([unpack_counts(block.latency) for block in blocks], axis=0).tolist(),
        np.sum(
            [unpack_counts(block.segments) for block in blocks if block.segments], axis=0
        ).tolist(),
        sum(block.rows for block in blocks),
        sources,
    )


def check(rolled: RollUp, parts: list[Pane]) -> None:
    """Compare a roll-up with the sum of what is in it."""
    assert rolled.pane.events == sum(pane.events for pane in parts)
    assert (rolled.pane.start, rolled.pane.end) == (parts[0].start, parts[-1].end)
    assert (rolled.pane.number, rolled.pane.total) == (parts[-1].number, parts[-1].total)
    assert set(rolled.pane.blocks) == {version for pane in parts for version in pane.blocks}
    for version in rolled.pane.blocks:
        assert summed([rolled.pane], version) == summed(parts, version)


@settings(max_examples=15)
@given(seeds)
def test_hours_are_sums_of_panes_and_days_of_hours(seed: int) -> None:
    """Every closed pane is in exactly one hour, written or running, by the hour in which it starts;
    every written hour is in exactly one day; cells, latencies, segments, rows and sources add.
    """
    counted = count(random_log(seed).entries, VERSIONS, POLICY)
    hours, days = of_span(counted, "hour"), of_span(counted, "day")
    running = counted.state(VERSIONS).rollups.open
    done = 0
    for rolled in hours:
        assert rolled.first == done + 1
        parts = counted.closed[done : rolled.pane.number]
        assert len({pane.start // HOUR_MS for pane in parts}) == 1
        check(rolled, parts)
        done = rolled.pane.number
    rest = counted.closed[done:]
    assert ("hour" in running and running["hour"].last > 0) == bool(rest)
    if rest:
        check(running["hour"].closed(), rest)
    done = 0
    for rolled in days:
        parts = [hour.pane for hour in hours if done < hour.pane.number <= rolled.pane.number]
        assert {pane.start // DAY_MS for pane in parts} == {rolled.pane.start // DAY_MS}
        check(rolled, parts)
        done = rolled.pane.number
    assert [hour.pane.start // HOUR_MS for hour in hours] == sorted(
        {hour.pane.start // HOUR_MS for hour in hours}
    )


def test_an_hour_without_further_events_is_written_at_a_tick() -> None:
    """A feed that stops does not keep its last hour from being written, nor its last day."""
    version = {"1.0.0": cell_map(published(rows=600))}
    rows = traffic(np.random.default_rng(0), 40)
    log = [event(NOON + 1000 * place, place + 1, row) for place, row in enumerate(rows)]
    policy = CountingPolicy(pane_events=20)
    assert not count(log, version, policy).rollups
    hour = count([*log, tick(NOON + HOUR_MS)], version, policy)
    assert [(name, rolled.pane.events) for name, rolled in hour.rollups] == [("hour", 40)]
    day = count([*log, tick(NOON + HOUR_MS), tick(NOON + DAY_MS)], version, policy)
    assert [(name, rolled.pane.events) for name, rolled in day.rollups] == [
        ("hour", 40),
        ("day", 40),
    ]
    assert day.rollups[1][1].first == 1
    assert "day" not in day.state(version).rollups.open


def test_the_first_and_the_latest_alarm_of_a_column_are_kept() -> None:
    """An hour of alarms costs no more than two for each column and detector, and says how many
    there were.
    """
    version = {"1.0.0": cell_map(published(rows=2000))}
    rows = traffic(np.random.default_rng(1), 300) + traffic(
        np.random.default_rng(2), 3000, shift=3.0
    )
    log = [event(NOON + 500 * place, place + 1, row) for place, row in enumerate(rows)]
    policy = CountingPolicy(expected_events_per_day=5000, detectors=("e_detector", "adwin"))
    counted = count([*log, tick(NOON + DAY_MS)], version, policy)
    alarms = [entry for _, _, entry in counted.panes if isinstance(entry, Alarm)]
    (hour,), (day,) = of_span(counted, "hour"), of_span(counted, "day")
    assert hour.alarms == day.alarms == len(alarms) > len(hour.kept)
    assert hour.kept == day.kept
    for _, group in itertools.groupby(sorted(alarms, key=_column), key=_column):
        found = list(group)
        ends = [found[0]] if len(found) == 1 else [found[0], found[-1]]
        assert [alarm for alarm in hour.kept if _column(alarm) == _column(found[0])] == ends
    assert decode_rollup(encode(hour)) == hour


def _column(alarm: Alarm) -> tuple[str, str]:
    return alarm.detector, alarm.column


def test_ages_are_of_entry_time_and_bounded() -> None:
    """A year that is replayed in a minute is as old as the minute, so nothing of it is trimmed
    before its time.
    """
    rollups = RollUps()
    for day, number in ((100, 7), (100, 9), (101, 20), (115, 30)):
        mark(rollups.ages["hour"], day, number)
    assert rollups.first_kept("hour", 14, 114 * DAY_MS) == 0
    assert rollups.first_kept("hour", 14, 115 * DAY_MS) == 20
    assert rollups.ages["hour"] == [(101, 20), (115, 30)]
    assert rollups.changed == {b"ages"}


def test_what_is_wholly_too_old_goes_with_the_next_entry() -> None:
    """After a long silence the old entries are not forgotten: they are trimmed once a young one
    stands behind them.
    """
    marks = [(4, 1), (5, 12)]
    assert first_kept(marks, 50) == 0
    mark(marks, 60, 99)
    assert first_kept(marks, 50) == 99


def test_counts_of_probabilities_add_too() -> None:
    """A block's copy and sum have the counts of the probabilities, and leave those of the parts as
    they were.
    """
    one, other = (
        OpenBlock(np.ones(3, dtype=np.int64), scores=np.array([number, 2])) for number in (1, 5)
    )
    total, plain = one.copy(), OpenBlock(np.ones(3, dtype=np.int64))
    total.add(other)
    plain.add(one)
    total.add(plain)
    assert total.scores is not None
    assert total.scores.tolist() == [7, 6]
    assert one.scores is not None
    assert one.scores.tolist() == [1, 2]
    assert OpenBlock.unpack(total.pack()).scores.tolist() == [7, 6]  # type: ignore[union-attr]
