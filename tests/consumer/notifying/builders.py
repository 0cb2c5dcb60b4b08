"""Transitions of incidents, and routes."""

from typing import Any

from driftgauge.consumer.notifying.choices import Webhook
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.delivery import incident_in
from driftgauge.shared.contract.incident import Incident
from tests.consumer.hooks.builders import incident_event


def transition(name: str, number: int, change: str = "opened", **more: Any) -> bytes:
    """Return a transition of an incident; people are told of it unless it says otherwise."""
    quiet = change in {"evidence", "acknowledged", "silenced"}
    given = {"change": change, "notify": not quiet, "model": "plant"} | more
    if change == "resolved":
        given |= {"state": "resolved", "ended": 2000}
    return incident_event(number, name, **given)


def incident(name: str = "a", number: int = 1, change: str = "opened", **more: Any) -> Incident:
    found = incident_in(transition(name, number, change, **more))
    assert found is not None
    return found


def route(name: str = "on-call", **more: Any) -> Route:
    given: dict[str, Any] = {"target": Webhook(url="http://127.0.0.1:9/")} | more
    return Route(name=name, **given)
