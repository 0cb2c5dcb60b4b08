"""Transitions as the API tells them."""

import msgspec
import pytest

from driftgauge.producer.answers.cloud_events import AlertEvent, events_of, telling
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.moments import untold

EVIDENCE = AlertEvidence("psi", 0.3, 0.2, 0.01, 5000, 2000, 9, 1, 2)
ALERT = Alert(
    "f" * 16, "steel", "1.0.0", "x", "psi", "warning", "firing", "", EVIDENCE, 1, 2, None, ""
)


def test_times_are_told_in_iso_8601_and_read_again() -> None:
    """An event of a stream has every time with its zone, also within its evidence; a client of ours
    reads the same alert.
    """
    document = msgspec.json.decode(telling("alert")(cloud_event(ALERT)))
    assert document["data"]["started"] == "1970-01-01T00:00:00.001Z"
    assert document["data"]["evidence"]["window_end"] == "1970-01-01T00:00:00.002Z"
    assert document["data"]["ended"] is None
    assert untold(document["data"], Alert) == ALERT


@pytest.mark.parametrize("event", [b"{", b'{"id": "a"}', b"\xff", b'{"data": ' + b"[" * 9000])
def test_what_cannot_be_read_stays_as_it_is(event: bytes) -> None:
    """A stream passes on what another release wrote, and a list leaves it out."""
    assert telling("alert")(event) == event
    assert events_of([{"id": "a"}, 5, None], AlertEvent) == []
