"""Reading the good events of a list by the type of the version that each is of."""

import time
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.typed import EventType, Moment, Text
from driftgauge.producer.scoring.serving import ServedVersion, Serving
from driftgauge.shared.contract.events import Prediction, Value
from driftgauge.shared.otel.steps import carried_now


class Named(msgspec.Struct):
    """What an event says of its version."""

    model: str | None = None
    version: str | None = None


Good = tuple[ServedVersion, Prediction, int]
"""A good event: the version that it is of, the event, and its publisher's number (0 without). Its
features are without the derived columns, which `complete` adds to many events at once.
"""


def complete(events: Iterable[Good]) -> None:
    """Add the derived columns to the features of events, where their versions have some."""
    features: dict[ServedVersion, list[list[Value]]] = defaultdict(list)
    for served, event, _ in events:
        if served.schema.derivation is not None:
            features[served].append(event.features)
    for served, rows in features.items():
        for row, more in zip(rows, served.schema.derived(rows), strict=True):
            row.extend(more)


class EventTypes:
    """The types of the versions in production."""

    def __init__(self) -> None:
        self._types: dict[tuple[str, bool], tuple[ServedVersion, EventType]] = {}

    def of(self, served: ServedVersion, *, numbered: bool) -> EventType:
        """Return the type of a version's events; it is made once."""
        known = self._types.get((served.model, numbered))
        if known is not None and known[0] is served:
            return known[1]
        made = EventType(
            served.model, served.version, served.schema, served.clean, numbered=numbered
        )
        self._types[served.model, numbered] = served, made
        return made


class GoodEvents:
    """Reads the good events of one request.

    Parameters
    ----------
    model
        Model of events that name none; None is the default one.
    numbered
        Whether a publisher has numbered the events, which are of this model then.
    """

    def __init__(
        self, types: EventTypes, serving: Serving, model: str | None, *, numbered: bool
    ) -> None:
        self._types = types
        self._production = serving.production
        self._numbered = numbered
        self._moment = Moment(time.time_ns() // 1_000_000, carried_now())
        self._usual: ServedVersion | None = None
        try:
            self._usual = usual = serving.choose(model)
        except Problem:  # each event has to name one
            return
        self._type = types.of(usual, numbered=numbered)

    def read(self, text: Text) -> Good | None:
        """Read an event; None if it has to be looked at field by field."""
        usual = self._usual
        if usual is not None and (found := self._type.read(text, self._moment)) is not None:
            return usual, *found
        if self._numbered:
            return None
        try:
            named = msgspec.json.decode(text, type=Named)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        served = None if named.model is None else self._production.get(named.model)
        if served is None or served is usual or named.version not in {None, served.version}:
            return None
        found = self._types.of(served, numbered=False).read(text, self._moment)
        return None if found is None else (served, *found)
