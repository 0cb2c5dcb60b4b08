"""Applies people's commands to alerts and incidents, each once: the checkpoint has the id of the
last.

A command names an alert, or an incident: then it is about the incident and each of its open alerts.
"""

from collections.abc import Sequence

import msgspec

from driftgauge.consumer.judging.alerting import Alerting
from driftgauge.consumer.judging.alerts import lifecycle
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.following import Incidents
from driftgauge.consumer.judging.incidents import life
from driftgauge.consumer.judging.incidents.state import IncidentState
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Acknowledgement, AlertEvidence, Silence
from driftgauge.shared.contract.commands import Acknowledge, Command
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.errors import BadData

MINUTE_MS = 60_000


def apply(
    state: JudgingState,
    alerting: Alerting,
    incidents: Incidents,
    entry_id: str,
    packed: bytes | None,
) -> tuple[list[Incident], str]:
    """Apply an entry of the commands stream, unless it was applied before.

    Returns
    -------
    incidents
        Transitions of incidents; those of alerts are the notices of `alerting`.
    refused
        Why it was refused; empty if it was not. A refused one is counted, and stops nothing.
    """
    progress = state.progress
    if EntryId.parse(entry_id) <= EntryId.parse(progress.commands):
        return [], ""
    progress.commands = entry_id
    try:
        command = commands.decode(packed)
        incident = state.incidents.get(command.fingerprint)
        alerts = _open_alerts(state, command.fingerprint, incident)
        mark = _mark(command, progress.now)
    except BadData as error:
        progress.commands_refused += 1
        return [], f"command {entry_id}: {error}"
    for alert in alerts:
        now = progress.now
        evidence = alert.evidence or AlertEvidence("", 0, None, None, 0, 0, 0, now, now)
        moved = (
            lifecycle.acknowledge(alert, mark)
            if isinstance(mark, Acknowledgement)
            else lifecycle.silence(alert, mark)
        )
        evidence = msgspec.structs.replace(evidence, events=progress.events)
        alerting.keep(moved, evidence, progress.now)
    if incident is None:
        return [], ""
    marked = (
        life.acknowledge(incident, mark)
        if isinstance(mark, Acknowledgement)
        else life.silence(incident, mark)
    )
    return [incidents.write(marked, progress.now)], ""


def _open_alerts(
    state: JudgingState, name: str, incident: IncidentState | None
) -> Sequence[AlertState]:
    """Return the open alerts that a command is about: the one that it names, or an incident's."""
    if incident is not None and incident.is_open:
        known = (state.alerts.get(member) for member in incident.members)
        return [alert for alert in known if alert is not None and alert.is_open]
    alert = state.alerts.get(name)
    if alert is None or not alert.is_open:
        raise BadData(
            f"no open alert or incident has the id {name}; it may have resolved meanwhile"
        )
    return [alert]


def _mark(command: Command, now: int) -> Acknowledgement | Silence:
    if isinstance(command, Acknowledge):
        return Acknowledgement(command.who, command.note, now)
    until = (
        command.until
        if command.until is not None
        else now + round((command.minutes or 0) * MINUTE_MS)
    )
    if until <= now:
        raise BadData(f"a silence until {until} ms is over: the model's logical time is {now} ms")
    return Silence(command.who, command.note, now, until)
