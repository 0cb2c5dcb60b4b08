"""Events of a list that are as they should be, each read in one go by a type that is made of its
version's schema.

Only what is certain to be accepted is read here, and it becomes what the checks field by field
(producer/routes/logged/events.py) make of it. They read all others, and name every fault.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Annotated, Any, Final

import msgspec

from driftgauge.producer.intake.documents import MAX_ID
from driftgauge.shared.contract.events import LAST_NUMBER, Prediction, Source, Value
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.identifiers import new_ids
from driftgauge.shared.otel.context import parsed
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema

MOST_FIELDS: Final = 256
"""Most features that are fields of such a type: it finds a name that stands out of order by looking
at the others. More are read as a mapping, if all are numbers.
"""
MOST_KNOWN: Final = 1000
"""Values of a feature that are not read again."""
IDS_AT_ONCE: Final = 64
PLAIN: Final = (str, bool, int)

Text = bytes | msgspec.Raw
Reading = Callable[[Any], tuple[Value, str | None]]


class Moment:
    """When a request came, and what its events get that say nothing of it themselves.

    Parameters
    ----------
    now
        Unix time (ms).
    trace
        The span in which it is taken; None if no trace is kept.
    """

    def __init__(self, now: int, trace: str | None = None) -> None:
        self.now = now
        self.trace = trace
        self._ids: list[str] = []

    def id(self) -> str:
        """Make an id for an event."""
        if not self._ids:
            self._ids = new_ids(IDS_AT_ONCE)
        return self._ids.pop()


class Column:
    """A column of values that are read one by one: of equal values only the first.

    Parameters
    ----------
    read
        Function that reads a value.
    keep
        False for personal values, which are not to be kept in memory.
    """

    def __init__(self, read: Reading, *, keep: bool) -> None:
        self._read = read
        self._known: dict[Any, Value] = {}
        self._keep = keep

    def read(self, value: Any) -> Value:
        """Read a value.

        Raises
        ------
        ValueError
            If it has a fault.
        """
        key = (type(value), value) if type(value) in PLAIN else None
        if key is not None and key in self._known:
            return self._known[key]
        found, fault = self._read(value)
        if fault is not None:
            raise ValueError(fault)
        if key is not None and self._keep:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found


class Wide:
    """Reads the features of a schema of a great many numbers from a mapping."""

    def __init__(self, schema: Schema) -> None:
        self._names = schema.names
        self._known = frozenset(schema.names)
        self._limits = [
            (
                place,
                -inf if one.minimum is None else one.minimum,
                inf if one.maximum is None else one.maximum,
                one.nullable,
            )
            for place, one in enumerate(schema.features)
            if not one.nullable or one.minimum is not None or one.maximum is not None
        ]

    def values(self, given: Mapping[str, float | None]) -> list[Value]:
        """Return the values in order.

        Raises
        ------
        ValueError
            If one has a fault, or there is another field.
        """
        values: list[Any] = [given.get(name) for name in self._names]
        for place, least, most, nullable in self._limits:
            value = values[place]
            if not nullable if value is None else not least <= value <= most:
                raise ValueError(self._names[place])
        if not given.keys() <= self._known:
            raise ValueError("a field that is no feature")
        return values


def _fields(features: msgspec.Struct) -> list[Value]:
    return list(msgspec.structs.astuple(features))


class EventType:
    """Reads the events of one version.

    Parameters
    ----------
    model, version
        Names that an event may have; it may also have none.
    clean
        Function that drops or hashes the personal features of a row.
    numbered
        Whether a publisher has numbered the events.

    Examples
    --------
    >>> schema = Schema((Feature("x", "numeric"), Feature("c", "categorical")))
    >>> events = EventType("m", "1.0.0", schema, lambda row: row, numbered=False)
    >>> found, _ = events.read(b'{"features": {"c": 7, "x": 1}, "prediction": 2}', Moment(5))
    >>> found.features, found.prediction
    ([1.0, '7'], 2.0)
    >>> events.read(b'{"features": {"c": 7, "x": "one"}, "prediction": 2}', Moment(5)) is None
    True
    """

    def __init__(
        self,
        model: str,
        version: str,
        schema: Schema,
        clean: Callable[[list[Value]], list[Value]],
        *,
        numbered: bool,
    ) -> None:
        self._model, self._version = model, version
        self._schema = schema
        self._clean = clean
        self._numbered = numbered
        self._columns = [
            (place, Column(_reading(feature, schema), keep=feature.pii == "keep"))
            for place, feature in enumerate(schema.features)
            if not _is_number(feature)
        ]
        self._answer = Column(schema.read_prediction, keep=True)
        self._wide = Wide(schema) if len(schema.features) > MOST_FIELDS else None
        self._decode = _decoding(schema, numbered=numbered)

    def read(self, text: Text, moment: Moment) -> tuple[Prediction, int] | None:
        """Read an event; return it as it stands in the log, and its publisher's number (0 without).
        None if it has to be looked at field by field.
        """
        if self._decode is None:
            return None
        try:
            event = self._decode(text)
            values = self._wide.values(event.features) if self._wide else _fields(event.features)
            for place, column in self._columns:
                values[place] = column.read(values[place])
            made = event.prediction
            if self._schema.prediction != "numeric":
                made = self._answer.read(made)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if not self._is_own(event):
            return None
        time, given, shares = event.time, event.id, event.probabilities
        if time is None:
            time = moment.now
        elif (time := milliseconds(time)) is None:
            return None
        if shares is not None and self._schema.probabilities_fault(shares) is not None:
            return None
        trace = event.traceparent
        found = parsed(trace) if isinstance(trace, str) else None
        numbered = self._numbered
        prediction = Prediction(
            id=moment.id() if given is None else given,
            version=self._version,
            time=time,
            features=self._clean(values),
            prediction=made,
            latency_ms=event.latency_ms,
            source=event.source or "online",
            client_id=event.own_id is True if numbered else given is not None,
            probabilities=shares,
            received=None if given is None or numbered else moment.now,
            trace=moment.trace if found is None else found.carried,
        )
        return prediction, event.number if numbered else 0

    def _is_own(self, event: Any) -> bool:
        """Tell whether an event is of this version."""
        model, version = event.model, event.version
        if model is None and version is None:
            return True
        return model in {None, self._model} and version in {None, self._version}


def _is_number(feature: Feature) -> bool:
    """Tell whether the type itself reads a feature."""
    return feature.kind == "numeric" and feature.pii != "drop"


def _reading(feature: Feature, schema: Schema) -> Reading:
    if feature.pii == "drop":  # nobody reads it
        return lambda _: (None, None)
    texts = schema.text_numbers == "take"
    return lambda value: feature.read(value, schema.table, texts=texts, scored=False)


def _field(place: int, feature: Feature) -> tuple[Any, ...]:
    """Return the field of a feature: name, type, and None by default if it may be missing."""
    name = f"f{place}"
    if not _is_number(feature):
        return name, Any, None
    bounds = msgspec.Meta(ge=feature.minimum, le=feature.maximum)
    number: Any = Annotated[float, bounds]
    return (name, number | None, None) if feature.nullable else (name, number)


def _decoding(schema: Schema, *, numbered: bool) -> Callable[[Text], Any] | None:
    """Return what decodes an event of a schema; None if no type can be made of it."""
    wide = len(schema.features) > MOST_FIELDS
    if wide and not all(map(_is_number, schema.features)):
        return None
    names = {f"f{place}": feature.name for place, feature in enumerate(schema.features)}
    strict: dict[str, Any] = {"forbid_unknown_fields": True, "gc": False, "kw_only": True}
    features: Any = dict[str, float | None]
    try:
        if not wide:
            fields = [_field(place, feature) for place, feature in enumerate(schema.features)]
            features = msgspec.defstruct("Features", fields, rename=names, **strict)
        event = msgspec.defstruct(
            "Event", [("features", features), *_others(schema, numbered=numbered)], **strict
        )
        return msgspec.json.Decoder(event).decode
    except (TypeError, ValueError):  # a name or a bound that such a type cannot have
        return None


def _others(schema: Schema, *, numbered: bool) -> list[tuple[Any, ...]]:
    """Return the other fields of an event, as their checks want them."""
    text: Any = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    number: Any = Annotated[int, msgspec.Meta(ge=1, le=LAST_NUMBER)]
    duration: Any = Annotated[float, msgspec.Meta(ge=0)]
    share: Any = Annotated[float, msgspec.Meta(ge=0, le=1)]
    answers: dict[str | None, tuple[Any, ...]] = {"numeric": (float,), None: (None, None)}
    own: list[tuple[Any, ...]] = [("id", text | None, None)]
    if numbered:
        own = [("id", text), ("number", number), ("own_id", bool | None, None)]
    return [
        ("prediction", *answers.get(schema.prediction, (Any,))),
        *own,
        ("error", None, None),
        ("time", int | str | None, None),
        ("model", str | None, None),
        ("version", str | None, None),
        ("latency_ms", duration | None, None),
        ("source", Source | None, None),
        ("probabilities", list[share] | None, None),
        ("traceparent", Any, None),
    ]
