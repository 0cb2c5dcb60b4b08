"""A logged request or answer becomes the halves of predictions, one for each of its rows.

A row's id is the event's, with the number of the row behind it if there are several. So both halves
of a row go to the same partition, where they meet (consumer/counting/exchanges).
"""

from collections.abc import Callable
from typing import Final, Literal

from driftgauge.producer.exchanges.cloudevents import CloudEvent
from driftgauge.shared.contract.events import Request, Response, Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.otel.context import parsed
from driftgauge.shared.otel.steps import carried_now
from driftgauge.shared.payloads.bodies import Answer, Row, answers_of, rows_of
from driftgauge.shared.reference.schema import FieldError, Schema, pointer

MOST_ID: Final = 120
"""Longest id of an event: rows get a number behind it."""
Part = Literal["request", "response"]
Half = Request | Response
TRACEPARENT: Final = "traceparent"
HEADER_LENGTH: Final = "inferenceheadercontentlength"
"""Extension that says how long the JSON before binary tensors is."""


def part_of(event: CloudEvent) -> Part | None:
    """Return which half an event is; None if it is none.

    Examples
    --------
    >>> event = CloudEvent("7", "s", "org.kubeflow.serving.inference.request", None, {}, b"")
    >>> part_of(event)
    'request'
    """
    if event.type.endswith(".inference.request"):
        return "request"
    return "response" if event.type.endswith(".inference.response") else None


class Reader:
    """Reads the events of one version.

    Parameters
    ----------
    version
        Version that the requests are counted as.
    complete
        Function that makes of a row what is published of it (Schema.completing).
    now
        Unix time (ms) at which the events came.
    """

    def __init__(
        self,
        version: str,
        schema: Schema,
        complete: Callable[[list[Value]], list[Value]],
        now: int,
    ) -> None:
        self._version = version
        self._schema = schema
        self._complete = complete
        self._now = now

    def read(self, event: CloudEvent, part: Part) -> tuple[list[Half], list[list[FieldError]]]:
        """Return the halves of an event, and the faults of each row that cannot be used.

        Raises
        ------
        BadData
            If the event cannot be read as a whole.
        """
        if len(event.id) > MOST_ID:
            raise BadData(f"Its id is longer than {MOST_ID} characters.")
        given = event.extensions.get(HEADER_LENGTH)
        header = int(given[:12]) if given is not None and given.isdecimal() else None
        halves: list[Half] = []
        faults: list[list[FieldError]] = []
        moment = float(self._now) if event.moment is None else event.moment
        if part == "request":
            rows = rows_of(event.data, self._schema, header)
            trace = _trace(event)
            found = [self._request(row, place, trace) for place, row in enumerate(rows)]
        else:
            answers = answers_of(event.data, self._schema, header)
            found = [self._response(answer, place) for place, answer in enumerate(answers)]
        for place, (make, wrong) in enumerate(found):
            if wrong:
                faults.append(wrong)
            else:
                name = event.id if len(found) == 1 else f"{event.id}:{place}"
                halves.append(make(name, moment))
        return halves, faults

    def _request(
        self, row: Row, place: int, trace: str | None
    ) -> tuple[Callable[[str, float], Half], list[FieldError]]:
        values, faults = self._schema.positional(row, f"/data/{place}", scored=False)

        def make(name: str, moment: float) -> Half:
            return Request(name, self._version, moment, self._complete(values), self._now, trace)

        return make, faults

    def _response(
        self, answer: Answer, place: int
    ) -> tuple[Callable[[str, float], Half], list[FieldError]]:
        at = f"/data/{place}"
        made, fault = self._schema.read_prediction(answer.prediction)
        faults = [] if fault is None else [FieldError(pointer(at, "prediction"), fault)]
        shares = answer.probabilities
        fault = self._schema.probabilities_fault(shares)
        if fault is not None:
            faults.append(FieldError(pointer(at, "probabilities"), fault))

        def make(name: str, moment: float) -> Half:
            return Response(
                name, moment, made, None if shares is None else list(map(float, shares))
            )

        return make, faults


def _trace(event: CloudEvent) -> str | None:
    """Return the trace of an event: its own (the extension for distributed tracing), else that of
    the HTTP request.
    """
    found = parsed(event.extensions.get(TRACEPARENT, ""))
    return carried_now() if found is None else found.carried
