"""Alert transitions as judging writes them."""

from typing import Any

from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import cloud_event


def alert_event(number: int = 1, **changes: Any) -> bytes:
    """Return a critical performance alert that fires, unless changed."""
    given: dict[str, Any] = {
        "fingerprint": "0123456789abcdef",
        "model": "plant",
        "version": "1.0.0",
        "feature": "",
        "rule": "performance.accuracy",
        "severity": "critical",
        "state": "firing",
        "summary": "accuracy 0.91 → 0.84",
        "evidence": AlertEvidence("accuracy", 0.84, 0.86, 0.91, 1000, 2000, 5000, 0, 1000),
        "started": 1000,
        "updated": 1000,
        "ended": None,
        "snapshot": "",
        "number": number,
    }
    return cloud_event(Alert(**{**given, **changes}))
