"""A message for Slack, in its Block Kit: a header and one block of rich text.

In a rich text every run of characters is literal: no markup, no mention, no emoji and no link is
looked for in it, so that a stranger's name needs no escape there. The line that telephones show
(`text`) is Slack's markup: its three special characters are escaped, and the rest of its markup is
switched off by `mrkdwn`.
"""

from typing import Any, Final

from driftgauge.consumer.notifying.rendering.telling import SIGNS, Telling

HEADER: Final = 150
"""Most characters of a header."""
ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escaped(text: str) -> str:
    """Return text with the characters escaped by which Slack's markup begins.

    Examples
    --------
    >>> escaped("<!channel> & <@U1>")
    '&lt;!channel&gt; &amp; &lt;@U1&gt;'
    """
    return text.translate(ESCAPES)


def as_slack(telling: Telling) -> dict[str, Any]:
    """Return the members of a message that both the Web API and a webhook take: text and blocks."""
    header = f"{SIGNS[telling.mood]} {telling.title}"[:HEADER]
    return {
        "text": escaped(f"{header} \N{EN DASH} {telling.headline}"),
        "mrkdwn": False,
        "parse": "none",  # else a change of a message looks for names and links in it
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}},
            _block(_parts(telling)),
        ],
    }


def as_reply(telling: Telling) -> dict[str, Any]:
    """Return the members of a short reply, in one line."""
    whole = as_slack(telling)
    return whole | {"blocks": [_block([[_run(f"{telling.title}. "), _run(telling.headline)]])]}


def _parts(telling: Telling) -> list[list[dict[str, Any]]]:
    facts = [[_run(f"{title}: ", bold=True), _run(f"{text}\n")] for title, text in telling.facts]
    parts = [[_run(f"{telling.headline}\n\n")], *facts]
    if telling.link:
        parts.append([{"type": "link", "url": telling.link, "text": "Open the incident"}])
    return parts


def _run(text: str, *, bold: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": {"bold": True}} if bold else {})}


def _block(parts: list[list[dict[str, Any]]]) -> dict[str, Any]:
    sections = [{"type": "rich_text_section", "elements": runs} for runs in parts]
    return {"type": "rich_text", "elements": sections}
