"""A message as plain text: for mails, and for receivers that know nothing else."""

from typing import Final

from driftgauge.consumer.notifying.rendering.telling import Telling


def as_text(telling: Telling) -> str:
    """Return a message as lines of text: headline, facts, link.

    Examples
    --------
    >>> facts = (("What to do", "Check load."), ("Evidence", "2 alerts; load"))
    >>> one = Telling("opened", "warning", "t", "load reads high.", facts, "http://dg/1", "s")
    >>> print(as_text(one))
    load reads high.
    <BLANKLINE>
    What to do: Check load.
    Evidence: 2 alerts; load
    <BLANKLINE>
    http://dg/1
    """
    facts = "\n".join(f"{title}: {text}" for title, text in telling.facts)
    return "\n\n".join(part for part in (telling.headline, facts, telling.link) if part)


_SIMILAR: Final = str.maketrans(
    {
        "@": "\N{FULLWIDTH COMMERCIAL AT}",
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "[": "\N{FULLWIDTH LEFT SQUARE BRACKET}",
        "]": "\N{FULLWIDTH RIGHT SQUARE BRACKET}",
        "*": "\N{ASTERISK OPERATOR}",
        "`": "\N{MODIFIER LETTER PRIME}",
        "~": "\N{TILDE OPERATOR}",
        "#": "\N{FULLWIDTH NUMBER SIGN}",
    }
)


def inert(text: str) -> str:
    """Return a text without characters by which markup or a mention begins somewhere: similar ones
    stand in their place.

    Examples
    --------
    >>> inert("@everyone <b>").isascii(), inert("phase_log_odds")
    (False, 'phase_log_odds')
    """
    return text.translate(_SIMILAR)
