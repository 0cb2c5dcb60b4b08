"""Alerts and incidents as the API tells them: each transition as a CloudEvent (1.0, JSON), with its
points in time in ISO 8601.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeVar

import msgspec

from driftgauge.shared.contract.alert import Alert, schema_id
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.moments import IsoTime, told
from driftgauge.shared.unpacking import UNREADABLE


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """A transition as a CloudEvent.

    Parameters
    ----------
    id
        Id of the transition, the same whenever the same log is judged.
    source
        `/driftgauge/` and the model.
    subject
        The version, and what it is about.
    time
        When it happened.
    dataschema
        Name of the JSON schema of `data`, in which times are ISO 8601; `/schemas` lists them.
    """

    id: str
    source: str
    type: str
    subject: str
    time: IsoTime
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = ""


class AlertEvent(_Event, frozen=True, kw_only=True):
    """A transition of an alert, as a CloudEvent.

    Parameters
    ----------
    type
        `driftgauge.alert.` and the state that was entered, or the mark that was set.
    """

    data: Alert


class IncidentEvent(_Event, frozen=True, kw_only=True):
    """A transition of an incident, as a CloudEvent.

    Parameters
    ----------
    type
        `driftgauge.incident.` and what changed.
    """

    data: Incident


Event = TypeVar("Event", bound=AlertEvent | IncidentEvent)
NAMES: Final[dict[type, str]] = {AlertEvent: "api-alert", IncidentEvent: "api-incident"}
"""Names of the schemas of what their `data` is in answers."""
FORMS: Final[dict[str, type[AlertEvent] | type[IncidentEvent]]] = {
    "alert": AlertEvent,
    "incident": IncidentEvent,
}
"""What a stream of each kind holds."""


def events_of(found: Iterable[Any], form: type[Event]) -> list[Event]:
    """Read decoded events; those that this release cannot read are left out."""
    events = []
    for one in found:
        try:
            events.append(_told(msgspec.convert(one, form)))
        except UNREADABLE:  # written by hand, or by another release
            continue
    return events


def telling(kind: str) -> Callable[[bytes], bytes]:
    """Return what tells an event of a stream; one that cannot be read stays as it is."""
    decode = msgspec.json.Decoder(FORMS[kind]).decode

    def tell(packed: bytes) -> bytes:
        try:
            return msgspec.json.encode(told(_told(decode(packed))))
        except UNREADABLE:  # written by hand, or by another release
            return packed

    return tell


def _told(event: Event) -> Event:
    """Return an event with the schema of what the API tells, not of what the stream holds."""
    found: Event = msgspec.structs.replace(event, dataschema=schema_id(NAMES[type(event)]))
    return found
