"""Opsgenie, and Jira Service Management, which takes its place: an alert for each incident, by the
incident's id as `alias`.

Atlassian sells Opsgenie no more and ends it on 5 April 2027. The integration events of Jira Service
Management take the same requests with the same kind of key, at another address. Neither lets a key
of an integration change an alert's text, so what changes is a note on it.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from driftgauge.consumer.notifying.choices import Opsgenie
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.rendering.telling import Telling, shown, tell
from driftgauge.consumer.notifying.rendering.text import as_text
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Refused, Target
from driftgauge.shared.wording.plain import clip

PATH: Final = "/v2/alerts"
MESSAGE, DESCRIPTION, NOTE, ALIAS, ENTITY = 130, 15_000, 25_000, 512, 512
"""Most characters of an alert's fields."""
PRIORITIES: Final = {"critical": "P1", "warning": "P3"}
NOT_FOUND: Final = 404


class OpsgenieTarget(Target):
    """Creates, acknowledges and closes alerts of one integration."""

    in_place = True

    def __init__(self, choice: Opsgenie) -> None:
        self._address = choice.address.rstrip("/") + PATH
        self._tags = list(choice.tags)
        self._headers = {
            "Authorization": f"GenieKey {secret_of(choice, 'key')}",
            "Content-Type": "application/json",
        }

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  nothing to change
        """Create an alert, or tell it what changed."""
        incident, telling = message.incident, tell(message)
        if incident.state == "resolved":
            self._act(message, "close", {"note": telling.title})
        elif incident.change == "acknowledged" and not message.is_first:
            self._act(message, "acknowledge", {"note": telling.title})
        elif not message.silent:
            # an open alert of the same alias only counts this; one that a person closed is new
            self._post(self._address, alert_of(message, telling, self._tags))
            if not message.is_first:
                note = {"note": clip(telling.title, 200) + "\n\n" + as_text(telling)[: NOTE - 300]}
                self._act(message, "notes", note)
        return ""

    def _act(self, message: Message, action: str, sent: Mapping[str, Any]) -> None:
        """Do something to the alert; one that is gone, by the hand of a person, needs nothing."""
        name = quote(message.incident.id[:ALIAS], safe="")
        try:
            self._post(f"{self._address}/{name}/{action}?identifierType=alias", sent)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise

    def _post(self, address: str, sent: Mapping[str, Any]) -> None:
        source = {"source": "Driftgauge", "user": "Driftgauge"}
        post(address, msgspec.json.encode({**source, **sent}), self._headers)


def alert_of(message: Message, telling: Telling, tags: list[str]) -> dict[str, Any]:
    """Return an alert, as the API wants it."""
    incident = message.incident
    return {
        "message": clip(telling.subject, MESSAGE),
        "alias": incident.id[:ALIAS],
        "description": as_text(telling)[:DESCRIPTION],
        "priority": PRIORITIES[incident.severity],
        "entity": shown(incident.model, 64),
        "tags": tags,
        "details": {
            "incident": incident.id[:ALIAS],
            "model": shown(incident.model, 64),
            "version": shown(incident.version, 64),
            "kind": incident.kind,
            **({"link": telling.link} if telling.link else {}),
        },
    }
