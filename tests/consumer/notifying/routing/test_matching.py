"""Which incidents a route takes."""

from typing import Any

import pytest

from driftgauge.consumer.notifying.routes import Match
from driftgauge.consumer.notifying.routing.matching import takes
from driftgauge.shared.contract.incident import IncidentAlert, IncidentCause
from tests.consumer.notifying.builders import incident, route

NORTH = IncidentAlert("g", "1.0.0", "", "segment.psi", "warning", "", 1, 1, segment="region=north")


@pytest.mark.parametrize(
    ("match", "changes", "taken"),
    [
        ({}, {}, True),
        ({"models": ("plant",)}, {}, True),
        ({"models": ("steel*", "pl?nt")}, {}, True),
        ({"models": ("steel*",)}, {}, False),
        ({"models": ("[p]lant",)}, {}, True),
        ({"severity": "critical"}, {}, True),
        ({"severity": "critical"}, {"severity": "warning"}, False),
        ({"severity": "warning"}, {"severity": "critical"}, True),
        ({"kinds": ("operation",)}, {}, False),
        ({"kinds": ("operation",)}, {"kind": "operation"}, True),
        ({"kinds": ()}, {}, False),
        ({"rules": ("performance.*",)}, {}, True),
        ({"rules": ("blind.*",)}, {}, False),
        ({"rules": ("segment.*",)}, {"alerts": [NORTH]}, True),
        ({"segments": ("region=*",)}, {}, False),
        ({"segments": ("*",)}, {}, False),
        ({"segments": ("region=*",)}, {"alerts": [NORTH]}, True),
        (
            {"segments": ("region=north",)},
            {"cause": IncidentCause("segment", "g", segment="region=north")},
            True,
        ),
        ({"actions": ("retrain", "wait")}, {}, True),
        ({"actions": ("fix_feed",)}, {}, False),
        ({"models": ("plant",), "actions": ("fix_feed",)}, {}, False),
    ],
)
def test_all_conditions_are_met(match: Any, changes: Any, taken: bool) -> None:  # noqa: FBT001
    """An incident is taken if it meets every condition; a segment is asked for by name."""
    assert takes(route(match=Match(**match)), incident(**changes)) is taken


def test_a_route_is_not_told_of_itself() -> None:
    """That a route fails is told by the others."""
    cause = IncidentCause("monitor", "f", rule="blind.notification", segment="route=on-call")
    found = incident(cause=cause)
    assert not takes(route("on-call"), found)
    assert takes(route("another"), found)
