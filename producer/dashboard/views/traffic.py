"""Traffic over time as a chart draws it: steps of one rate, gaps where no event came. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from driftgauge.producer.reading.traffic.spans import DAY_MS, STRETCHES, Counted, TrafficSpans

LEAST_MS: Final = 1000
"""Shortest time (ms) that has a rate of its own: fewer events are no rate."""
Point = tuple[int, float | None]
"""Time (ms) and events a second; None where the line breaks."""


def traffic_series(spans: TrafficSpans) -> dict[str, Any]:
    """Return the chart's points, at most four for each of its steps.

    Parameters
    ----------
    spans
        When events came, by partition.

    Examples
    --------
    >>> one = [Counted(0, 60_000, 600), Counted(120_000, 180_000, 60)]
    >>> found = traffic_series(TrafficSpans([one], 180_000, is_live=True))
    >>> found["points"][0], found["points"][-1], None in [rate for _, rate in found["points"]]
    ((0, 10.0), (180000, 1.0), True)
    """
    first = min((part[0].start for part in spans.partitions if part), default=spans.end)
    start = max(first, spans.end - DAY_MS)
    step = max(LEAST_MS, -(-(spans.end - start) // STRETCHES))
    number = max(1, -(-(spans.end - start) // step))
    edges = [min(start + place * step, spans.end) for place in range(number + 1)]
    return {
        "name": "events a second",
        "points": _points(edges, _rates(spans.partitions, edges, step)),
        "end": spans.end,
        "live": spans.is_live,
    }


def _rates(
    partitions: Sequence[Sequence[Counted]], edges: Sequence[int], step: int
) -> list[float | None]:
    """Return the rate of each step; None where no event came."""
    events, covered = [0.0] * (len(edges) - 1), [0.0] * (len(edges) - 1)
    most = len(covered) - 1
    for part in partitions:
        of_part = [0.0] * len(covered)
        for one in part:
            end = max(one.end, one.start + LEAST_MS)
            first, last = (
                min(max((time - edges[0]) // step, 0), most) for time in (one.start, end - 1)
            )
            for place in range(first, last + 1):
                later = end if place == most else min(end, edges[place + 1])
                within = max(later - max(one.start, edges[place]), 0)
                events[place] += one.events * within / (end - one.start)
                of_part[place] += within
        covered = [max(pair) for pair in zip(covered, of_part, strict=True)]
    return [
        round(1000 * count / min(time, step), 3) if time else None
        for count, time in zip(events, covered, strict=True)
    ]


def _points(edges: Sequence[int], rates: Sequence[float | None]) -> list[Point]:
    """Return the line: each step from edge to edge, and a break before each gap."""
    found: list[Point] = []
    for place, rate in enumerate(rates):
        if rate is not None:
            found += [(edges[place], rate), (edges[place + 1], rate)]
        elif found and found[-1][1] is not None:
            found.append((edges[place], None))
    return found
