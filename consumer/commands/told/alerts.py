"""`driftgauge alerts`: show, follow, acknowledge and silence the alerts of a running API."""

from typing import Final

from driftgauge.consumer.commands.told.telling import Telling, command
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.wording.times import moment


def alert_line(alert: Alert) -> str:
    """Return an alert as one line of text."""
    from driftgauge.shared.wording.titles import alert_words, subject_of

    word = alert.state if alert.change in {"state", "severity", "released"} else alert.change
    return (
        f"{moment(alert.updated)}  {word.upper():8}  {alert.severity.upper():8}  {alert.model} "
        f"{alert.version}  {subject_of(alert)}: {alert_words(alert)}  [{alert.fingerprint}]"
    )


ALERTS: Final = Telling(
    "alerts",
    Alert,
    lambda alert: alert.state in {"firing", "resolved"} and alert.notify,
    alert_line,
    "FINGERPRINT",
)
alerts = command(ALERTS, "alert")
