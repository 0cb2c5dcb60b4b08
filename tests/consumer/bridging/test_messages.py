"""What a message says."""

from typing import Any

import pytest

from driftgauge.consumer.bridging.kafka import _trace
from driftgauge.consumer.bridging.messages import Place, Usable, label_of, predictions_of
from driftgauge.shared.contract.events import Label
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.schema import Feature, Schema

SCHEMA = Schema(
    (Feature("x", "numeric"), Feature("c", "categorical")), "categorical", classes=("a", "b")
)
USABLE = Usable("1.0.0", SCHEMA, lambda row: row)
PLACE = Place("t-0-7", None, 1000)


def read(document: Any, place: Place = PLACE) -> Any:
    return predictions_of(document, place, {None: USABLE, "1.0.0": USABLE}.get)


@pytest.mark.parametrize(
    "document",
    [
        {"features": {"x": 1, "c": "u"}, "prediction": "a", "id": "i", "time": 5},
        {"x": 1, "c": "u", "prediction": "a", "id": "i", "time": 5},
        {
            "request": {"instances": [[1, "u"]]},
            "response": {"predictions": ["a"]},
            "id": "i",
            "time": "1970-01-01T00:00:00.005Z",
        },
    ],
    ids=["event", "row", "exchange"],
)
def test_every_form_says_the_same(document: dict[str, Any]) -> None:
    """One prediction, by the sender's id and time."""
    (found,) = read(document)
    assert (found.id, found.client_id, found.time, found.received) == ("i", True, 5, 1000)
    assert (found.features, found.prediction, found.version) == ([1.0, "u"], "a", "1.0.0")


def test_what_a_message_does_not_say() -> None:
    """Without an id it is the key, and without a key the message's own place, which no client can
    have sent twice; the time is the message's.
    """
    row = {"x": 1, "c": "u", "prediction": "a"}
    (keyed,) = read(row, Place("t-0-7", "order", 1000))
    assert (keyed.id, keyed.client_id, keyed.time) == ("order", True, 1000)
    (bare,) = read(row)
    assert (bare.id, bare.client_id, bare.received) == ("t-0-7", False, None)


def test_several_rows_have_numbers_behind_the_id() -> None:
    """As those of a logged request (docs/exchanges.md)."""
    document = {
        "request": {"instances": [[1, "u"], [2, "v"]]},
        "response": {"predictions": [[0.75, 0.25], [0.25, 0.75]]},
        "id": "i",
    }
    found = read(document)
    assert [(one.id, one.prediction, one.probabilities) for one in found] == [
        ("i:0", "a", [0.75, 0.25]),
        ("i:1", "b", [0.25, 0.75]),
    ]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no object"),
        ({"x": 1, "c": "u", "version": "9.9.9"}, "Version '9.9.9' is not registered"),
        ({"x": "?", "c": "u", "prediction": "a"}, "x must be a number"),
        ({"x": 1, "prediction": "a"}, "c is missing"),
        ({"x": 1, "c": "u"}, "prediction"),
        ({"x": 1, "c": "u", "prediction": "a", "id": ""}, "Its id is no text"),
        ({"x": 1, "c": "u", "prediction": "a", "time": "now"}, "time is neither"),
        ({"x": 1, "c": "u", "prediction": "a", "latency_ms": -1}, "latency_ms"),
        ({"x": 1, "c": "u", "prediction": "a", "probabilities": [1]}, "probabilities must be 2"),
        ({"request": {"instances": []}, "response": {"predictions": []}}, "0 rows were asked"),
    ],
)
def test_what_cannot_be_used_is_said(document: Any, said: str) -> None:
    """The reason stands in the dead letter."""
    with pytest.raises(BadData, match=said):
        read(document)


def test_labels() -> None:
    """By `id`, by `prediction_id` or by the key."""
    assert label_of({"prediction_id": "i", "label": "a", "time": 5}, PLACE, SCHEMA) == Label(
        "i", "a", 5
    )
    with pytest.raises(BadData, match="neither id"):
        label_of({"label": "a"}, PLACE, SCHEMA)
    with pytest.raises(BadData, match="label is missing"):
        label_of({"id": "i"}, PLACE, SCHEMA)


def test_the_trace_of_a_message_goes_with_it() -> None:
    """A header `traceparent` is the trace of the predictions; what is none is ignored."""
    good = f"00-{'a' * 32}-{'b' * 16}-01".encode()
    assert _trace([("TraceParent", good), ("other", None)]) == f"{'a' * 32}-{'b' * 16}"
    assert _trace([("traceparent", b"\xff"), ("x", "text")]) is None
    assert _trace([("traceparent", good), ("traceparent", good)]) is None
    (found,) = read({"x": 1, "c": "u", "prediction": "a"}, Place("t-0-7", None, 1000, "a-b"))
    assert found.trace == "a-b"
