"""The charts of distributions: histogram, box plot, gauge. Those of points and lines are in
lines.py.

Colours are the page's, by class: `r` the reference, `w` the window. In every histogram the area of
a bar is in proportion to its share of rows.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from driftgauge.shared.contract.snapshot import Histogram
from driftgauge.shared.reporting.canvas import (
    AXIS_HEIGHT,
    SMALLEST,
    WIDTH,
    Scale,
    at,
    axis,
    has_width,
    picture,
    scale,
)
from driftgauge.shared.wording.numbers import DASH, figure, percent
from driftgauge.shared.wording.plain import TITLE_CELLS, clip

MOST_BARS = 24
_PLOT_HEIGHT = 116
_LABEL_CELLS = 14
_BARS_LEFT, _BARS_RIGHT = 104, 258
_BOX_LEFT = 62
_OUTSIDE, _GAP = 16, 5  # width of the bars of what lies outside, and their distance from the others
_TALLEST_OUTSIDE = 3  # times the tallest bar inside; what is taller is cut off
_PEAKED = 12  # tallest density over mean density; above it all other bars are slivers
_GAUGE_WIDTH, _GAUGE_HEIGHT = 72, 10


class Bar(NamedTuple):
    """A category or range: its label and its shares of rows; `short` is a shorter label for its
    bar.
    """

    label: str
    reference: float
    window: float
    short: str = ""


def histogram(shares: Histogram) -> Markup:
    """Draw reference and window in one histogram; empty markup if there are no bins.

    Numeric bins are drawn to scale as densities. Where that would leave nothing but a spike (bins
    of very different width, or without width), and for categories, it is one pair of horizontal
    bars per bin.

    Examples
    --------
    >>> histogram(
    ...     Histogram(edges=[0.0, 1.0, 3.0], labels=None, reference=[0.5, 0.5], window=[0.2, 0.8])
    ... ).count("<rect")
    4
    >>> histogram(Histogram(edges=None, labels=[], reference=[], window=[]))
    Markup('')
    """
    if not shares.reference:
        return Markup("")
    if shares.labels is not None:
        return _bars(
            _fold(
                [
                    Bar(*bar)
                    for bar in zip(shares.labels, shares.reference, shares.window, strict=True)
                ]
            )
        )
    edges = shares.edges or []
    if _fits_to_scale(edges, shares):
        return _density(edges, shares)
    return _bars(_ranges(edges, shares))


def box_plot(reference: Sequence[float], window: Sequence[float]) -> Markup:
    """Draw minimum, quartiles and maximum of reference and window above one axis; empty markup if
    neither has them.

    Each side is 5 quantiles at equal steps, or more of them (33) of which 5 are taken.

    Examples
    --------
    >>> box_plot([0, 1, 2, 3, 9], [1, 2, 3, 4, 5]).count('class="r"')
    1
    >>> box_plot([], [])
    Markup('')
    """
    rows = [("reference", "r", five_numbers(reference)), ("window", "w", five_numbers(window))]
    drawn = [
        (name, kind, q) for name, kind, q in rows if len(q) == 5 and all(map(math.isfinite, q))
    ]
    if not drawn:
        return Markup("")
    low, high = min(q[0] for _, _, q in drawn), max(q[4] for _, _, q in drawn)
    if not has_width(low, high):
        margin = max(abs(low), abs(high), SMALLEST) / 2
        low, high = low - margin, high + margin
    if not math.isfinite(high - low):
        return Markup("")
    x = scale(low, high, _BOX_LEFT, WIDTH)
    boxes = [
        _box(name, kind, [x(v) for v in q], 11 + 20 * row)
        for row, (name, kind, q) in enumerate(drawn)
    ]
    bottom = 20 * len(drawn) + 4
    return picture(bottom + AXIS_HEIGHT, "Box plot", [*boxes, axis(low, high, x, bottom)])


def five_numbers(quantiles: Sequence[float]) -> Sequence[float]:
    """Return minimum, quartiles and maximum of 5, 9, …, 33 quantiles at equal steps.

    Examples
    --------
    >>> five_numbers([0, 1, 2, 3, 4, 5, 6, 7, 8])
    [0, 2, 4, 6, 8]
    """
    return (
        quantiles[:: (len(quantiles) - 1) // 4]
        if len(quantiles) % 4 == 1 and len(quantiles) > 4
        else []
    )


def gauge(value: float, warning: float | None, critical: float | None) -> Markup:
    """Draw a value on the scale of its thresholds; empty markup if it has none.

    The scale ends at one and a half times the highest threshold; what lies beyond fills it.

    Examples
    --------
    >>> "critical" in gauge(0.5, 0.1, 0.25), gauge(0.5, None, None)
    (True, Markup(''))
    """
    thresholds = [limit for limit in (warning, critical) if limit is not None and limit > 0]
    if not thresholds:
        return Markup("")
    x = scale(0, 1.5 * max(thresholds), 0, _GAUGE_WIDTH)
    severity = (
        "critical"
        if critical is not None and value > critical
        else "warning"
        if warning is not None and value > warning
        else "ok"
    )
    length = min(max(x(value), 1), _GAUGE_WIDTH)
    ticks = [
        Markup('<path class="tick" d="M{} 0V{}"/>').format(at(x(limit)), _GAUGE_HEIGHT)
        for limit in thresholds
    ]
    return Markup(
        '<svg class="gauge" viewBox="0 0 {} {}" aria-hidden="true">'
        '<rect class="track" y="2" width="{}" height="6"/><rect class="{}" y="2" width="{}" height="6"/>{}</svg>'  # noqa: E501  markup
    ).format(
        _GAUGE_WIDTH, _GAUGE_HEIGHT, _GAUGE_WIDTH, severity, at(length), Markup("").join(ticks)
    )


def _densities(edges: list[float], shares: list[float]) -> list[float]:
    return [share / (b - a) for (a, b), share in zip(pairwise(edges), shares, strict=True)]


def _fits_to_scale(edges: list[float], shares: Histogram) -> bool:
    if not all(map(math.isfinite, edges)) or any(b <= a for a, b in pairwise(edges)):
        return False
    if not has_width(edges[0], edges[-1]):
        return False
    span = edges[-1] - edges[0]
    totals = [(side, sum(side)) for side in (shares.reference, shares.window)]
    return all(max(_densities(edges, side)) * span <= _PEAKED * total for side, total in totals)


def _density(edges: list[float], shares: Histogram) -> Markup:
    margin = _OUTSIDE + _GAP if any((*shares.below, *shares.above)) else 0
    x = scale(edges[0], edges[-1], margin, WIDTH - margin)
    per_unit = (
        (WIDTH - 2 * margin) / (edges[-1] - edges[0]) / _OUTSIDE
    )  # so that the outer bars' areas are shares as well
    sides = (_densities(edges, shares.reference), _densities(edges, shares.window))
    outside = [share * per_unit for share in (*shares.below, *shares.above)] if margin else [0.0]
    peak = max(*sides[0], *sides[1])
    y = scale(
        0, max(peak, min(max(outside), _TALLEST_OUTSIDE * peak or math.inf)) or 1, 0, _PLOT_HEIGHT
    )
    bins = [
        _columns(Bar(_range(a, b), *share), x(a), x(b), y(density[0]), y(density[1]))
        for (a, b), density, share in zip(
            pairwise(edges),
            zip(*sides, strict=True),
            zip(shares.reference, shares.window, strict=True),
            strict=True,
        )
    ]
    outline = _outline(
        [x(edge) for edge in edges], [_PLOT_HEIGHT - y(height) for height in sides[1]]
    )
    outer = (
        _outer(edges, shares, lambda share: min(y(share * per_unit), _PLOT_HEIGHT))
        if margin
        else []
    )
    body = [*bins, outline, *outer, axis(edges[0], edges[-1], x, _PLOT_HEIGHT, 0.7 * margin)]
    return picture(_PLOT_HEIGHT + AXIS_HEIGHT, "Histogram of reference and window", body)


def _outer(edges: list[float], shares: Histogram, height: Scale) -> list[Markup]:
    """Draw the shares below and above the bins as a bar at each end."""
    sides = [
        ("<", _below(edges), shares.below, 0),
        (">", _above(edges), shares.above, WIDTH - _OUTSIDE),
    ]
    return [
        Markup('{}<text x="{}" y="{}" class="mid dim">{}</text>').format(
            _columns(
                Bar(label, *pair),
                left,
                left + _OUTSIDE,
                height(pair[0]),
                height(pair[1]),
                outlined=True,
            ),
            at(left + _OUTSIDE / 2),
            at(_PLOT_HEIGHT + 16),
            sign,
        )
        for sign, label, pair, left in sides
    ]


def _columns(
    bar: Bar, left: float, right: float, reference: float, window: float, *, outlined: bool = False
) -> Markup:
    """Draw a bar of the reference and one of the window over each other."""
    return Markup("<g><title>{}</title>{}{}</g>").format(
        _caption(bar),
        _column("r", left, right, reference),
        _column("w edge" if outlined else "w", left, right, window),
    )


def _column(kind: str, left: float, right: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        kind, at(left), at(_PLOT_HEIGHT - height), at(right - left), at(height)
    )


def _outline(xs: list[float], tops: list[float]) -> Markup:
    steps = "".join(f"V{at(top)}H{at(right)}" for top, right in zip(tops, xs[1:], strict=True))
    return Markup('<path class="outline" d="M{} {}{}V{}"/>').format(
        at(xs[0]), _PLOT_HEIGHT, steps, _PLOT_HEIGHT
    )


def _fold(bars: list[Bar]) -> list[Bar]:
    """Keep the largest categories in their order; the rest become one bar."""
    if len(bars) <= MOST_BARS:
        return bars
    ranked = sorted(range(len(bars)), key=lambda i: -max(bars[i].reference, bars[i].window))
    kept = set(ranked[: MOST_BARS - 1])
    rest = [bar for i, bar in enumerate(bars) if i not in kept]
    others = Bar(
        f"{len(rest):,} others", sum(bar.reference for bar in rest), sum(bar.window for bar in rest)
    )
    return [bar for i, bar in enumerate(bars) if i in kept] + [others]


def _ranges(edges: list[float], shares: Histogram) -> list[Bar]:
    """Return bins as bars, neighbours joined if there are too many."""
    bins = list(zip(pairwise(edges), shares.reference, shares.window, strict=True))
    size = math.ceil(len(bins) / MOST_BARS)
    groups = [bins[i : i + size] for i in range(0, len(bins), size)]
    inside = [
        Bar(
            _range(group[0][0][0], group[-1][0][1]),
            sum(b[1] for b in group),
            sum(b[2] for b in group),
            f"to {figure(group[-1][0][1])}",
        )
        for group in groups
    ]
    below = [Bar(_below(edges), *shares.below)] if any(shares.below) else []
    above = [Bar(_above(edges), *shares.above)] if any(shares.above) else []
    return [*below, *inside, *above]


def _range(low: float, high: float) -> str:
    return f"{figure(low)} {DASH} {figure(high)}"


def _below(edges: list[float]) -> str:
    return f"below {figure(edges[0])}"


def _above(edges: list[float]) -> str:
    return f"above {figure(edges[-1])}"


def _bars(bars: list[Bar]) -> Markup:
    pitch = 22 if len(bars) <= MOST_BARS // 2 else 15
    x = scale(
        0, max(max(bar.reference, bar.window) for bar in bars) or 1, 0, _BARS_RIGHT - _BARS_LEFT
    )
    rows = [_pair(bar, x, row * pitch, pitch / 2 - 2) for row, bar in enumerate(bars)]
    return picture(len(bars) * pitch, "Bars of reference and window", rows)


def _pair(bar: Bar, x: Scale, top: float, thickness: float) -> Markup:
    baseline = at(top + thickness + 4)
    rects = [
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            kind, _BARS_LEFT, *map(at, place)
        )
        for kind, place in (
            ("r", (top, x(bar.reference), thickness)),
            ("w solid", (top + thickness, x(bar.window), thickness)),
        )
    ]
    return Markup(
        '<g><title>{}</title><text x="{}" y="{}" class="end">{}</text>{}'
        '<text x="{}" y="{}" class="end dim">{} → {}</text></g>'
    ).format(
        _caption(bar),
        _BARS_LEFT - 6,
        baseline,
        clip(bar.short or bar.label, _LABEL_CELLS),
        Markup("").join(rects),
        WIDTH,
        baseline,
        percent(bar.reference).removesuffix("\u00a0%"),
        percent(bar.window),
    )


def _caption(bar: Bar) -> str:
    return (
        f"{clip(bar.label, TITLE_CELLS)}: reference {percent(bar.reference)}, window "
        f"{percent(bar.window)}"
    )


def _box(name: str, kind: str, xs: list[float], middle: float) -> Markup:
    low, first, median, _, high = map(at, xs)
    return Markup(
        '<text x="0" y="{}">{}</text><path class="axis" d="M{} {}H{}M{} {}v8M{} {}v8"/>'
        '<rect class="{}" x="{}" y="{}" width="{}" height="12"/><path class="median" d="M{} {}v12"/>'  # noqa: E501  markup
    ).format(
        *(at(middle + 4), name, low, at(middle), high, low, at(middle - 4), high, at(middle - 4)),
        *(kind, first, at(middle - 6), at(max(xs[3] - xs[1], 0.5)), median, at(middle - 6)),
    )
