"""Numbers as people read them: rounded, with a unit that no line break separates from the
number.
"""

import math
from typing import Final

DASH: Final = "\u2013"
"""Shown where there is no value."""
MINUS: Final = "\u2212"


def minus(number: str) -> str:
    """Return a number in words with the minus sign that people read everywhere.

    Examples
    --------
    >>> minus("-0.5") == MINUS + "0.5"
    True
    """
    return number.replace("-", MINUS)


def count(value: float) -> str:
    """Return a whole number with its thousands apart.

    Examples
    --------
    >>> count(1234567)
    '1,234,567'
    """
    return minus(f"{value:,.0f}")


def figure(value: float, digits: int = 4) -> str:
    """Return a quantity in its own unit, to significant digits.

    Examples
    --------
    >>> figure(1234.5), figure(0.0123456), figure(3.0), figure(2.5e9)
    ('1,234', '0.01235', '3', '2.5e9')
    """
    if not math.isfinite(value):
        return DASH if math.isnan(value) else f"{MINUS}∞" if value < 0 else "∞"
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if -5 <= magnitude < 7:
        decimals = max(0, digits - 1 - magnitude)
        text = f"{value:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if decimals else text
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return minus(text)


def short_figure(value: float) -> str:
    """Return a quantity to three significant digits.

    Examples
    --------
    >>> short_figure(0.0123456)
    '0.0123'
    """
    return figure(value, 3)


def with_unit(number: str, unit: str) -> str:
    """Return a number in words with its unit behind it, if it has one.

    Examples
    --------
    >>> with_unit("4.9", "kWh"), with_unit("0.9", "")
    ('4.9 kWh', '0.9')
    """
    return f"{number} {unit}" if unit else number


def decimal(value: float) -> str:
    """Return a statistic: three decimals where that says enough, else three significant digits.

    Examples
    --------
    >>> decimal(0.25), decimal(0.00041), decimal(0.0), decimal(1234.5)
    ('0.250', '0.00041', '0', '1,234')
    >>> decimal(-0.25) == MINUS + "0.250"
    True
    """
    return minus(f"{value:.3f}") if 0.001 <= abs(value) < 10 else figure(value, 3)


def signed(value: float) -> str:
    """Return a difference in its own unit, with its sign.

    Examples
    --------
    >>> signed(0.25), signed(-0.0312) == MINUS + "0.031", signed(0.0)
    ('+0.250', True, '0')
    """
    return f"{'+' if value > 0 else ''}{decimal(value)}"


def signed_figure(value: float) -> str:
    """Return a shift to two significant digits, with its sign.

    Examples
    --------
    >>> signed_figure(0.504), signed_figure(-1.0) == MINUS + "1"
    ('+0.5', True)
    """
    return f"{'+' if value > 0 else ''}{figure(value, 2)}"


def part_of(value: float, whole: float) -> str:
    """Return a part of a difference, in its own unit: less than half a hundredth of it is nothing.

    Examples
    --------
    >>> part_of(0.25, 0.5), part_of(-0.0001, 0.5)
    ('+0.250', '0')
    """
    return signed(value) if abs(value) * 200 >= abs(whole) else "0"


def score(value: float) -> str:
    """Return a statistic in a table of many, to three decimals; tiny values become `<0.001`.

    Examples
    --------
    >>> score(0.25), score(0.00041), score(0.0)
    ('0.250', '<0.001', '0')
    """
    return "<0.001" if 0 < value < 0.001 else decimal(value)


def percent(share: float) -> str:
    r"""Return a share of rows: 0 % and 100 % mean exactly none and exactly all.

    Examples
    --------
    >>> percent(0.0), percent(0.0001), percent(0.1234), percent(0.9999), percent(1.0)
    ('0\xa0%', '<0.1\xa0%', '12.3\xa0%', '>99.9\xa0%', '100\xa0%')
    """
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", "\u00a0%")
    bounded = "<0.1" if share < 0.0005 else ">99.9" if share > 0.9995 else f"{100 * share:.1f}"
    return f"{bounded}\u00a0%"


def signed_percent(change: float) -> str:
    r"""Return a relative change, with its sign.

    Examples
    --------
    >>> signed_percent(0.0512), signed_percent(-0.2) == MINUS + "20.0\xa0%"
    ('+5.1\xa0%', True)
    """
    return minus(f"{100 * change:+,.1f}\u00a0%")


def p_value(value: float) -> str:
    """Return a p-value; values below one in ten thousand become `<0.0001`.

    Examples
    --------
    >>> p_value(0.5), p_value(0.0123), p_value(1e-9)
    ('0.500', '0.012', '<0.0001')
    """
    return "<0.0001" if value < 0.0001 else f"{value:.3f}" if value >= 0.001 else f"{value:.4f}"
