"""Alertmanager: an alert for each incident, by POST to `/api/v2/alerts`.

Alertmanager takes an alert as over when its `endsAt` has passed. So while an incident stands its
alert is sent again and again with an `endsAt` some minutes ahead, as Prometheus does; at its end it
is sent with the present. What identifies an alert are its labels, so they never change within an
incident: what does change, its severity too, stands in the annotations.
"""

from typing import Any, Final

import msgspec

from driftgauge.consumer.notifying.choices import Alertmanager
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Target
from driftgauge.shared.moments import iso
from driftgauge.shared.wording.plain import clip

PATH: Final = "/api/v2/alerts"
STANDS_MS: Final = 300_000
"""Time (ms) for which an open incident stands at Alertmanager if it is not sent again."""
LENGTH: Final = 1000
"""Most characters of an annotation."""


class AlertmanagerTarget(Target):
    """Keeps an alert for each incident."""

    in_place = True
    beat_s = 60.0

    def __init__(self, choice: Alertmanager) -> None:
        self._address = secret_of(choice, "url").rstrip("/") + PATH
        token = secret_of(choice, "token")
        self._headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        self._labels = choice.labels

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  the labels name the alert
        """Post the alert as it stands."""
        body = msgspec.json.encode([alert_of(message, self._labels)])
        post(self._address, body, {**self._headers, "Idempotency-Key": message.key})
        return ""


def alert_of(message: Message, labels: dict[str, str]) -> dict[str, Any]:
    """Return the alert of a message, as Alertmanager's API wants it."""
    incident = message.incident
    ends = message.sent + (STANDS_MS if incident.state == "open" else 0)
    found = {
        "labels": {
            **labels,
            "alertname": "DriftgaugeTest" if message.is_test else "DriftgaugeIncident",
            "incident": incident.id,
            "model": incident.model,
            "version": incident.version,
            "kind": incident.kind,
        },
        "annotations": {name: clip(text, LENGTH) for name, text in _annotations(message) if text},
        "startsAt": iso(min(incident.opened, message.sent)),
        "endsAt": iso(ends),
    }
    return found | ({"generatorURL": message.link} if message.link else {})


def _annotations(message: Message) -> list[tuple[str, str]]:
    incident = message.incident
    return [
        ("summary", incident.headline),
        ("description", incident.advice),
        ("severity", incident.severity),
        ("action", incident.action),
        ("effect", incident.effect),
        ("cause", incident.cause.feature or incident.cause.segment or incident.cause.rule),
        ("change", incident.change),
        ("since", iso(incident.since)),
        ("alerts", str(incident.of_alerts)),
    ]
