"""Transitions of incidents as judging writes them."""

from typing import Any

from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import Incident, IncidentAlert, IncidentCause

FALL = IncidentAlert("f", "1.0.0", "", "performance.accuracy", "critical", "accuracy", 1000, 1000)


def incident_event(number: int = 1, name: str = "0123456789abcdef", **changes: Any) -> bytes:
    """Return a transition of an open, critical incident that a retraining mends, unless changed."""
    given: dict[str, Any] = {
        "id": name,
        "model": "plant",
        "version": "1.0.0",
        "kind": "model",
        "state": "open",
        "severity": "critical",
        "number": number,
        "change": "opened" if number == 1 else "evidence",
        "notify": number == 1,
        "headline": "Since 20 Nov 12:01 UTC accuracy fell from 0.91 to 0.84.",
        "action": "retrain",
        "advice": "Retrain on recent labels.",
        "cause": IncidentCause("performance", "f", rule="performance.accuracy"),
        "since": 1000,
        "earliest": 1000,
        "latest": 1000,
        "opened": 1000,
        "updated": 1000,
        "ended": None,
        "features": [],
        "of_features": 0,
        "effect": "accuracy fell from 0.91 to 0.84",
        "alerts": [FALL],
        "of_alerts": 1,
    }
    return cloud_event(Incident(**{**given, **changes}))
