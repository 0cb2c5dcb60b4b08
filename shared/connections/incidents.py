"""Writing a transition of an incident: to its model's stream, and to the open ones."""

from typing import Any

from driftgauge.shared.contract.alerts import INCIDENTS_KEPT, cloud_event
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys


def queue_incident(pipe: Any, keys: Keys, incident: Incident) -> None:
    """Queue the commands in a transaction of either kind of client, beside the alerts that caused
    the transition.
    """
    event, opened = cloud_event(incident), keys.open_incidents(incident.model)
    stream = keys.incidents(incident.model)
    pipe.xadd(stream, {b"e": event}, maxlen=INCIDENTS_KEPT, approximate=True)
    if incident.state == "open":
        pipe.hset(opened, incident.id, event)
    else:
        pipe.hdel(opened, incident.id)
