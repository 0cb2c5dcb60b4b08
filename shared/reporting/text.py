"""Numbers, times and strangers' text as the report shows them.

Feature names, labels and reasons come from whoever sends events. Here they lose what could deceive
a reader (control characters, reversed writing) or fill a page; escaping is left to markupsafe, in
`shown` and in the template.
"""

import math
import unicodedata
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TITLE_CELLS = 400
DASH, MINUS = "\u2013", "\u2212"
# what orders or hides text, what UTF-8 or XML cannot hold, and what no font draws
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # Persian and Indic spelling and composed emoji need them
_WIDE = frozenset({"W", "F"})


def _visible(character: str) -> str:
    if character in "\t\r\n":
        return " "
    if character in _JOINERS or unicodedata.category(character) not in _HOSTILE:
        return character
    return f"\\u{ord(character):04x}"


def clip(text: str, cells: int) -> str:
    r"""Cut text to a width, with what is invisible made visible.

    Parameters
    ----------
    text
        Any text, of any length.
    cells
        Width in characters; East Asian wide ones count twice.

    Examples
    --------
    >>> clip("temperature", 8), clip("a\u202eb", 20)
    ('tempera…', 'a\\u202eb')
    """
    plain = "".join(_visible(character) for character in text[: cells + 1])
    width = 0
    for position, character in enumerate(plain):
        width += 2 if unicodedata.east_asian_width(character) in _WIDE else 1
        if width > cells:
            return plain[: max(0, position - 1)] + "…"
    return plain


def shown(text: str, cells: int = 80) -> Markup:
    """Strangers' text as inert HTML, isolated from the direction of its surroundings.

    Examples
    --------
    >>> shown("<script>")
    Markup('<bdi>&lt;script&gt;</bdi>')
    >>> shown("temperature", 8)
    Markup('<bdi title="temperature">tempera…</bdi>')
    """
    short, full = clip(text, cells), clip(text, TITLE_CELLS)
    if short == full:
        return Markup("<bdi>{}</bdi>").format(short)
    return Markup('<bdi title="{}">{}</bdi>').format(full, short)


def with_code(sentence: str) -> Markup:
    """Give a sentence whose commands stand between backticks.

    Examples
    --------
    >>> with_code("`driftgauge up` <b>")
    Markup('<code>driftgauge up</code> &lt;b&gt;')
    """
    forms = (Markup("{}"), Markup("<code>{}</code>"))
    return Markup("").join(
        forms[place % 2].format(clip(piece, 400)) for place, piece in enumerate(sentence.split("`"))
    )


def figure(value: float, digits: int = 4) -> str:
    """A quantity in its own unit, to significant digits.

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
    return text.replace("-", MINUS)


def decimal(value: float) -> str:
    """A statistic: three decimals where that says enough, three significant digits elsewhere.

    Examples
    --------
    >>> decimal(0.25), decimal(0.00041), decimal(0.0), decimal(1234.5)
    ('0.250', '0.00041', '0', '1,234')
    """
    return f"{value:.3f}" if 0.001 <= abs(value) < 10 else figure(value, 3)


def signed(value: float) -> str:
    """A difference in its own unit.

    Examples
    --------
    >>> signed(0.25), signed(-0.0312) == MINUS + "0.031", signed(0.0)
    ('+0.250', True, '0')
    """
    return f"{'+' if value > 0 else ''}{decimal(value)}".replace("-", MINUS)


def part_of(value: float, whole: float) -> str:
    """A part of a difference, in its own unit: what is less than half a hundredth of it is nothing.

    Examples
    --------
    >>> part_of(0.25, 0.5), part_of(-0.0001, 0.5)
    ('+0.250', '0')
    """
    return signed(value) if abs(value) * 200 >= abs(whole) else "0"


def score(value: float) -> str:
    """A statistic beside many others: what is next to nothing is not told apart.

    Examples
    --------
    >>> score(0.25), score(0.00041), score(0.0)
    ('0.250', '<0.001', '0')
    """
    return "<0.001" if 0 < value < 0.001 else decimal(value)


def percent(share: float) -> str:
    r"""A share of rows, where 0 % and 100 % mean exactly none and exactly all.

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
    r"""A relative change.

    Examples
    --------
    >>> signed_percent(0.0512), signed_percent(-0.2) == MINUS + "20.0\xa0%"
    ('+5.1\xa0%', True)
    """
    return f"{100 * change:+,.1f}\u00a0%".replace("-", MINUS)


def p_value(value: float) -> str:
    """A p-value; what lies below one in ten thousand is not told apart.

    Examples
    --------
    >>> p_value(0.5), p_value(0.0123), p_value(1e-9)
    ('0.500', '0.012', '<0.0001')
    """
    return "<0.0001" if value < 0.0001 else f"{value:.3f}" if value >= 0.001 else f"{value:.4f}"


def minute(milliseconds: int, *, seconds: bool = False) -> str:
    """A Unix time in ms to the minute in UTC, or to the second, as an axis has room for.

    Examples
    --------
    >>> minute(1714557659999), minute(1714557659999, seconds=True)
    ('2024-05-01 10:00', '2024-05-01 10:00:59')
    """
    try:
        written = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
        return f"{EPOCH + timedelta(milliseconds=milliseconds):{written}}"
    except OverflowError:
        return clip(f"{milliseconds} ms", 16)


def duration(milliseconds: float) -> str:
    """A length of time in its largest fitting unit.

    Examples
    --------
    >>> duration(5), duration(90_000), duration(3 * 3_600_000), duration(50 * 3_600_000)
    ('5 ms', '90 s', '3 h', '2.1 d')
    """
    for unit, size, most in (
        ("ms", 1, 1000),
        ("s", 1000, 120),
        ("min", 60_000, 120),
        ("h", 3_600_000, 48),
    ):
        if abs(milliseconds) < size * most:
            return f"{figure(milliseconds / size, 2)} {unit}"
    return f"{figure(milliseconds / 86_400_000, 2)} d"


def moment(milliseconds: int) -> str:
    """A Unix time in ms as a date and time in UTC.

    Examples
    --------
    >>> moment(1714557600000)
    '2024-05-01 10:00:00 UTC'
    >>> moment(10**18)  # beyond the calendar, which a stranger's clock may be
    '1000000000000000000 ms'
    """
    try:
        return f"{EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{milliseconds} ms"
