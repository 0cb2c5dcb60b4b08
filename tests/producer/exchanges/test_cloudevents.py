"""The three forms of CloudEvents over HTTP."""

import base64
import json
from typing import Any

import pytest

from driftgauge.producer.exchanges.cloudevents import CloudEvent, read_events
from driftgauge.shared.errors import BadData

TYPE = "org.kubeflow.serving.inference.request"
ATTRIBUTES = {
    "id": "a b",
    "source": "http://localhost:9081/",
    "specversion": "1.0",
    "type": TYPE,
    "time": "2025-11-20T13:00:00.123456789+01:00",
    "inferenceservicename": "steel",
}
EVENT = CloudEvent(
    "a b",
    "http://localhost:9081/",
    TYPE,
    1763640000123.456,
    {"inferenceservicename": "steel"},
    b"[1]",
)


@pytest.mark.parametrize(
    ("headers", "body", "many"),
    [
        (
            {f"ce-{name}": text.replace(" ", "%20") for name, text in ATTRIBUTES.items()},
            b"[1]",
            False,
        ),
        (
            {"content-type": "application/cloudevents+json; charset=utf-8"},
            json.dumps(ATTRIBUTES | {"data": [1]}).encode(),
            False,
        ),
        (
            {"content-type": "application/cloudevents-batch+json"},
            json.dumps([ATTRIBUTES | {"data_base64": base64.b64encode(b"[1]").decode()}]).encode(),
            True,
        ),
    ],
    ids=["binary", "structured", "batched"],
)
def test_every_form_says_the_same(headers: dict[str, str], body: bytes, many: bool) -> None:  # noqa: FBT001  a parameter
    """Attributes, content and time (to the microsecond) of an event."""
    assert read_events(headers, body) == ([EVENT], many)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "the event has no id"),
        ({"specversion": "0.3"}, "its specversion is '0.3'"),
        ({"time": "yesterday"}, "its time is none"),
        ({"time": "2025-11-20T13:00:00"}, "its time is none"),
        ({"data_base64": "?"}, "data_base64 is no base64"),
    ],
)
def test_one_bad_event_of_a_batch_does_not_affect_the_others(
    change: dict[str, Any], said: str
) -> None:
    """It is said of each event by itself what is wrong."""
    body = json.dumps([ATTRIBUTES | change, 7, ATTRIBUTES | {"data": [1]}]).encode()
    found, _ = read_events({"content-type": "application/cloudevents-batch+json"}, body)
    assert str(found[0]).startswith(said)
    assert found[1:] == ["the event is no object", EVENT]


def test_what_is_no_event_is_refused() -> None:
    """A request without any attribute, or whose document cannot be read."""
    with pytest.raises(BadData, match="This is no CloudEvent"):
        read_events({"content-type": "application/json"}, b"{}")
    with pytest.raises(BadData, match="The body is not JSON"):
        read_events({"content-type": "application/cloudevents+json"}, b"{")
    with pytest.raises(BadData, match="no list of events"):
        read_events({"content-type": "application/cloudevents-batch+json"}, b"{}")
