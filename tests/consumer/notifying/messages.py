"""Messages as the stage hands them to a target."""

from typing import Any

from driftgauge.consumer.notifying.message import Message, key_of
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import Incident, IncidentAlert, IncidentCause

NOON = 1_763_640_060_000  # 2025-11-20 12:01:00 UTC
LINK = "https://drift.example/incidents/6b3108a1eb9f83ec"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
ALERTS = [
    IncidentAlert(
        f"f{number}",
        "3.0.0",
        "load",
        "psi",
        "critical",
        "PSI 0.4",
        NOON,
        NOON,
        ended=NOON + 1000 if number == 0 else None,
    )
    for number in range(11)
]


def incident(**changes: Any) -> Incident:
    """Return an open, critical incident of a model `steel`, unless changed."""
    given: dict[str, Any] = {
        "id": "6b3108a1eb9f83ec",
        "model": "steel",
        "version": "3.0.0",
        "kind": "model",
        "state": "open",
        "severity": "critical",
        "number": 1,
        "change": "opened",
        "notify": True,
        "headline": "Since 20 Nov 12:01 UTC load reads about 0.51 (0.47 sd) too high.",
        "action": "retrain",
        "advice": "Check load at its source; if it is right, retrain on recent data.",
        "cause": IncidentCause("feature", "f0", "load", "psi"),
        "since": NOON,
        "earliest": NOON - 60_000,
        "latest": NOON + 60_000,
        "opened": NOON,
        "updated": NOON + 60_000,
        "ended": None,
        "features": ["load"],
        "of_features": 1,
        "effect": "MAE rose from 1.09 to 1.7 kWh",
        "alerts": ALERTS,
        "of_alerts": 11,
    }
    return Incident(**{**given, **changes})


def message(found: Incident | None = None, **changes: Any) -> Message:
    """Return the message of an incident."""
    found = found or incident()
    given = {
        "key": key_of(found.id, found.number),
        "incident": found,
        "event": cloud_event(found),
        "link": LINK,
    }
    return Message(**{**given, "sent": NOON + 120_000, **changes})


def opened(**changes: Any) -> Message:
    return message(incident(**changes), is_first=True)


def worse(**changes: Any) -> Message:
    return message(incident(number=2, change="severity", **changes))


def resolved(**changes: Any) -> Message:
    ended = {"number": 3, "change": "resolved", "state": "resolved", "ended": NOON + 3_600_000}
    return message(incident(**{**ended, **changes}))
