"""The forms of chats: names stay names, and each service's limits hold."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from slack_sdk.models.blocks import Block

from driftgauge.consumer.notifying.rendering.discord import as_discord, as_note
from driftgauge.consumer.notifying.rendering.slack import as_reply, as_slack
from driftgauge.consumer.notifying.rendering.teams import MOST_BYTES, as_card, as_teams
from driftgauge.consumer.notifying.rendering.telling import Telling, tell
from driftgauge.consumer.notifying.rendering.text import inert
from tests.consumer.notifying.messages import LINK, NOON, opened
from tests.consumer.notifying.nasty import NASTY, nasty


def told(text: str) -> Telling:
    return tell(nasty(text))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within one."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from parts(one)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("form", [as_slack, as_reply])
def test_slack_gets_literal_text(form: Any, text: str) -> None:
    """All words are runs of a rich text or a plain header, the only link is ours, and the line for
    telephones has no character by which a mention or a link could begin.
    """
    sent = form(told(text))
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", sent["text"])
    off = ("mrkdwn", "link_names", "unfurl_links", "unfurl_media")
    assert ([sent[name] for name in off], sent["parse"]) == ([False] * 4, "none")
    kinds = {part["type"] for part in parts(sent["blocks"]) if "type" in part}
    assert kinds <= {"header", "plain_text", "rich_text", "rich_text_section", "text", "link"}
    assert [part["url"] for part in parts(sent["blocks"]) if "url" in part] == (
        [LINK] if form is as_slack else []
    )
    for block in Block.parse_all(sent["blocks"]):
        block.validate_json()
    assert len(msgspec.json.encode(sent["blocks"])) < 13_000


def test_slack_shows_no_emoji_of_a_name() -> None:
    """`:tada:` in a model's name stays these six letters."""
    header = as_slack(told(":tada:"))["blocks"][0]["text"]
    assert (header["type"], header["emoji"]) == ("plain_text", False)
    assert len(header["text"]) <= 150


@pytest.mark.parametrize("text", NASTY)
def test_a_card_has_no_markdown(text: str) -> None:
    """All words are runs, in which Markdown is not looked for; nothing is opened but our page, and
    nobody is mentioned.
    """
    card = as_card(told(text))
    kinds = {part["type"] for part in parts(card) if "type" in part}
    assert kinds == {"AdaptiveCard", "Container", "RichTextBlock", "TextRun", "Action.OpenUrl"}
    assert [part["url"] for part in parts(card) if "url" in part] == [LINK]
    assert all(
        isinstance(part["text"], str) for part in parts(card) if part.get("type") == "TextRun"
    )
    sent = as_teams(told(text))
    assert sent["attachments"][0]["content"]["msteams"] == {"width": "Full"}
    assert len(msgspec.json.encode(sent)) < MOST_BYTES


@pytest.mark.parametrize("text", NASTY)
def test_an_embed_has_no_markdown_and_fits(text: str) -> None:
    """Every character of Discord's Markdown is escaped, nobody is mentioned, and Discord's limits
    of an embed hold, also of many incidents whose names are all markup.
    """
    sent = as_discord(told(text), NOON, picture=True)
    (embed,) = sent["embeds"]
    words = [embed["title"], embed["description"], *(one["value"] for one in embed["fields"])]
    for word in (*words, as_note(told(text))["content"].split("**", 2)[2]):
        assert not re.search(r"[*_~`|<>#\[\]()@]", re.sub(r"\\.", "", word))
        assert not word.endswith("\\") or word.endswith("\\\\")
    assert sent["allowed_mentions"] == as_note(told(text))["allowed_mentions"] == {"parse": []}
    assert 0 < len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    assert all(
        0 < len(one["name"]) <= 256 and 0 < len(one["value"]) <= 1024 for one in embed["fields"]
    )
    assert sum(map(len, words)) + sum(len(one["name"]) for one in embed["fields"]) <= 6000
    assert embed["url"] == LINK


def test_an_embed_of_a_calm_name_reads_as_the_text() -> None:
    """Without its escapes an embed says what the text says."""
    (embed,) = as_discord(tell(opened()), NOON)["embeds"]
    assert embed["description"].replace("\\", "") == opened().incident.headline
    assert embed["color"] == 0xB42318


def test_what_apprise_sends_begins_no_markup() -> None:
    """Characters by which markup or a mention begins are shown as similar ones."""
    assert not set(inert("".join(NASTY))) & set("@<>[]*`~#")
