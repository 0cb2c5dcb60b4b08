"""The kinds of messages, each with a published JSON Schema.

In Redis points in time are Unix ms; what the API tells (names that begin with `api-`) has them in
ISO 8601.
"""

from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec

from driftgauge.producer.answers.cloud_events import AlertEvent, IncidentEvent
from driftgauge.producer.describing.schemas import Named
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.commands import Command
from driftgauge.shared.contract.events import (
    Failure,
    Label,
    Prediction,
    Request,
    Response,
    Void,
)
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.history import ReferenceChange

TEXT: Final = {"type": "string"}
NUMBER: Final = {"type": "integer"}


@dataclass(frozen=True)
class Kind:
    """A kind of messages.

    Parameters
    ----------
    name
        Name of its schema and of the message.
    title
        What it is, in some words.
    models
        Struct that is written, or those of which it is one; or a schema by hand.
    told
        Whether points in time are in ISO 8601, as the API tells them.
    whole
        Whether fields with a default are always there: not where others write it.
    """

    name: str
    title: str
    models: tuple[type, ...] | Named
    told: bool = False
    whole: bool = True


def _event_of(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the struct of a CloudEvent in Redis whose `data` is of a type."""
    made = msgspec.defstruct(
        f"{struct.__name__}Written",
        [("data", struct)],
        bases=(CloudEvent,),
        frozen=True,
        kw_only=True,
    )
    made.__doc__ = f"A CloudEvent (1.0, JSON) whose `data` is of the kind {struct.__name__}."
    return made


def _object(*required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": fields}


EXCHANGE: Final = Named(
    "Exchange",
    _object(
        "id",
        "source",
        "specversion",
        "type",
        id={**TEXT, "description": "Id of the prediction: the same for request and answer."},
        source=TEXT,
        specversion={**TEXT, "pattern": "^1[.]"},
        type={**TEXT, "description": "Ends with `inference.request` or `inference.response`."},
        time={**TEXT, "format": "date-time"},
        inferenceservicename={**TEXT, "description": "The model, if the address names none."},
        data={"description": "Body of the request or of the answer, as the server got or gave it."},
    ),
)
LETTER: Final = Named(
    "DeadLetter",
    _object(
        "entry_id",
        "reason",
        entry_id={**TEXT, "description": "Id of the entry in its stream."},
        reason={**TEXT, "description": "Why it could not be used."},
    )
    | {"description": "The fields of a dead letter; those of the entry itself stand beside them."},
)
REFUSED: Final = Named(
    "RefusedMessage",
    _object(
        "key",
        "model",
        "reason",
        "e",
        key={**TEXT, "description": "Key of the message: the incident and the number in it."},
        model=TEXT,
        reason={**TEXT, "description": "Why its target did not take it."},
        e={**TEXT, "description": "The beginning of the incident's CloudEvent."},
    )
    | {"description": "The fields of a message that a route of notifications could not deliver."},
)
PAGES: Final = (
    Kind("page-beat", "Why models are not monitored", Named("PageBeat", _object("unmonitored"))),
    Kind(
        "page-state",
        "Traffic and backlog of a model",
        Named("PageState", _object("model", model=TEXT, events=NUMBER, waiting=NUMBER)),
    ),
    Kind(
        "page-serving",
        "The version that a model serves",
        Named("PageServing", _object("model", "serving", "fault", model=TEXT, serving=TEXT)),
    ),
    Kind(
        "page-current",
        "The current window of a model",
        Named("PageCurrent", _object("model", "version", model=TEXT, severity=TEXT, firing=NUMBER)),
    ),
    Kind(
        "page-snapshot",
        "A new report of a model",
        Named("PageSnapshot", _object("model", "entry", model=TEXT, entry=TEXT)),
    ),
)
"""What the dashboard's own pages listen to, beside alerts."""
KINDS: Final = (
    Kind("prediction", "A prediction in the log", (Prediction,)),
    Kind("label", "The true value of a prediction, in the log", (Label,)),
    Kind("failure", "A prediction that failed, in the log", (Failure,)),
    Kind("request", "What a model was asked, in the log", (Request,)),
    Kind("response", "What a model answered, in the log", (Response,)),
    Kind("void", "Numbers that no event has, in the log", (Void,)),
    Kind("reference-change", "Another reference from here on, in the log", (ReferenceChange,)),
    Kind("command", "What a person asks judging for", get_args(Command), whole=False),
    Kind("alert", "An alert's transition", (Alert,)),
    Kind("incident", "An incident's transition", (Incident,)),
    Kind("snapshot", "All results about a window", (Snapshot,)),
    Kind("alert-event", "An alert's transition as a CloudEvent", (_event_of(Alert),)),
    Kind("incident-event", "An incident's transition as a CloudEvent", (_event_of(Incident),)),
    Kind("snapshot-event", "A snapshot as a CloudEvent", (_event_of(Snapshot),)),
    Kind("api-alert", "An alert's transition, as the API tells it", (Alert,), told=True),
    Kind("api-incident", "An incident's transition, as the API tells it", (Incident,), told=True),
    Kind(
        "api-alert-event", "The CloudEvent of an alert that is followed", (AlertEvent,), told=True
    ),
    Kind(
        "api-incident-event",
        "The CloudEvent of an incident that is followed",
        (IncidentEvent,),
        told=True,
    ),
    Kind("exchange", "A logged request or answer of a model server", EXCHANGE),
    Kind("dead-letter", "What could not be used, and why", LETTER),
    Kind("refused-message", "A notification that could not be delivered", REFUSED),
    *PAGES,
)
"""All kinds, in the order in which data flows."""
NAMED: Final = {kind.name: kind for kind in KINDS}
