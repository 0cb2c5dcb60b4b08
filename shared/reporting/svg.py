"""The report's charts: numbers in, SVG markup out.

Every chart is `WIDTH` units wide and shown at about that many pixels, so that its text keeps its size on a telephone,
on a desk and on paper. Colours are the page's, by class: `r` the reference, `w` the window. In every histogram the area
of a bar is in proportion to its share of rows.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from shared.reporting.text import DASH, TITLE_CELLS, clip, figure, percent
from shared.snapshot import Histogram

WIDTH = 360
MOST_BARS = 24
_PLOT_HEIGHT = 116
_AXIS_HEIGHT = 20
_LABEL_CELLS = 14
_DIGIT_WIDTH, _OVERHANG = 7, 8  # of a tick's number, and how far it may stand over the picture's edge
_BARS_LEFT, _BARS_RIGHT = 104, 258
_BOX_LEFT = 62
_PEAKED = 12  # tallest density over mean density; above it all other bars are slivers
_GAUGE_WIDTH, _GAUGE_HEIGHT = 72, 10
_SMALLEST = 1e-200  # quantities below it are drawn as zero: a denormal number has no axis


class Bar(NamedTuple):
    """A category or range: its label and its shares of rows."""

    label: str
    reference: float
    window: float


def histogram(shares: Histogram) -> Markup:
    """Reference and window in one picture; empty markup if there are no bins.

    Numeric bins are drawn to scale as densities. Where that would leave nothing but a spike (bins of very different
    width, or without width), and for categories, it is one pair of horizontal bars per bin.

    Examples
    --------
    >>> histogram(Histogram(edges=[0.0, 1.0, 3.0], labels=None, reference=[0.5, 0.5], window=[0.2, 0.8])).count("<rect")
    4
    >>> histogram(Histogram(edges=None, labels=[], reference=[], window=[]))
    Markup('')
    """
    if not shares.reference:
        return Markup("")
    if shares.labels is not None:
        return _bars(_fold([Bar(*bar) for bar in zip(shares.labels, shares.reference, shares.window, strict=True)]))
    edges = shares.edges or []
    if _fits_to_scale(edges, shares):
        return _density(edges, shares)
    return _bars(_ranges(edges, shares))


def box_plot(reference: Sequence[float], window: Sequence[float]) -> Markup:
    """Minimum, quartiles and maximum of reference and window above one axis; empty markup if neither has them.

    Examples
    --------
    >>> box_plot([0, 1, 2, 3, 9], [1, 2, 3, 4, 5]).count('class="r"')
    1
    >>> box_plot([], [])
    Markup('')
    """
    rows = [("reference", "r", reference), ("window", "w", window)]
    drawn = [(name, kind, q) for name, kind, q in rows if len(q) == 5 and all(map(math.isfinite, q))]
    if not drawn:
        return Markup("")
    low, high = min(q[0] for _, _, q in drawn), max(q[4] for _, _, q in drawn)
    if not _has_width(low, high):
        margin = max(abs(low), abs(high), _SMALLEST) / 2
        low, high = low - margin, high + margin
    if not math.isfinite(high - low):
        return Markup("")
    x = _scale(low, high, _BOX_LEFT, WIDTH)
    boxes = [_box(name, kind, [x(v) for v in q], 11 + 20 * row) for row, (name, kind, q) in enumerate(drawn)]
    bottom = 20 * len(drawn) + 4
    return _svg(bottom + _AXIS_HEIGHT, "Box plot", [*boxes, _axis(low, high, x, bottom)])


def gauge(value: float, warning: float | None, critical: float | None) -> Markup:
    """A value on the scale of its thresholds; empty markup if it has none.

    The scale ends at one and a half times the highest threshold; what lies beyond fills it.

    Examples
    --------
    >>> "critical" in gauge(0.5, 0.1, 0.25), gauge(0.5, None, None)
    (True, Markup(''))
    """
    thresholds = [limit for limit in (warning, critical) if limit is not None and limit > 0]
    if not thresholds:
        return Markup("")
    x = _scale(0, 1.5 * max(thresholds), 0, _GAUGE_WIDTH)
    severity = (
        "critical"
        if critical is not None and value > critical
        else "warning"
        if warning is not None and value > warning
        else "ok"
    )
    length = min(max(x(value), 1), _GAUGE_WIDTH)
    ticks = [Markup('<path class="tick" d="M{} 0V{}"/>').format(_n(x(limit)), _GAUGE_HEIGHT) for limit in thresholds]
    return Markup(
        '<svg class="gauge" viewBox="0 0 {} {}" aria-hidden="true">'
        '<rect class="track" y="2" width="{}" height="6"/><rect class="{}" y="2" width="{}" height="6"/>{}</svg>'
    ).format(_GAUGE_WIDTH, _GAUGE_HEIGHT, _GAUGE_WIDTH, severity, _n(length), Markup("").join(ticks))


def _svg(height: float, label: str, body: Iterable[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, _n(height), label, Markup("").join(body)
    )


def _n(coordinate: float) -> str:
    return f"{round(coordinate, 2):g}"


def _scale(low: float, high: float, left: float, right: float) -> Callable[[float], float]:
    return lambda value: left + (value - low) / (high - low) * (right - left)


def _has_width(low: float, high: float) -> bool:
    """Whether floats between them are fine enough for an axis."""
    return high - low > 1e-9 * max(abs(low), abs(high), _SMALLEST)


def _densities(edges: list[float], shares: list[float]) -> list[float]:
    return [share / (b - a) for (a, b), share in zip(pairwise(edges), shares, strict=True)]


def _fits_to_scale(edges: list[float], shares: Histogram) -> bool:
    if not all(map(math.isfinite, edges)) or any(b <= a for a, b in pairwise(edges)):
        return False
    if not _has_width(edges[0], edges[-1]):
        return False
    span = edges[-1] - edges[0]
    totals = [(side, sum(side)) for side in (shares.reference, shares.window)]
    return all(max(_densities(edges, side)) * span <= _PEAKED * total for side, total in totals)


def _density(edges: list[float], shares: Histogram) -> Markup:
    reference, window = _densities(edges, shares.reference), _densities(edges, shares.window)
    x = _scale(edges[0], edges[-1], 0, WIDTH)
    y = _scale(0, max(*reference, *window) or 1, 0, _PLOT_HEIGHT)
    bins = [
        Markup("<g><title>{}</title>{}{}</g>").format(
            _caption(Bar(_range(a, b), *share)),
            _column("r", x(a), x(b), y(density[0])),
            _column("w", x(a), x(b), y(density[1])),
        )
        for (a, b), density, share in zip(
            pairwise(edges),
            zip(reference, window, strict=True),
            zip(shares.reference, shares.window, strict=True),
            strict=True,
        )
    ]
    outline = _outline([x(edge) for edge in edges], [_PLOT_HEIGHT - y(height) for height in window])
    axis = _axis(edges[0], edges[-1], x, _PLOT_HEIGHT)
    return _svg(_PLOT_HEIGHT + _AXIS_HEIGHT, "Histogram of reference and window", [*bins, outline, axis])


def _column(kind: str, left: float, right: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        kind, _n(left), _n(_PLOT_HEIGHT - height), _n(right - left), _n(height)
    )


def _outline(xs: list[float], tops: list[float]) -> Markup:
    steps = "".join(f"V{_n(top)}H{_n(right)}" for top, right in zip(tops, xs[1:], strict=True))
    return Markup('<path class="outline" d="M{} {}{}V{}"/>').format(_n(xs[0]), _PLOT_HEIGHT, steps, _PLOT_HEIGHT)


def _axis(low: float, high: float, x: Callable[[float], float], y: float) -> Markup:
    step = _step(high - low)
    ticks = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    labels = [_tick(x(tick), y, _number(tick, step)) for tick in ticks]
    line = Markup('<path class="axis" d="M{} {}H{}"/>').format(_n(x(low)), _n(y), _n(x(high)))
    return Markup("").join([line, *labels])


def _step(span: float) -> float:
    """The round step that gives three to six ticks."""
    power = 10.0 ** math.floor(math.log10(span / 3))
    return float(max(factor * power for factor in (1, 2, 2.5, 5) if factor * power <= span / 3 * (1 + 1e-9)))


def _tick(x: float, y: float, number: str) -> Markup:
    half = _DIGIT_WIDTH * len(number) / 2 - _OVERHANG
    return Markup('<path class="axis" d="M{} {}v4"/><text x="{}" y="{}" class="mid">{}</text>').format(
        _n(x), _n(y), _n(min(max(x, half), WIDTH - half)), _n(y + 16), number
    )


def _number(value: float, step: float) -> str:
    digits = math.ceil(math.log10(max(abs(value), step) / step)) + 2
    return figure(value, min(max(digits, 2), 12))


def _fold(bars: list[Bar]) -> list[Bar]:
    """Keep the largest categories in their order; the rest become one bar."""
    if len(bars) <= MOST_BARS:
        return bars
    ranked = sorted(range(len(bars)), key=lambda i: -max(bars[i].reference, bars[i].window))
    kept = set(ranked[: MOST_BARS - 1])
    rest = [bar for i, bar in enumerate(bars) if i not in kept]
    others = Bar(f"{len(rest):,} others", sum(bar.reference for bar in rest), sum(bar.window for bar in rest))
    return [bar for i, bar in enumerate(bars) if i in kept] + [others]


def _ranges(edges: list[float], shares: Histogram) -> list[Bar]:
    """Bins as bars, neighbours joined where there are too many."""
    bins = list(zip(pairwise(edges), shares.reference, shares.window, strict=True))
    size = math.ceil(len(bins) / MOST_BARS)
    groups = [bins[i : i + size] for i in range(0, len(bins), size)]
    return [
        Bar(_range(group[0][0][0], group[-1][0][1]), sum(b[1] for b in group), sum(b[2] for b in group)) for group in groups
    ]


def _range(low: float, high: float) -> str:
    return f"{figure(low)} {DASH} {figure(high)}"


def _bars(bars: list[Bar]) -> Markup:
    pitch = 22 if len(bars) <= MOST_BARS // 2 else 15
    x = _scale(0, max(max(bar.reference, bar.window) for bar in bars) or 1, 0, _BARS_RIGHT - _BARS_LEFT)
    rows = [_pair(bar, x, row * pitch, pitch / 2 - 2) for row, bar in enumerate(bars)]
    return _svg(len(bars) * pitch, "Bars of reference and window", rows)


def _pair(bar: Bar, x: Callable[[float], float], top: float, thickness: float) -> Markup:
    baseline = _n(top + thickness + 4)
    rects = [
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(kind, _BARS_LEFT, *map(_n, place))
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
        clip(bar.label, _LABEL_CELLS),
        Markup("").join(rects),
        WIDTH,
        baseline,
        percent(bar.reference).removesuffix("\u00a0%"),
        percent(bar.window),
    )


def _caption(bar: Bar) -> str:
    return f"{clip(bar.label, TITLE_CELLS)}: reference {percent(bar.reference)}, window {percent(bar.window)}"


def _box(name: str, kind: str, xs: list[float], middle: float) -> Markup:
    low, first, median, _, high = map(_n, xs)
    return Markup(
        '<text x="0" y="{}">{}</text><path class="axis" d="M{} {}H{}M{} {}v8M{} {}v8"/>'
        '<rect class="{}" x="{}" y="{}" width="{}" height="12"/><path class="median" d="M{} {}v12"/>'
    ).format(
        *(_n(middle + 4), name, low, _n(middle), high, low, _n(middle - 4), high, _n(middle - 4)),
        *(kind, first, _n(middle - 6), _n(max(xs[3] - xs[1], 0.5)), median, _n(middle - 6)),
    )
