"""Untrusted text, made safe to show.

Feature names, labels and reasons come from whoever sends events. Here they lose what could deceive
a reader (control characters, reversed writing) or fill a page; escaping is left to markupsafe, in
`shown` and in the templates.
"""

import re
import unicodedata
from typing import Final

from markupsafe import Markup, escape

TAIL: Final = 8
"""Characters of a long name's end that are always shown."""
UNBROKEN: Final = 24
"""Most characters of a name that is not broken."""
WORDS: Final = re.compile(r"[^_.\-/:]*[_.\-/:]+|[^_.\-/:]+")
"""The words of a name, each with what stands behind it."""
TITLE_CELLS: Final = 400
"""Width, in characters, of the longer form of a shortened text, such as a tooltip."""
# what orders or hides text, what UTF-8 or XML cannot hold, and what no font draws
_HOSTILE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"  # Persian and Indic spelling and composed emoji need them
_WIDE: Final = frozenset({"W", "F"})


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
    """Untrusted text as inert HTML, isolated from the writing direction of its surroundings.

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


def cut(text: str, cells: int) -> str:
    """Cut a name to a width in its middle, since names that begin alike often differ at their ends.

    Examples
    --------
    >>> cut("sensor_17_temperature_after_filter", 20), cut("pressure", 20)
    ('sensor_17_…er_filter', 'pressure')
    """
    full = clip(text, cells)
    if full == clip(text, TITLE_CELLS):
        return full
    tail = clip(text[-(cells // 2) :], cells)[-(cells // 2 - 1) :]
    return f"{clip(text, cells - len(tail)).removesuffix('…')}…{tail}"


def breakable(text: str) -> Markup:
    """Return text that may break between the words of its long names, and within no word.

    Examples
    --------
    >>> breakable("x of line_3_station_003_inlet_pressure")
    Markup('x of line_<wbr>3_<wbr>station_<wbr>003_<wbr>inlet_<wbr>pressure')
    """
    pieces = (
        Markup("<wbr>").join(WORDS.findall(token)) if len(token) > UNBROKEN else escape(token)
        for token in text.split(" ")
    )
    return Markup(" ").join(pieces)


def printable(text: str, cells: int = 80) -> Markup:
    """Do as `shown` for paper: what is long breaks between its words."""
    return _titled(text, clip(text, cells))


def name(text: str, cells: int = 40) -> Markup:
    """Return a name as inert HTML, cut in its middle; a long one may break between its words, and
    no other one at all.

    Examples
    --------
    >>> name("phase_log_odds"), name("lagging_current_power_factor")
    (Markup('<bdi>phase_log_odds</bdi>'), \
Markup('<bdi>lagging_<wbr>current_<wbr>power_<wbr>factor</bdi>'))
    """
    return _titled(text, cut(text, cells))


def _titled(text: str, short: str) -> Markup:
    full = clip(text, TITLE_CELLS)
    if short == full:
        return Markup("<bdi>{}</bdi>").format(breakable(short))
    return Markup('<bdi title="{}">{}</bdi>').format(full, breakable(short))


def fitting_name(text: str, cells: int = 60) -> Markup:
    """Return a name as inert HTML of two parts, of which the page shortens the first one to the
    room that there is. The whole name is its title, and what a screen reader says.

    Examples
    --------
    >>> fitting_name("pressure")
    Markup('<bdi>pressure</bdi>')
    """
    full, short = clip(text, TITLE_CELLS), cut(text, cells)
    if len(full) <= 2 * TAIL:
        return Markup("<bdi>{}</bdi>").format(full)
    return Markup(
        '<bdi class="cut" title="{}"><span class="sr">{}</span>'
        '<span class="cut-head" aria-hidden="true">{}</span>'
        '<span aria-hidden="true">{}</span></bdi>'
    ).format(full, full, short[:-TAIL], short[-TAIL:])


def with_code(sentence: str) -> Markup:
    """Return a sentence whose commands stand between backticks.

    Examples
    --------
    >>> with_code("`driftgauge up` <b>")
    Markup('<code>driftgauge up</code> &lt;b&gt;')
    """
    forms = (Markup("{}"), Markup("<code>{}</code>"))
    return Markup("").join(
        forms[place % 2].format(clip(piece, 400)) for place, piece in enumerate(sentence.split("`"))
    )
