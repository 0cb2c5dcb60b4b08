"""How an alert is named and wrapped, whoever raises it: judging from the log, or the watchdog from the clock.

A rule that begins with `blind.` is the watchdog's: it says that the monitor does not see, not that the model drifted. Such
an alert is no function of the log, so a replay of the log does not raise it again; its times are those of Redis's clock.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec

from shared.snapshot import Alert, CloudEvent

ALERTS_KEPT: Final = 10_000
"""Entries of a model's alert stream."""
BLIND: Final = "blind."
"""Prefix of the rules that are not replayable."""


def fingerprint(model: str, version: str, feature: str, rule: str) -> str:
    """Name an alert: the same for all its transitions, and after a restart.

    Examples
    --------
    >>> fingerprint("steel", "1.0.0", "x", "psi")
    '71256aeb82dfcc53'
    """
    return hashlib.sha256(msgspec.json.encode([model, version, feature, rule])).hexdigest()[:16]


def replayable(alert: Alert) -> bool:
    """Tell whether judging the same log again gives the same alert."""
    return not alert.rule.startswith(BLIND)


def alert_event(alert: Alert) -> bytes:
    """Wrap a transition as CloudEvents 1.0 JSON; the same transition has the same id."""
    moment = datetime.fromtimestamp(alert.updated / 1000, UTC)
    return msgspec.json.encode(
        CloudEvent(
            id=f"{alert.fingerprint}-{alert.started}-{alert.evidence.events}-{alert.state}",
            source=f"/driftgauge/{alert.model}",
            type=f"driftgauge.alert.{alert.state}",
            subject=f"{alert.version}/{alert.feature}",
            time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            data=msgspec.Raw(msgspec.json.encode(alert)),
        )
    )
