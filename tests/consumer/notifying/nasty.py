"""Names that strangers could give a model, a column or a person."""

from typing import Any

from driftgauge.consumer.notifying.message import Message
from driftgauge.shared.contract.alert import Acknowledgement, Silence
from driftgauge.shared.contract.incident import IncidentAlert, IncidentCause
from tests.consumer.notifying.messages import NOON, incident, message
from tests.hostile import TEXTS

NASTY = (
    *TEXTS,
    "<!channel> <!here|x> <@U024BE7LH> <#C024BE7LR> <https://evil.example|click>",
    "@everyone @here <@123456789012345678> <@&1> <#2> <t:0:R> <:a:1>",
    "[click](https://evil.example) ![x](https://evil.example/a.png) <at>All</at>",
    "*bold* _it_ ~no~ `code` ```x``` ||spoiler|| > quote # head - item",
    "1. one\n2. two\n# three\n> four",
    "a\r\nBcc: victim@evil.example\r\n\r\n<b>body</b>",
    "https://evil.example/login www.evil.example mailto:a@evil.example HTTPS://E.example",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "\x7f \x00 \x1b[31m \u200b \ufeff",
    "日本語" * 300,
    ":tada: :warning: {{ 7 * 7 }} ${7*7} %s %(x)s",
    "",
)


def nasty(text: str, **changes: Any) -> Message:
    """Return a message all of whose texts are this one."""
    alert = IncidentAlert(text, text, text, text, "critical", text, NOON, NOON, segment=text)
    found = incident(
        id=text,
        model=text,
        version=text,
        headline=text,
        advice=text,
        effect=text,
        cause=IncidentCause("feature", text, text, text, text, text),
        features=[text] * 20,
        of_features=40,
        alerts=[alert] * 3,
        acknowledged=Acknowledgement(text, text, NOON),
        silenced=Silence(text, text, NOON, NOON),
        number=2,
        change="acknowledged",
    )
    return message(found, event=b"{}", key=f"{text}-2", others=(found,) * 12, **changes)
