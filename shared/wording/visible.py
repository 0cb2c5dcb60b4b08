"""Text from anywhere, made safe to print on a terminal or in a log."""

from typing import Final

NO_BREAK: Final = "\u00a0"
"""A space at which no line breaks, as between a number and its unit."""


def visible(text: str) -> str:
    r"""Write what steers a terminal or hides in a text as its escape: control characters, text
    directions, what has no width.

    Examples
    --------
    >>> visible("\x1b[31mred\u202e\n")
    '\\x1b[31mred\\u202e\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == NO_BREAK
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
