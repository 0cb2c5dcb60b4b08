"""`driftgauge incidents`: show, follow, acknowledge and silence the incidents of a running API."""

from typing import Final

from driftgauge.consumer.commands.told.telling import Telling, command
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.wording.times import moment


def incident_line(incident: Incident) -> str:
    """Return an incident as two lines of text: its headline, and what to do."""
    going_on = incident.change in {"opened", "severity", "cause", "evidence", "released"}
    word = incident.state if going_on else incident.change
    return (
        f"{moment(incident.updated)}  {word.upper():8}  {incident.severity.upper():8}  "
        f"{incident.model} {incident.version}  {incident.headline}  [{incident.id}]\n"
        f"{'':25}{incident.advice}"
    )


INCIDENTS: Final = Telling(
    "incidents", Incident, lambda incident: incident.notify, incident_line, "ID", each_once=True
)
incidents = command(INCIDENTS, "incident")
