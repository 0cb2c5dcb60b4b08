"""A message becomes events of the log. Pure.

Its content is an object in one of three forms:

| form | |
|---|---|
| an event | `features` by name, `prediction`, and what else `POST /events` takes |
| an exchange | `request` and `response`, as a model server's (shared/payloads/bodies.py) |
| a row | the features beside `prediction`, `id`, `time`, `probabilities`, `latency_ms`, `version` |

A label has `id` (or `prediction_id`), `label` and perhaps `time`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from driftgauge.shared.contract.events import Label, Prediction, Value
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.errors import BadData
from driftgauge.shared.payloads.bodies import answers_of, rows_of
from driftgauge.shared.reference.schema import Schema

BESIDE: Final = ("prediction", "id", "time", "probabilities", "latency_ms", "version")
"""Fields of a row that are no features."""
MOST_ID: Final = 120
MOST_FAULTS: Final = 3


class Usable(msgspec.Struct, frozen=True):
    """A version that messages are counted as.

    Parameters
    ----------
    complete
        Function that makes of a row what is published of it (Schema.completing).
    """

    name: str
    schema: Schema
    complete: Callable[[list[Value]], list[Value]]


class Place(msgspec.Struct, frozen=True):
    """Where a message stood: its own name, its key and its time (Unix ms); and the trace that its
    headers name, as an event carries it.
    """

    name: str
    key: str | None
    time: int
    trace: str | None = None


def predictions_of(
    document: object, place: Place, version_of: Callable[[str | None], Usable | None]
) -> list[Prediction]:
    """Read the predictions of a message; one for each row.

    Parameters
    ----------
    version_of
        Function that returns a version by its name, that in production for None; None if there is
        no such version.

    Raises
    ------
    BadData
        If it is of none of the forms, or does not fit the schema.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> usable = Usable("1.0.0", Schema((Feature("x", "numeric"),)), lambda row: row)
    >>> (found,) = predictions_of(
    ...     {"x": 1, "prediction": 2}, Place("t-0-7", None, 5), lambda _: usable
    ... )
    >>> found.id, found.client_id, found.time, found.features, found.prediction
    ('t-0-7', False, 5, [1.0], 2.0)
    """
    if not isinstance(document, dict):
        raise BadData("It is no object.")
    named = document.get("version")
    usable = version_of(named if isinstance(named, str) else None)
    if usable is None:
        raise BadData(f"Version {str(named)[:64]!r} is not registered.")
    rows, answers = _rows_and_answers(document, usable.schema)
    base, given = _id_of(document, place)
    moment = _time_of(document, place)
    latency = document.get("latency_ms")
    if latency is not None and not (type(latency) in {int, float} and latency >= 0):
        raise BadData("latency_ms is no number of at least 0.")
    found = []
    for number, (row, (made, shares)) in enumerate(zip(rows, answers, strict=True)):
        values, prediction = _checked(row, made, shares, usable.schema)
        found.append(
            Prediction(
                id=base if len(rows) == 1 else f"{base}:{number}",
                version=usable.name,
                time=moment,
                features=usable.complete(values),
                prediction=prediction,
                latency_ms=None if latency is None else float(latency),
                client_id=given,
                probabilities=None if shares is None else [float(share) for share in shares],
                received=place.time if given else None,
                trace=place.trace,
            )
        )
    return found


def label_of(document: object, place: Place, schema: Schema) -> Label:
    """Read the label of a message.

    Raises
    ------
    BadData
        If it is none.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> schema = Schema((Feature("x", "numeric"),))
    >>> label_of({"label": 2.5}, Place("t-0-7", "order-1", 5), schema)
    Label(id='order-1', label=2.5, time=5)
    """
    if not isinstance(document, dict):
        raise BadData("It is no object.")
    if "prediction_id" in document:
        document = {**document, "id": document["prediction_id"]}
    name, given = _id_of(document, place)
    if not given:
        raise BadData("It has neither id, nor prediction_id, nor a key.")
    value, fault = schema.read_label(document.get("label"))
    if fault is not None or value is None:
        raise BadData(f"label {fault or 'is missing'}.")
    return Label(name, value, _time_of(document, place))


def _rows_and_answers(
    document: Mapping[str, Any], schema: Schema
) -> tuple[Sequence[Mapping[str, Any]], list[tuple[Any, list[Any] | None]]]:
    """Return the rows of a message, and the prediction and probabilities of each."""
    if isinstance(document.get("request"), dict) and isinstance(document.get("response"), dict):
        rows = rows_of(msgspec.json.encode(document["request"]), schema)
        answers = answers_of(msgspec.json.encode(document["response"]), schema)
        if len(rows) != len(answers) or not rows:
            raise BadData(f"{len(rows)} rows were asked, and {len(answers)} answered.")
        return rows, [(one.prediction, one.probabilities) for one in answers]
    shares = document.get("probabilities")
    if shares is not None and not isinstance(shares, list):
        raise BadData("probabilities is no list.")
    row = document.get("features")
    if not isinstance(row, dict):
        row = {name: value for name, value in document.items() if name not in BESIDE}
    return [row], [(document.get("prediction"), shares)]


def _checked(
    row: Mapping[str, Any], made: object, shares: list[Any] | None, schema: Schema
) -> tuple[list[Value], Value]:
    """Return the values of a row, and its prediction."""
    values, errors = schema.positional(row, scored=False)
    faults = [f"{one.field.rpartition('/')[2]} {one.message}" for one in errors[:MOST_FAULTS]]
    prediction, fault = schema.read_prediction(made)
    faults += [f"prediction {fault}"] * (fault is not None)
    fault = schema.probabilities_fault(shares)
    faults += [f"probabilities {fault}"] * (fault is not None)
    if faults:
        raise BadData("; ".join(faults) + ".")
    return values, prediction


def _id_of(document: Mapping[str, Any], place: Place) -> tuple[str, bool]:
    """Return the id of a message, and whether its sender gave it."""
    given = document.get("id", place.key)
    if given is None:
        return place.name, False
    name = str(given) if type(given) is int else given
    if not isinstance(name, str) or not 0 < len(name) <= MOST_ID:
        raise BadData(f"Its id is no text of 1 to {MOST_ID} characters.")
    return name, True


def _time_of(document: Mapping[str, Any], place: Place) -> int:
    given = document.get("time")
    if given is None:
        return place.time
    moment = milliseconds(given)
    if moment is None:
        raise BadData("time is neither Unix milliseconds nor ISO 8601 with its zone.")
    return moment
