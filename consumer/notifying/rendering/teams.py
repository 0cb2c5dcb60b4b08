"""A message for Microsoft Teams: an Adaptive Card, in the envelope that a workflow's webhook takes.

Blocks of text, and facts, are Markdown in a card; runs of a rich text block are not. So all of a
card's words are runs, and no name needs an escape. A mention would need a list of its own beside
the text, which a message of ours never has. A card has no room for a picture: messages over 28 KB
are refused.
"""

from typing import Any, Final

from driftgauge.consumer.notifying.rendering.telling import Mood, Telling

MOST_BYTES: Final = 28_000
"""Most bytes of a message."""
STYLES: Final[dict[Mood, str]] = {"critical": "attention", "warning": "warning", "over": "good"}


def as_card(telling: Telling) -> dict[str, Any]:
    """Return the card."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": "An incident of Driftgauge; this program is too old to show its card.",
        "body": [
            {
                "type": "Container",
                "style": STYLES[telling.mood],
                "bleed": True,
                "items": [_block([_run(telling.title, weight="Bolder", size="Medium")])],
            },
            _block([_run(telling.headline)], spacing="Medium"),
            *(
                _block(
                    [_run(f"{title}: ", weight="Bolder"), _run(text)],
                    spacing="Small" if place else "Medium",
                )
                for place, (title, text) in enumerate(telling.facts)
            ),
        ],
    }
    if telling.link:
        opened = {"type": "Action.OpenUrl", "title": "Open the incident", "url": telling.link}
        card["actions"] = [opened]
    return card


def as_teams(telling: Telling) -> dict[str, Any]:
    """Return the message of a workflow's webhook, whose one attachment is the card, as wide as the
    channel.
    """
    content = {**as_card(telling), "msteams": {"width": "Full"}}
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


def _block(runs: list[dict[str, Any]], **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs, **style}
