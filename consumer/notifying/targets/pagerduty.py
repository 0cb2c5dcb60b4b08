"""PagerDuty by its Events API v2: an alert for each incident, by the incident's id as `dedup_key`.

A change of which nobody is notified is not sent, except that somebody has seen the incident here:
that acknowledges it there.
"""

from typing import Any, Final

import msgspec

from driftgauge.consumer.notifying.choices import PagerDuty
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.rendering.telling import Telling, shown, tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Target
from driftgauge.shared.moments import iso
from driftgauge.shared.wording.plain import clip

PATH: Final = "/v2/enqueue"
SUMMARY, KEY = 1024, 255
"""Most characters of a summary, and of a key."""


class PagerDutyTarget(Target):
    """Triggers, acknowledges and resolves alerts of one integration."""

    in_place = True

    def __init__(self, choice: PagerDuty) -> None:
        self._address = choice.address.rstrip("/") + PATH
        self._key = secret_of(choice, "key")

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  nothing to change
        """Enqueue an event."""
        action = action_of(message)
        if action:
            event = {"routing_key": self._key, **event_of(message, action)}
            post(self._address, msgspec.json.encode(event), {"Content-Type": "application/json"})
        return ""


def action_of(message: Message) -> str:
    """Return what becomes of the alert; empty if nothing does."""
    incident = message.incident
    if incident.state == "resolved":
        return "resolve"
    if incident.change == "acknowledged":
        return "acknowledge"
    return "" if message.silent else "trigger"


def event_of(message: Message, action: str) -> dict[str, Any]:
    """Return an event, all but its routing key."""
    event: dict[str, Any] = {"event_action": action, "dedup_key": message.incident.id[:KEY]}
    if action != "trigger":
        return event
    telling = tell(message)
    link = telling.link
    event |= {"payload": _payload(message, telling), "client": "Driftgauge"}
    if link:
        event |= {"client_url": link, "links": [{"href": link, "text": "Open the incident"}]}
    return event


def _payload(message: Message, telling: Telling) -> dict[str, Any]:
    incident = message.incident
    return {
        "summary": clip(telling.subject, SUMMARY),
        "source": shown(incident.model, 64),
        "severity": incident.severity,
        "timestamp": iso(incident.since),
        "component": shown(incident.cause.feature, 64) or shown(incident.model, 64),
        "group": shown(incident.version, 64),
        "class": incident.kind,
        "custom_details": {
            "headline": telling.headline,
            "change": telling.title,
            **{title: text for title, text in telling.facts if title != "Also"},
        },
    }
