"""Text as a cell that a spreadsheet does not run. Pure."""

import re
from typing import Final

UNSEEN: Final = (
    '\x00-\x08\x0b\x0c\x0e-\x20"\x7f-\xa0\xad\u061c\u180e\u2000-\u200f\u2028-\u202f'
    "\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
)
"""What spreadsheets may leave out before a formula: controls, blanks, quotes, zero-width marks."""
FORMULA: Final = re.compile(
    rf"(\A(?=[\t\r\n])|(?:\A|[;,|\t\r\n])(?=[{UNSEEN}]*[=+\-@\uff1d\uff0b\uff0d\uff20]))"
)
"""Where a cell begins like a formula: at its beginning, or after what another spreadsheet takes for
the end of a cell. It looks at each character once, so it takes time in proportion to the text.
"""
NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
"""A number has one reading only, so that matching takes time in proportion to the text."""


def harmless(text: str) -> str:
    r"""Return text as a cell that no spreadsheet runs: what begins like a formula, and is no
    number, gets a quote before it.

    Examples
    --------
    >>> harmless("=1+1"), harmless("-1.5e3"), harmless("-a"), harmless("a=1")
    ("'=1+1", '-1.5e3', "'-a", 'a=1')
    >>> harmless("a;=1+1"), harmless("\ufeff=1")
    ("a;'=1+1", "'\ufeff=1")
    """
    if FORMULA.search(text) is None or NUMBER.fullmatch(text):
        return text
    return FORMULA.sub(r"\1'", text)
