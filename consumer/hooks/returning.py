"""The rollback that an incident asks for, ready to be the command of the rollback hook.

    DRIFTGAUGE_ROLLBACK_COMMAND='["driftgauge", "models", "rollback", "--incident", "-"]'

It leaves the version that the incident is about, and no other: whoever was faster by hand is not
undone, and a run that is repeated after a crash changes nothing.
"""

from typing import Final

import msgspec

from driftgauge.consumer.judging.incidents.hooks import ROLLBACK
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.versions.stages import StageChange

MOST_BYTES: Final = 1_000_000
"""Most bytes of an incident."""


def incident_in(event: bytes) -> Incident:
    """Read an incident that asks for a rollback.

    Raises
    ------
    BadData
        If it is none, or asks for something else.
    """
    try:
        envelope = msgspec.json.decode(event, type=CloudEvent)
        incident = msgspec.json.decode(envelope.data, type=Incident)
    except UNREADABLE as error:
        raise BadData(
            f"This is no incident as CloudEvents JSON ({error}); give what the hook gets."
        ) from error
    if not ROLLBACK.asked_by(incident):
        raise BadData(
            f"Incident {incident.id} asks for no rollback: it is {incident.state} and "
            f"{incident.severity}, with the action {incident.action}; nothing was changed."
        )
    return incident


def roll_back(registry: ModelRegistry, incident: Incident, *, actor: str) -> StageChange | None:
    """Put the version before the incident's back; return None if that is no longer in production.

    Raises
    ------
    BadData
        If it is not made, with the reason (`Stages.unattended`).
    """
    leaving = incident.cause.version or incident.version
    if registry.stages(incident.model).production != leaving:
        return None
    reason = f"incident {incident.id}: {incident.headline}"
    return registry.rollback(incident.model, actor=actor, reason=reason, leaving=leaving)
