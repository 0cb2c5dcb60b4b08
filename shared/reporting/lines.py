"""The charts of points and lines: a statistic over time, a sparkline, a Q-Q plot. Numbers in, SVG
markup out.

Classes: `line` the statistic, `limit warning` and `limit critical` its thresholds, `mark` an
alert's begin, `dots` and `diagonal` of the Q-Q plot.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from markupsafe import Markup

from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.reporting.canvas import (
    AXIS_HEIGHT,
    WIDTH,
    Scale,
    at,
    axis,
    has_width,
    picture,
    scale,
)
from driftgauge.shared.wording.numbers import decimal
from driftgauge.shared.wording.plain import TITLE_CELLS, clip
from driftgauge.shared.wording.times import minute, moment

_LEFT, _TOP, _HEIGHT = 40, 14, 102
_SPARK_WIDTH, _SPARK_HEIGHT = 72, 18
_QQ_HEIGHT = 116
_LINE_HEIGHT = 12
_SHORT_MS = 600_000
"""Time span (ms) below which its ends are labelled with seconds."""


class Mark(NamedTuple):
    """The start of an alert on a line: logical time (ms), severity, and a label."""

    time: int
    severity: AlertSeverity
    label: str


def over_time(
    times: Sequence[int],
    values: Sequence[float | None],
    warning: float | None = None,
    critical: float | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """Draw a statistic over time with its thresholds and the starts of alerts; empty markup without
    two points.

    Parameters
    ----------
    times
        Logical times (ms), ascending.
    values
        Value at each time; None, NaN and infinity leave a gap.
    marks
        Starts of alerts; those outside the times are left out.

    Examples
    --------
    >>> chart = over_time(
    ...     [0, 60_000, 120_000], [0.02, None, 0.3], 0.1, 0.25, [Mark(60_000, "warning", "psi")]
    ... )
    >>> chart.count("limit"), chart.count("mark warning")
    (2, 1)
    >>> over_time([0], [0.1])
    Markup('')
    """
    points = [(time, value) for time, value in zip(times, values, strict=True) if _is_drawn(value)]
    if len(points) < 2 or times[-1] <= times[0]:
        return Markup("")
    limits = [
        (kind, limit)
        for kind, limit in (("warning", warning), ("critical", critical))
        if _is_drawn(limit)
    ]
    top = max(value for _, value in (*points, *limits)) * 1.08 or 1.0
    x = scale(times[0], times[-1], _LEFT, WIDTH - 4)
    y = scale(0, top, _TOP + _HEIGHT, _TOP)
    body = [
        _frame(times, x, top),
        *_limits(limits, y),
        *(_mark(mark, x) for mark in marks if times[0] <= mark.time <= times[-1]),
        Markup('<path class="line" d="{}"/>').format(_path(times, values, x, y)),
        _latest(points[-1], x, y),
    ]
    return picture(_TOP + _HEIGHT + AXIS_HEIGHT, "The statistic over time", body)


def sparkline(
    values: Sequence[float | None], warning: float | None = None, critical: float | None = None
) -> Markup:
    """Draw a statistic over time as small as a word, coloured by its latest value; empty markup
    without two points.

    Examples
    --------
    >>> "critical" in sparkline([0.1, 0.2, 0.4], 0.1, 0.25)
    True
    """
    drawn = [value for value in values if _is_drawn(value)]
    if len(drawn) < 2:
        return Markup("")
    top = max([*drawn, *([warning] if _is_drawn(warning) else [])]) * 1.08 or 1.0
    x, y = scale(0, len(values) - 1, 1, _SPARK_WIDTH - 3), scale(0, top, _SPARK_HEIGHT - 1, 2)
    tick = (
        Markup('<path class="limit" d="M0 {}H{}"/>').format(at(y(warning)), _SPARK_WIDTH)
        if _is_drawn(warning)
        else ""
    )
    end = max(place for place, value in enumerate(values) if _is_drawn(value))
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true">{}<path class="line" d="{}"/>'
        '<circle class="{}" cx="{}" cy="{}" r="2"/></svg>'
    ).format(
        _SPARK_WIDTH,
        _SPARK_HEIGHT,
        tick,
        _path(range(len(values)), values, x, y),
        _severity(drawn[-1], warning, critical),
        at(x(end)),
        at(y(drawn[-1])),
    )


def metric_line(
    times: Sequence[int],
    values: Sequence[float | None],
    baseline: float | None = None,
    severity: str = "ok",
) -> Markup:
    """Draw a metric over time as small as a word, with its baseline; empty markup without two
    points.

    Unlike a statistic's, its scale does not begin at 0: an accuracy of .95 that falls to .93 is to
    be seen.

    Parameters
    ----------
    times
        Times (ms), ascending.
    severity
        Class of the latest point.

    Examples
    --------
    >>> metric_line([0, 60_000, 120_000], [1.1, 1.2, 4.9], 1.1, "critical").count("critical")
    1
    >>> metric_line([0], [1.1])
    Markup('')
    """
    points = [(time, value) for time, value in zip(times, values, strict=True) if _is_drawn(value)]
    if len(points) < 2 or times[-1] <= times[0]:
        return Markup("")
    every = [*(value for _, value in points), *([baseline] if _is_drawn(baseline) else [])]
    low, high = min(every), max(every)
    if not math.isfinite(high - low):
        return Markup("")
    if not has_width(low, high):
        low, high = low - 1.0, high + 1.0
    x = scale(times[0], times[-1], 1, _SPARK_WIDTH - 3)
    y = scale(low, high, _SPARK_HEIGHT - 2, 2)
    tick = (
        Markup('<path class="limit" d="M0 {}H{}"/>').format(at(y(baseline)), _SPARK_WIDTH)
        if _is_drawn(baseline)
        else ""
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true">{}<path class="line" d="{}"/>'
        '<circle class="{}" cx="{}" cy="{}" r="2"/></svg>'
    ).format(
        _SPARK_WIDTH,
        _SPARK_HEIGHT,
        tick,
        _path(times, values, x, y),
        severity,
        at(x(points[-1][0])),
        at(y(points[-1][1])),
    )


def interval(
    value: float,
    low: float | None,
    high: float | None,
    baseline: float | None,
    ends: tuple[float, float] | None = None,
) -> Markup:
    """Draw a metric's confidence interval with its value and its baseline; empty markup without an
    interval.

    Parameters
    ----------
    ends
        Ends of the scale, for intervals that are compared; an interval beyond them is cut off. None
        takes the ends of this interval.

    Examples
    --------
    >>> interval(0.8, 0.75, 0.84, 0.9).count("tick")
    1
    """
    numbers = [value, low, high, *([] if baseline is None else [baseline])]
    drawn = [number for number in numbers if _is_drawn(number)]
    if low is None or high is None or len(drawn) < len(numbers):
        return Markup("")
    first, last = ends or (min(drawn), max(drawn))
    if not has_width(first, last) or not math.isfinite(last - first):
        return Markup("")
    inside = scale(first, last, 4, _SPARK_WIDTH - 4)

    def x(number: float) -> float:
        return inside(min(max(number, first), last))

    tick = (
        Markup('<path class="tick" d="M{} 1V13"/>').format(at(x(baseline)))
        if baseline is not None
        else ""
    )
    return Markup(
        '<svg class="interval" viewBox="0 0 {} 14" aria-hidden="true"><path class="range" d="M{} 7H{}"/>{}'  # noqa: E501  markup
        '<circle class="latest" cx="{}" cy="7" r="3"/></svg>'
    ).format(_SPARK_WIDTH, at(x(low)), at(x(high)), tick, at(x(value)))


def qq_plot(reference: Sequence[float], window: Sequence[float]) -> Markup:
    """Draw quantiles of the window over those of the reference, with y = x; empty markup unless
    there are as many of both.

    The first and the last, minimum and maximum, are left out: one far value would squeeze all
    others.

    Examples
    --------
    >>> chart = qq_plot([0, 1, 2, 3, 4], [0, 2, 4, 6, 8])
    >>> chart.count("M"), "diagonal" in chart
    (11, True)
    """
    pairs = list(zip(reference, window, strict=False))[1:-1]
    if (
        len(reference) != len(window)
        or not pairs
        or not all(math.isfinite(value) for pair in pairs for value in pair)
    ):
        return Markup("")
    low, high = min(map(min, pairs)), max(map(max, pairs))
    if not has_width(low, high) or not math.isfinite(high - low):
        return Markup("")
    x, y = scale(low, high, 10, WIDTH - 10), scale(low, high, _QQ_HEIGHT - 6, 6)
    dots = "".join(f"M{at(x(a))} {at(y(b))}h0" for a, b in pairs)
    body = [
        Markup('<path class="diagonal" d="M{} {}L{} {}"/>').format(
            at(x(low)), at(y(low)), at(x(high)), at(y(high))
        ),
        Markup('<path class="dots" d="{}"/>').format(dots),
        Markup('<text x="0" y="10" class="dim">window</text>'),
        axis(low, high, x, _QQ_HEIGHT),
        Markup('<text x="{}" y="{}" class="end dim">reference</text>').format(
            WIDTH, _QQ_HEIGHT - 5
        ),
    ]
    return picture(
        _QQ_HEIGHT + AXIS_HEIGHT, "Quantiles of the window over those of the reference", body
    )


def _is_drawn(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _severity(value: float, warning: float | None, critical: float | None) -> str:
    if critical is not None and value > critical:
        return "critical"
    return "warning" if warning is not None and value > warning else "ok"


def _path(xs: Sequence[int], values: Sequence[float | None], x: Scale, y: Scale) -> str:
    """Return the path through the points, broken where one is missing; a single point is a dot."""
    parts, pen = [], "M"
    for place, (moved, value) in enumerate(zip(xs, values, strict=True)):
        if not _is_drawn(value):
            pen = "M"
            continue
        alone = pen == "M" and not (place + 1 < len(values) and _is_drawn(values[place + 1]))
        parts.append(f"{pen}{at(x(moved))} {at(y(value))}{'h0' if alone else ''}")
        pen = "L"
    return "".join(parts)


def _frame(times: Sequence[int], x: Scale, top: float) -> Markup:
    """Draw the axes, from 0 to the largest value, and from the first to the last time."""
    bottom = _TOP + _HEIGHT
    first, last = (
        minute(time, seconds=times[-1] - times[0] < _SHORT_MS) for time in (times[0], times[-1])
    )
    return Markup(
        '<path class="axis" d="M{} {}H{}M{} {}V{}"/><text x="{}" y="{}" class="end dim">{}</text>'
        '<text x="{}" y="{}" class="end dim">0</text><text x="{}" y="{}" class="dim">{}</text>'
        '<text x="{}" y="{}" class="end dim">{}</text>'
    ).format(
        _LEFT,
        bottom,
        at(x(times[-1])),
        _LEFT,
        bottom,
        _TOP,
        _LEFT - 5,
        _TOP + 8,
        decimal(top / 1.08),
        _LEFT - 5,
        bottom,
        _LEFT,
        bottom + 16,
        first,
        WIDTH - 4,
        bottom + 16,
        last,
    )


def _limits(limits: Sequence[tuple[str, float]], y: Scale) -> list[Markup]:
    """Draw a line for each threshold with its number above it, or one text for two that are
    close.
    """
    close = len(limits) == 2 and abs(y(limits[0][1]) - y(limits[1][1])) < _LINE_HEIGHT
    names = [f"{kind} {decimal(limit)}" for kind, limit in limits]
    labels = ["", " · ".join(names)] if close else names
    return [
        _limit(kind, limit, label, y) for (kind, limit), label in zip(limits, labels, strict=True)
    ]


def _limit(kind: str, limit: float, label: str, y: Scale) -> Markup:
    line = Markup('<path class="limit {}" d="M{} {}H{}"/>').format(
        kind, _LEFT, at(y(limit)), WIDTH - 4
    )
    if not label:
        return line
    return line + Markup('<text x="{}" y="{}" class="dim halo">{}</text>').format(
        _LEFT + 4, at(y(limit) - 3), label
    )


def _mark(mark: Mark, x: Scale) -> Markup:
    return Markup(
        '<g><title>{}</title><path class="mark {}" d="M{} {}V{}"/><path class="flag {}" d="M{} {}l4 -8h-8z"/></g>'  # noqa: E501  markup
    ).format(
        f"{clip(mark.label, TITLE_CELLS)}, since {moment(mark.time)}",
        mark.severity,
        at(x(mark.time)),
        _TOP,
        _TOP + _HEIGHT,
        mark.severity,
        at(x(mark.time)),
        _TOP,
    )


def _latest(point: tuple[int, float], x: Scale, y: Scale) -> Markup:
    return Markup(
        '<circle class="latest" cx="{}" cy="{}" r="3"><title>{} at {}</title></circle>'
    ).format(at(x(point[0])), at(y(point[1])), decimal(point[1]), moment(point[0]))
