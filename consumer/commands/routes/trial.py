"""A test of a route: a message that says that it is one, sent from here."""

import secrets
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from driftgauge.consumer.notifying.message import Message, key_of
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import Incident, IncidentCause
from driftgauge.shared.errors import BadData, ServiceUnavailable

MODEL = "test"
"""Model of the incident that a test tells."""
TYPE = "driftgauge.notification.test"
"""Type of its CloudEvent, which no incident has."""


def send_test(route: Route, public_url: str, who: str) -> int:
    """Send a test by a route; return how many messages that were: where an incident is an object
    that stays open, its end is sent too.

    Parameters
    ----------
    who
        Who tests.

    Raises
    ------
    ServiceUnavailable
        If the target does not take it now.
    BadData
        If it refuses it.
    """
    now = int(datetime.now(UTC).timestamp() * 1000)
    name = f"test-{secrets.token_hex(4)}"
    opened = trial_incident(
        name, f"Test of the route {route.name} by {who}: nothing happened.", now
    )
    ended = replace(opened, number=2, state="resolved", change="resolved", ended=now)
    target = build(route.target)
    try:
        told = [opened, ended] if target.in_place else [opened]
        receipt = ""
        for incident in told:
            receipt = _sent(target, route.name, message_of(incident, public_url, now), receipt)
    finally:
        target.close()
    return len(told)


def _sent(target: Target, name: str, message: Message, receipt: str) -> str:
    try:
        return target.send(message, receipt)
    except Refused as error:
        raise BadData(f"The target of the route {name} refuses the test: {error.reason}.") from None
    except Later as error:
        raise ServiceUnavailable(
            f"The target of the route {name} does not take the test now: {error.reason}."
        ) from None


def message_of(incident: Incident, public_url: str, now: int) -> Message:
    """Return the message of a test."""
    event = msgspec.json.decode(cloud_event(incident), type=CloudEvent)
    return Message(
        key=key_of(incident.id, incident.number),
        incident=incident,
        event=msgspec.json.encode(replace(event, type=TYPE)),
        link=f"{public_url.rstrip('/')}/dashboard/incidents" if public_url else "",
        is_first=incident.number == 1,
        is_test=True,
        sent=now,
    )


def trial_incident(name: str, headline: str, now: int) -> Incident:
    """Return an incident that is none."""
    return Incident(
        id=name,
        model=MODEL,
        version="0.0.0",
        kind="operation",
        state="open",
        severity="warning",
        number=1,
        change="opened",
        notify=True,
        headline=headline,
        action="wait",
        advice="Nothing is to be done.",
        cause=IncidentCause("operation", "", rule="test"),
        since=now,
        earliest=now,
        latest=now,
        opened=now,
        updated=now,
        ended=None,
        features=[],
        of_features=0,
        effect="",
        alerts=[],
        of_alerts=0,
    )
