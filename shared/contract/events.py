"""The form of predictions and labels in the log: the contract between producer and consumer
(docs/architecture.md).

A log entry has the fields `t` (type), `p` (publisher), `s` (sequence number) and `e` (compact
JSON), in this order. A tick has only `t`; a new reference has `t` and `e`
(shared/reference/history.py). A void says of numbers of its publisher that no event has them. A
prediction whose request and response are logged apart comes as two entries, of which counting makes
one (consumer/counting/exchanges).
"""

from binascii import crc32
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

PREDICTION: Final = b"p"
LABEL: Final = b"l"
FAILURE: Final = b"f"
REQUEST: Final = b"q"
RESPONSE: Final = b"a"
TICK: Final = b"k"
UNUSABLE: Final = b"d"
"""A message of another log that cannot be used: counting makes a dead letter of it, with the reason
that stands in its field `reason`.
"""
NEW_REFERENCE: Final = b"r"
VOID: Final = b"v"
MONITOR_GROUP: Final = "monitor"
"""The consumer group whose offset shows the counting stage's progress to redis-cli and dashboards.
"""
UNCOUNTED: Final = b"ids"
"""Field of an entry of `Keys.uncounted`: ids of entries of the log, separated by blanks, that were
repeated or could not be used. The id of the entry is the offset of the commit that passed them.
"""
REFUSED: Final = b"refused"
"""Field beside `UNCOUNTED`, where some could not be used: a JSON object of the reasons, each with
the ids of its entries, separated by blanks.
"""

Source = Literal["online", "batch", "shadow"]
Value = float | str | None
LAST_NUMBER: Final = 2**63 - 1
"""The largest number that a publisher may give."""
Number = Annotated[int, msgspec.Meta(ge=1, le=LAST_NUMBER)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Unix time in ms, from 1970 to 9999."""
FractionalMs = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class Prediction(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """One prediction in the log.

    `features` is positional, in the order of the version's schema: numbers, category strings, or
    None for missing. `probabilities` are those of the schema's classes, in their order; None where
    the model gives none. `received` is the time at which an API took an event whose id the client
    supplied: by it a repeated id is recognised, however late the event arrives. `trace` is the span
    in which it was made, as trace and span id (shared/otel/context.py), of a trace that is kept.

    Examples
    --------
    >>> event = Prediction(
    ...     id="a", version="1.0.0", time=1763650000123, features=[1.5, None, "x"], prediction=41.7
    ... )
    >>> encode(event)
    b'{"id":"a","version":"1.0.0","time":1763650000123,"features":[1.5,null,"x"],"prediction":41.7}'
    """

    id: str
    version: str
    time: Milliseconds
    features: list[Value]
    prediction: float | str | None
    latency_ms: float | None = None
    source: Source = "online"
    client_id: bool = False
    probabilities: list[float] | None = None
    received: Milliseconds | None = None
    trace: str | None = None


class Label(msgspec.Struct, gc=False, frozen=True):
    """The true value of a prediction, in the log of the prediction's partition.

    Parameters
    ----------
    id
        Id of the prediction.
    label
        True value: a number or a class, the kind of the schema's prediction.
    time
        Unix time (ms) at which it became known.

    Examples
    --------
    >>> encode(Label(id="a", label="yes", time=1763650000123))
    b'{"id":"a","label":"yes","time":1763650000123}'
    """

    id: str
    label: float | str
    time: Milliseconds


class Failure(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """A prediction that failed: it is counted, and judged as a rate.

    Parameters
    ----------
    error
        Kind of the error, such as `ValueError`.
    features
        As those of a `Prediction`; None if they do not fit the schema, which may be the reason.

    Examples
    --------
    >>> encode(Failure("a", "1.0.0", 1763650000123, "ValueError"))
    b'{"id":"a","version":"1.0.0","time":1763650000123,"error":"ValueError"}'
    """

    id: str
    version: str
    time: Milliseconds
    error: str
    features: list[Value] | None = None
    latency_ms: float | None = None


class Void(msgspec.Struct, gc=False, frozen=True):
    """Numbers of a publisher that no event has, since the API refused what had them, or the
    publisher gave it up: they are not missing. The entry's own number is the first of them.

    Parameters
    ----------
    spans
        First and last number of each run.

    Examples
    --------
    >>> encode(Void([(7, 7), (9, 12)]))
    b'{"spans":[[7,7],[9,12]]}'
    """

    spans: list[tuple[Number, Number]]


class Request(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """The half of a prediction that a model was asked, where request and response are logged apart
    (docs/exchanges.md).

    Parameters
    ----------
    moment
        Unix time (ms, with its fraction) of the request.
    features
        As those of a `Prediction`.
    received
        Unix time (ms) at which an API took it.
    trace
        As that of a `Prediction`.

    Examples
    --------
    >>> asked = Request("a", "1.0.0", 1763650000123.25, [1.5, None], 1763650000200)
    >>> asked.answered(Response("a", 1763650000125.5, 41.7)).latency_ms
    2.25
    """

    id: str
    version: str
    moment: FractionalMs
    features: list[Value]
    received: Milliseconds
    trace: str | None = None

    def answered(self, response: "Response") -> Prediction:
        """Return the prediction that both halves tell of."""
        return Prediction(
            id=self.id,
            version=self.version,
            time=int(self.moment),
            features=self.features,
            prediction=response.prediction,
            latency_ms=max(0.0, round(response.moment - self.moment, 3)),
            client_id=True,
            probabilities=response.probabilities,
            received=self.received,
            trace=self.trace,
        )


class Response(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """The half of a prediction that a model answered.

    Parameters
    ----------
    moment
        Unix time (ms, with its fraction) of the answer.
    """

    id: str
    moment: FractionalMs
    prediction: float | str | None
    probabilities: list[float] | None = None


Event = Prediction | Label | Failure | Request | Response
"""What a publisher writes to a log."""
KINDS: Final[dict[type[Event | Void], bytes]] = {
    Prediction: PREDICTION,
    Label: LABEL,
    Failure: FAILURE,
    Request: REQUEST,
    Response: RESPONSE,
}
"""Types of the entries, by what they hold."""
WRITTEN: Final[Mapping[type, bytes]] = {**KINDS, Void: VOID}
"""Types of all entries that publishers write."""

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def partition_of(prediction_id: str, partitions: int) -> int:
    """Return the partition of a prediction, and so of its label.

    Examples
    --------
    >>> partition_of("0190f0a0-0000-7000-8000-000000000000", 1)
    0
    """
    return crc32(prediction_id.encode()) % partitions
