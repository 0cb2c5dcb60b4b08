"""Common parts of all charts: size, scales, axes. Numbers in, SVG markup out.

Every chart is `WIDTH` units wide and shown at about that many pixels, so that its text keeps its
size on a telephone, on a desk and on paper. Colours are the page's, by class.
"""

import math
from collections.abc import Callable, Iterable

from markupsafe import Markup

from driftgauge.shared.wording.numbers import figure

WIDTH = 360
AXIS_HEIGHT = 20
_DIGIT_WIDTH, _OVERHANG = (
    7,
    8,
)  # of a tick's number, and how far it may stand over the picture's edge
SMALLEST = 1e-200  # quantities below it are drawn as zero: a denormal number has no axis
Scale = Callable[[float], float]
"""A function that maps a quantity to a coordinate."""


def picture(height: float, label: str, body: Iterable[Markup]) -> Markup:
    """Put drawn parts into one picture; `label` is what is read aloud."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, at(height), label, Markup("").join(body)
    )


def at(coordinate: float) -> str:
    """Write a coordinate.

    Examples
    --------
    >>> at(10.0), at(1 / 3)
    ('10', '0.33')
    """
    return f"{round(coordinate, 2):g}"


def scale(low: float, high: float, left: float, right: float) -> Scale:
    """Map a range of quantities to a range of coordinates.

    Examples
    --------
    >>> scale(0, 10, 0, 360)(2.5)
    90.0
    """
    return lambda value: left + (value - low) / (high - low) * (right - left)


def has_width(low: float, high: float) -> bool:
    """Return whether floats between them are fine enough for an axis."""
    return high - low > 1e-9 * max(abs(low), abs(high), SMALLEST)


def axis(low: float, high: float, x: Scale, y: float, room: float = 0) -> Markup:
    """Return a horizontal axis with round ticks. Its numbers do not overlap each other, nor `room`
    units at either end.
    """
    step = _step(high - low)
    ticks = [
        k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    drawn = [Markup('<path class="axis" d="M{} {}H{}"/>').format(at(x(low)), at(y), at(x(high)))]
    free, end = (room, WIDTH - room) if room else (-math.inf, math.inf)
    for tick in ticks:
        number = _number(tick, step)
        half = _DIGIT_WIDTH * len(number) / 2
        middle = min(max(x(tick), half - _OVERHANG), WIDTH - half + _OVERHANG)
        drawn.append(Markup('<path class="axis" d="M{} {}v4"/>').format(at(x(tick)), at(y)))
        if free <= middle - half and middle + half <= end:
            drawn.append(
                Markup('<text x="{}" y="{}" class="mid">{}</text>').format(
                    at(middle), at(y + 16), number
                )
            )
            free = middle + half
    return Markup("").join(drawn)


def _step(span: float) -> float:
    """Return the round step with which there are three to six ticks."""
    power = 10.0 ** math.floor(math.log10(span / 3))
    return float(
        max(factor * power for factor in (1, 2, 2.5, 5) if factor * power <= span / 3 * (1 + 1e-9))
    )


def _number(value: float, step: float) -> str:
    digits = math.ceil(math.log10(max(abs(value), step) / step)) + 2
    return figure(value, min(max(digits, 2), 12))
