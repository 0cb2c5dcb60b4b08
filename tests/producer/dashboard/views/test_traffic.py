import itertools

from driftgauge.producer.dashboard.views.traffic import traffic_series
from driftgauge.producer.reading.traffic.spans import DAY_MS, STRETCHES, Counted, TrafficSpans

MINUTE = 60_000


def series(*partitions: list[Counted], end: int = 60 * MINUTE) -> list[tuple[int, float | None]]:
    points: list[tuple[int, float | None]] = traffic_series(
        TrafficSpans(list(partitions), end, is_live=True)
    )["points"]
    return points


def events(points: list[tuple[int, float | None]]) -> float:
    """Events under the line, which is flat between two points of one rate."""
    pairs = itertools.pairwise(points)
    return sum(
        (later - time) / 1000 * rate
        for (time, rate), (later, other) in pairs
        if rate is not None and rate == other
    )


def test_a_silence_is_a_gap() -> None:
    """Between the last event before it and the first one after it there is no line."""
    points = series([Counted(0, 20 * MINUTE, 1200), Counted(40 * MINUTE, 60 * MINUTE, 2400)])
    drawn = [time for time, rate in points if rate is not None]
    assert not any(21 * MINUTE < time < 39 * MINUTE for time in drawn)
    assert [rate for _, rate in points].count(None) == 1
    assert {rate for time, rate in points if time < 20 * MINUTE} == {1.0}
    assert {rate for time, rate in points if time > 41 * MINUTE} == {2.0}


def test_the_line_ends_where_events_ended() -> None:
    """What was silent until now is no line at zero, nor one to the edge of the chart."""
    points = series([Counted(0, 20 * MINUTE, 1200)])
    assert points[-1][1] is None
    assert points[-1][0] < 21 * MINUTE


def test_partitions_add() -> None:
    """The rate is of the whole model: a partition alone is no gap, and two are the sum."""
    points = series([Counted(0, 60 * MINUTE, 3600)], [Counted(30 * MINUTE, 60 * MINUTE, 1800)])
    assert {rate for time, rate in points if time < 29 * MINUTE} == {1.0}
    assert {rate for time, rate in points if time > 31 * MINUTE} == {2.0}


def test_every_event_is_under_the_line_and_points_are_bounded() -> None:
    """However many panes there are the chart has few points; a day at most is shown."""
    panes = [Counted(place * 10_000, place * 10_000 + 9_000, 250) for place in range(3 * 8640)]
    points = series(panes, end=3 * DAY_MS)
    assert len(points) <= 4 * STRETCHES
    assert points[0][0] >= 2 * DAY_MS
    few = [Counted(place * 700, place * 700 + 700, place) for place in range(500)]
    assert abs(events(series(few, end=few[-1].end)) / sum(one.events for one in few) - 1) < 0.02


def test_a_burst_within_a_moment() -> None:
    """Events of one instant have a finite rate, over a second at least."""
    assert series([Counted(5, 5, 250)], end=5 + 10 * MINUTE)[0] == (5, 250.0)


def test_nothing_has_no_points() -> None:
    """Before the first event, and without partitions."""
    assert series() == []
    assert series([]) == []
