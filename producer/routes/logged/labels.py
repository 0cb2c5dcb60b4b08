"""POST /labels: publish the true values of predictions, one or many, as JSON or CSV. GET /labels:
what became of them.

Each label is accepted or rejected by itself. The accepted ones go to the logs of their predictions'
partitions, numbered and spooled as predictions are; the worker joins them.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import needs
from driftgauge.producer.describing.declared import JSON, answers, in_query, takes
from driftgauge.producer.describing.schemas import Named, reference
from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.intake.documents import (
    Check,
    NotJson,
    field_faults,
    is_id,
    is_text,
    is_time,
    read_body,
)
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.intake.items import LINES, is_lines, items_of, too_many
from driftgauge.producer.intake.label_rows import InputLabel, of_csv, time_of
from driftgauge.producer.intake.numbering import (
    NUMBER,
    PARAMETERS,
    Numbering,
    is_number,
    voids,
)
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.intake.turns import Turns, run
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.receipts import Outcome, worst
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.routes.parameters import TIME_SCHEMA
from driftgauge.producer.routes.raw_body import MISNUMBERED, RawBodyRoute
from driftgauge.producer.scoring.serving import ServedVersion, Serving, only_model
from driftgauge.shared.contract.counters import LabelCounts
from driftgauge.shared.contract.events import Label
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.reference.schema import FieldError, Reason


def is_anything(_: object) -> None:
    """A label is checked against the schema."""


CHECKS: Final[dict[str, Check]] = {
    "prediction_id": is_id,
    "label": is_anything,
    "time": is_time,
    "model": is_text,
}
LABEL: Final = Named(
    "Label",
    {
        "type": "object",
        "required": ["prediction_id", "label"],
        "additionalProperties": False,
        "properties": {
            "prediction_id": {
                "type": "string",
                "maxLength": 128,
                "description": "As /predict or /events answered it.",
            },
            "label": {
                "type": ["number", "string", "boolean"],
                "description": "The true value, of the kind that the model predicts.",
            },
            "time": TIME_SCHEMA
            | {"description": "When it became known: ISO 8601 with zone, or Unix ms."},
            "model": {"type": "string", "description": "Needed only when there are several."},
            "number": NUMBER,
        },
    },
)
BODY: Final = Named(
    "Labels",
    {"oneOf": [reference(LABEL), {"type": "array", "items": reference(LABEL)}]},
    (LABEL,),
)
OF_MODEL: Final = in_query("model", "Name of the model; needed only when there are several.")


class RejectedLabel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A label that was not taken, and why.

    Parameters
    ----------
    index
        Place in the request, from 0.
    line
        Where it begins in a CSV body.
    """

    index: int
    reason: str
    line: int | None = None
    prediction_id: str | None = None


class LabelsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of labels.

    Parameters
    ----------
    event
        What became of the accepted ones: they are in Redis, on disk, or in memory.
    other
        Accepted ones of a class that the model does not know; absent if none.
    """

    accepted: int
    rejected: list[RejectedLabel]
    event: Outcome
    other: int = 0


class LabelTotals(LabelCounts):
    """What became of all labels of a model so far.

    Parameters
    ----------
    arrived
        Labels that came, whatever became of them.
    too_late
        Labels whose day is not kept any more.
    """

    arrived: int = msgspec.field(name="came", default=0)
    too_late: int = 0


UNREADABLE: Final = FieldError("", "is no label", "unreadable")


class _Refusal(Exception):
    """Why one label is not taken, in words and as it is counted."""

    def __init__(self, words: str, fault: FieldError) -> None:
        super().__init__(words)
        self.fault = fault


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=RawBodyRoute, tags=["labels"])
    most = parts.settings.events_max_rows

    @routes.post("/labels")
    @needs("label")
    @takes({JSON: BODY, "text/csv": str, "application/x-ndjson": LABEL}, ENCODING, *PARAMETERS)
    @answers(
        LabelsAnswer,
        "What was accepted, and what was rejected and why.",
        status=202,
        others={409: MISNUMBERED},
    )
    async def publish_labels(request: Request) -> Response:
        """Publish the true values of predictions. A label that cannot be used does not affect the
        others.
        """
        kind = request.headers.get("content-type", "")
        is_csv = _is_csv(kind)
        numbering = parts.clients.numbering(request.query_params)
        body = await read_body(request, parts.settings.events_max_bytes)
        checked = CheckedLabels(
            parts.serving, request.query_params.get("model"), parts.refused_labels, numbering
        )
        lines = is_lines(kind)
        await checked.check(_in_csv(body, most) if is_csv else _in_json(body, most, lines=lines))
        outcome = await _publish(parts, checked, numbering)
        if outcome == "dropped":
            raise Problem(
                503,
                "The queue for Redis is full; nothing was accepted. Send it again later.",
                (),
                RETRY_AFTER,
            )
        accepted = sum(map(len, checked.accepted.values()))
        document = LabelsAnswer(accepted, checked.rejected, outcome, checked.other)
        return Response(msgspec.json.encode(document), 202, media_type=JSON)

    @routes.get("/labels")
    @needs("label", "read")
    @takes(None, OF_MODEL)
    @answers(LabelTotals, "Numbers of labels.")
    async def count_labels(request: Request) -> Response:
        """Tell what became of all labels of a model so far: how many came, were joined, wait for
        their predictions, and so on.
        """
        name = await known_model(parts, request.query_params.get("model"))
        [state] = await parts.pipeline.read([name])
        counts = [partition.counters.labels for partition in state.partitions]
        sums = {
            field: sum(getattr(one, field) for one in counts)
            for field in LabelCounts.__struct_fields__
        }
        came = sum(one.came for one in counts)
        return answer(LabelTotals(**sums, arrived=came, too_late=state.labels_too_late))

    return routes


class CheckedLabels:
    """The labels of one request, sorted into accepted and rejected ones.

    Parameters
    ----------
    model
        Model of labels that name none.
    refused
        Counts of what is taken and refused.
    numbering
        How a publisher has numbered them; None if nobody has.

    Attributes
    ----------
    numbers, refused
        Partition and number of each accepted label, and of the rejected ones that say so, if they
        are numbered.
    """

    def __init__(
        self,
        serving: Serving,
        model: str | None,
        refused: Refusals,
        numbering: Numbering | None = None,
    ) -> None:
        self.accepted: dict[str, list[Label]] = defaultdict(list)
        self.rejected: list[RejectedLabel] = []
        self.numbers: list[tuple[int, int]] = []
        self.refused: list[tuple[int, int]] = []
        self.other = 0
        self._serving = serving
        self._counts = refused
        self._numbering = numbering
        self._model = model if numbering is None else numbering.model
        self._known: dict[str | None, ServedVersion | str] = {}
        self._now = time.time_ns() // 1_000_000

    async def check(self, items: AsyncIterator[InputLabel]) -> None:
        """Check labels."""
        index = -1
        async for item in items:
            index += 1
            content, numbering = item.content, self._numbering
            place = None if numbering is None else numbering.place(content, "prediction_id")
            try:
                model, label = self._label(item)
                self.accepted[model].append(label)
                self.numbers += [place] if place is not None else []
            except _Refusal as refusal:
                self.refused += [place] if place is not None else []
                self.rejected.append(
                    RejectedLabel(index, str(refusal), item.line, _id_of(item.content))
                )
                self._counts.refuse(self._model_of(item.content), None, [refusal.fault])
        for model, labels in self.accepted.items():
            self._counts.take(model, len(labels))

    def _model_of(self, content: object) -> str:
        """Name the model that a refused label is of."""
        named = content.get("model") if isinstance(content, dict) else None
        return only_model(self._serving, named if isinstance(named, str) else self._model)

    def _label(self, item: InputLabel) -> tuple[str, Label]:
        content = item.content
        if isinstance(content, str) and item.line is not None:
            raise _Refusal(content, UNREADABLE)
        if isinstance(content, NotJson):
            raise _Refusal(content.reason, UNREADABLE)
        if not isinstance(content, dict):
            raise _Refusal("must be an object", UNREADABLE)
        if item.line is not None and isinstance(content.get("time"), str):
            content["time"] = time_of(content["time"])
        numbering = self._numbering
        checks = CHECKS if numbering is None else CHECKS | {"number": is_number}
        faults = field_faults(content, checks, "prediction_id")
        if numbering is not None:
            faults += numbering.faults(content, "prediction_id", "")
        if faults:
            raise _Refusal(
                "; ".join(
                    f"{fault.field.removeprefix('/')} {fault.message}" for fault in faults[:5]
                ),
                faults[0],
            )
        served = self._served(content.get("model"))
        truth, fault = served.schema.read_label(content.get("label"), texts=item.line is not None)
        if truth is None or fault is not None:
            kind: Reason = "missing" if content.get("label") is None else "wrong_type"
            raise _Refusal(f"label {fault}", FieldError("/label", str(fault), kind))
        self.other += bool(served.schema.classes) and truth not in served.schema.classes
        moment = milliseconds(content.get("time"))
        return served.model, Label(
            content["prediction_id"], truth, self._now if moment is None else moment
        )

    def _served(self, model: str | None) -> ServedVersion:
        """Return the version in production of a model with labels; looked up once per request."""
        model = self._model if model is None else model
        if model not in self._known:
            self._known[model] = self._find(model)
        found = self._known[model]
        if isinstance(found, str):
            raise _Refusal(found, FieldError("/model", found))
        return found

    def _find(self, model: str | None) -> ServedVersion | str:
        try:
            served = self._serving.choose(model)
        except Problem as problem:
            if problem.status == 503:
                raise
            return problem.detail
        if not served.manifest.labels:
            return (
                f"labels are off for {served.model} {served.version}: register a version with "
                "--labels"
            )
        return served


async def _in_json(body: bytes, most: int, *, lines: bool) -> AsyncIterator[InputLabel]:
    """Read the labels of a JSON body, or of one with a line of JSON for each; a body that is no
    JSON as a whole has none.
    """
    found = await items_of(body, most, "labels", lines=lines)
    if found.flaw is not None:
        raise found.flaw
    async for item, flawed in found:
        if flawed:
            raise Problem(400, "The body is not JSON: NaN or an infinity stands in it.")
        yield InputLabel(item)


async def _in_csv(body: bytes, most: int) -> AsyncIterator[InputLabel]:
    """Read the labels of a CSV body; others get turns."""
    found, turns = await run(len(body), of_csv, body, most), Turns()
    if len(found) > most:
        raise too_many(most, "labels")
    for label in found:
        yield label
        await turns.offer()


def _id_of(content: object) -> str | None:
    found = content.get("prediction_id") if isinstance(content, dict) else None
    return found if is_id(found) is None else None


def _is_csv(content_type: str) -> bool:
    """Tell whether a body is CSV; it is JSON if nothing is said.

    Raises
    ------
    Problem
        415 if it is neither.
    """
    name = content_type.partition(";")[0].strip().lower()
    if name not in {"", "text/csv", "application/json", *LINES}:
        raise Problem(
            415,
            f"Labels are text/csv, application/json or application/x-ndjson, not {name[:64]!r}; "
            "say so as Content-Type.",
        )
    return name == "text/csv"


async def _publish(parts: Parts, checked: CheckedLabels, numbering: Numbering | None) -> Outcome:
    """Publish all in one go; the outcome is that of the worst model."""
    by_model = checked.accepted
    if numbering is not None:
        labels = zip(checked.numbers, by_model[numbering.model], strict=True)
        entries = [(*place, label) for place, label in labels]
        return await parts.publisher.publish_numbered(
            numbering.model, numbering.publisher, [*entries, *voids(checked.refused)]
        )
    size = sum(map(len, by_model.values()))
    if not parts.publisher.has_room(size):
        parts.publisher.drop(size)
        return "dropped"
    return worst(
        await asyncio.gather(*(parts.publisher.publish_many(*group) for group in by_model.items()))
    )
