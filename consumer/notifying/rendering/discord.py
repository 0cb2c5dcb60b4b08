"""A message for Discord: one embed, in which every character that its Markdown knows is escaped,
and by which nobody is mentioned.
"""

import re
from typing import Any, Final

from driftgauge.consumer.notifying.rendering.telling import COLOURS, SIGNS, Telling
from driftgauge.shared.moments import iso
from driftgauge.shared.wording.plain import clip

TITLE, TEXT, FIELD, EMBED = 256, 4096, 1024, 6000
"""Most characters of an embed's title, of its text, of a field, and of all of it."""
NO_EMBEDS: Final = 1 << 2
"""Flag of a message of whose links Discord shows nothing."""
PICTURE: Final = "drift.png"
"""Name of the file that an embed shows."""
_MARKUP: Final = re.compile(r"([\\*_~`|<>#\-+\[\]():@])")
_NUMBERED: Final = re.compile(r"^(\s*\d+)\.")


def escaped(text: str) -> str:
    r"""Return text whose characters Discord shows as they are.

    Examples
    --------
    >>> escaped("*x* <@1> [a](b)"), escaped("1. one")
    ('\\*x\\* \\<\\@1\\> \\[a\\]\\(b\\)', '1\\. one')
    """
    return _NUMBERED.sub(r"\1\\.", _MARKUP.sub(r"\\\1", text))


def as_discord(telling: Telling, moment: int, *, picture: bool = False) -> dict[str, Any]:
    """Return the message.

    Parameters
    ----------
    moment
        When the incident changed, in Unix ms.
    picture
        Whether a file named `PICTURE` goes with it.
    """
    embed: dict[str, Any] = {
        "title": fitting(telling.title, TITLE),
        "description": fitting(telling.headline, 1000),
        "color": int(COLOURS[telling.mood].removeprefix("#"), 16),
        "fields": [{"name": title, "value": fitting(text, FIELD)} for title, text in telling.facts],
        "footer": {"text": "Driftgauge"},
        "timestamp": iso(moment),
    }
    while _length(embed) > EMBED:  # of many further incidents, whose names are full of markup
        embed["fields"].pop()
    if telling.link:
        embed["url"] = telling.link
    if picture:
        embed["image"] = {"url": f"attachment://{PICTURE}"}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _length(embed: dict[str, Any]) -> int:
    """Return the characters of an embed that Discord counts."""
    fields = sum(len(field["name"]) + len(field["value"]) for field in embed["fields"])
    return len(embed["title"] + embed["description"] + embed["footer"]["text"]) + fields


def fitting(text: str, characters: int) -> str:
    """Return as much of a text as surely fits when it is escaped, which may double it."""
    return escaped(clip(text, characters // 2))


def as_note(telling: Telling) -> dict[str, Any]:
    """Return a short message of its own, for what people are to notice: a message that is changed
    in place alerts nobody.
    """
    words = f"{SIGNS[telling.mood]} **{fitting(telling.title, TITLE)}**"
    return {
        "content": f"{words}\n{fitting(telling.headline, 1000)}",
        "allowed_mentions": {"parse": []},
        "flags": NO_EMBEDS,
    }
