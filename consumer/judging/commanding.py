"""Applies people's commands to the alerts, each once: the checkpoint has the id of the last."""

import msgspec

from driftgauge.consumer.judging.alerting import Alerting
from driftgauge.consumer.judging.alerts.lifecycle import AlertState, Moved, acknowledge, silence
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Acknowledgement, AlertEvidence, Silence
from driftgauge.shared.contract.commands import Acknowledge, Command
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.errors import BadData

MINUTE_MS = 60_000


def apply(state: JudgingState, alerting: Alerting, entry_id: str, packed: bytes | None) -> str:
    """Apply an entry of the commands stream, unless it was applied before.

    Returns
    -------
    str
        Why it was refused; empty if it was not. A refused one is counted, and stops nothing.
    """
    progress = state.progress
    if EntryId.parse(entry_id) <= EntryId.parse(progress.commands):
        return ""
    progress.commands = entry_id
    try:
        command = commands.decode(packed)
        alert = _open_alert(state, command.fingerprint)
        moved = _marked(alert, command, progress.now)
    except BadData as error:
        progress.commands_refused += 1
        return f"command {entry_id}: {error}"
    evidence = alert.evidence or AlertEvidence("", 0, None, None, 0, 0, progress.events, 0, 0)
    alerting.keep(moved, msgspec.structs.replace(evidence, events=progress.events), progress.now)
    return ""


def _open_alert(state: JudgingState, fingerprint: str) -> AlertState:
    alert = state.alerts.get(fingerprint)
    if alert is None or not alert.is_open:
        raise BadData(
            f"no open alert has the fingerprint {fingerprint}; it may have resolved meanwhile"
        )
    return alert


def _marked(alert: AlertState, command: Command, now: int) -> Moved:
    if isinstance(command, Acknowledge):
        return acknowledge(alert, Acknowledgement(command.who, command.note, now))
    until = (
        command.until
        if command.until is not None
        else now + round((command.minutes or 0) * MINUTE_MS)
    )
    if until <= now:
        raise BadData(f"a silence until {until} ms is over: the model's logical time is {now} ms")
    return silence(alert, Silence(command.who, command.note, now, until))
