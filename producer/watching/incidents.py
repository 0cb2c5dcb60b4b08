"""The watchdog's alerts as incidents: each rule is a fault of its own. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import incident_id
from driftgauge.shared.contract.incident import (
    HEADLINE_LENGTH,
    Incident,
    IncidentAlert,
    IncidentCause,
)
from driftgauge.shared.rules.monitor import BLIND
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import since

ADVICE: Final[Mapping[str, str]] = {
    "stage_fails": "Read the worker's log; what it fails on stands in the dead letters after some "
    "attempts.",
    "no_worker": "Start a worker (`driftgauge worker`), or read its log if one runs.",
    "lag": "Start another worker, or look at what slows this one (`driftgauge doctor`).",
    "lost": "Find out what happened to Redis and to the publisher, then acknowledge the alert.",
    "rolled_back": "Restore the newer state of Redis if there is one; else acknowledge the alert.",
    "model_hangs": "Roll back to the version before, or restart the API.",
    "evicts": "Give Redis the line `maxmemory-policy noeviction`.",
    "dropped": "Look at Redis and at the disk of the spool; what was dropped is lost.",
    "refused": "Look at who sends these events: the answers say what was wrong with each.",
    "labels_refused": "Look at who sends these labels: the answers say what was wrong with each.",
    "dead_letters": "Look at the dead letters: each has its reason.",
    "silent": "Look at the service that sends the events.",
    "labels_stopped": "Look at what sends the labels.",
    "labels_full": "Send labels earlier, or raise the bound of waiting predictions.",
    "unpaired": "Look at the model server: do its predictions fail, and does its logger keep up?",
    "archive": "Look at the archive's store and the worker's log; give Redis room meanwhile.",
    "notification": "Look at the route on the page Notifications, and send a message by "
    "`driftgauge notify test ROUTE`.",
}
"""What to do, by rule."""
_SENTENCE: Final = re.compile(r"(?<=[.?!]) (?=[A-Z])")


def incident_of(alert: Alert) -> Incident | None:
    """Return the transition of the incident that an alert of the watchdog is; None if it neither
    fires nor resolves.
    """
    if alert.state not in {"firing", "resolved"}:
        return None
    over = alert.state == "resolved"
    evidence = IncidentAlert(
        alert.fingerprint,
        alert.version,
        alert.feature,
        alert.rule,
        alert.severity,
        clip(alert.summary, 200),
        alert.started,
        alert.started,
        ended=alert.ended,
        segment=alert.segment,
    )
    when = since(alert.started if alert.ended is None else alert.ended)
    return Incident(
        id=incident_id(alert.model, alert.fingerprint, alert.started),
        model=alert.model,
        version=alert.version,
        kind="operation",
        state="resolved" if over else "open",
        severity=alert.severity,
        number=2 if over else 1,
        change="resolved" if over else "opened",
        notify=alert.notify,
        headline=clip(f"{when}: {_first_sentence(alert.summary)}", HEADLINE_LENGTH),
        action="check_service",
        advice=ADVICE[BLIND.member(alert.rule)],
        cause=IncidentCause(
            "monitor",
            alert.fingerprint,
            rule=alert.rule,
            segment=alert.segment,
            effect=alert.summary,
        ),
        since=alert.started,
        earliest=alert.started,
        latest=alert.started,
        opened=alert.started,
        updated=alert.updated,
        ended=alert.ended,
        features=[],
        of_features=0,
        effect="",
        alerts=[evidence],
        of_alerts=1,
    )


def _first_sentence(summary: str) -> str:
    """Return what happened; what may have led to it, and what to do, stand elsewhere.

    Examples
    --------
    >>> _first_sentence("The worker is 90.5 s behind. Start more workers.")
    'The worker is 90.5 s behind.'
    """
    return _SENTENCE.split(summary, 1)[0]
