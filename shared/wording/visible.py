"""Text from anywhere, made safe to print on a terminal or in a log."""


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
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
