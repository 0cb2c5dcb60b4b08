"""Counts of the events that this process accepted and refused, by model, field and reason.

A refused event is in no log, so its absence would not be noticed. Therefore the counts are written
to Redis for the watchdog of all processes (shared/contract/refused.py), shown, and exposed as
metrics. Field names are those of the schema and of the request; a name that a client made up
becomes `-`, so that the number of series is bounded.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import Final

from driftgauge.shared.contract.refused import (
    HOUR_MS,
    MOST_FAULTS,
    SLICE_MS,
    Fault,
    Refused,
    RefusedHour,
    Slice,
    last_hour,
)
from driftgauge.shared.reference.schema import FieldError, Schema

NO_MODEL: Final = "-"
"""Stands for the model of events whose model is unknown."""
NO_FIELD: Final = "-"
MOST_SERIES: Final = 500
"""Most pairs of field and reason that are counted separately for one model."""
ENVELOPE: Final = frozenset(
    (
        "features",
        "prediction",
        "probabilities",
        "id",
        "time",
        "model",
        "version",
        "latency_ms",
        "source",
        "prediction_id",
        "label",
    )
)


class Refusals:
    """Counts accepted and refused events.

    Parameters
    ----------
    clock
        Monotonic clock in ms.

    Attributes
    ----------
    events
        Refused events by model since the process began.
    faults
        By model, field and reason; an event counts for each of its fields.
    ignored
        Fields of taken events that are no features, by model.

    Examples
    --------
    >>> refusals = Refusals()
    >>> refusals.take("steel", 499)
    >>> refusals.refuse("steel", None, [FieldError("/7/time", "is no time")])
    >>> refusals.hour("steel").described()
    '1 of 500 events of the last hour were refused (time malformed: 1)'
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000) -> None:
        self.events: Counter[str] = Counter()
        self.faults: Counter[tuple[str, str, str]] = Counter()
        self.ignored: Counter[str] = Counter()
        self._clock = clock
        self._series: Counter[str] = Counter()
        self._models: dict[str, _Recent] = {}

    @property
    def models(self) -> Collection[str]:
        """Models with accepted or refused events."""
        return [model for model in self._models if model != NO_MODEL]

    def take(self, model: str, events: int) -> None:
        """Count accepted events."""
        if events:
            self._recent(model).take(events, self._clock())

    def ignore(self, model: str, fields: int) -> None:
        """Count fields of an event that was taken without them."""
        if fields:
            self.ignored[model] += fields

    def refuse(self, model: str, schema: Schema | None, faults: Sequence[FieldError]) -> None:
        """Count a refused event.

        Parameters
        ----------
        model
            Model of the event; `NO_MODEL` if unknown.
        schema
            Schema of the version that it is for; None if unknown.
        faults
            All faults of the event.
        """
        known = ENVELOPE if schema is None else ENVELOPE | set(schema.names)
        named = {(_field(fault, known), fault.reason) for fault in faults}
        self.events[model] += 1
        series = []
        for field, reason in sorted(named):
            name = (model, field, reason)
            if name not in self.faults:
                if self._series[model] >= MOST_SERIES:
                    name = (model, NO_FIELD, reason)
                self._series[model] += name not in self.faults
            self.faults[name] += 1
            series.append(name[1:])
        self._recent(model).refuse(series, self._clock())

    def hour(self, model: str) -> RefusedHour:
        """Return the events that this process accepted and refused within the last hour, by its own
        clock.
        """
        now = self._clock()
        return last_hour([self.told(model, now)], now)

    def is_bad(self, model: str, limit: int) -> bool:
        """Return whether a model's feed is broken by the counts of this process."""
        return self.hour(model).is_bad(self._clock(), limit) is True

    def told(self, model: str, now: int) -> Refused:
        """Return the counts for other processes; `now` is Redis's time (ms)."""
        return self._recent(model).told(self._clock(), now)

    def _recent(self, model: str) -> "_Recent":
        return self._models.setdefault(model, _Recent())


class _Recent:
    """The slices of one model's last hour, oldest first."""

    def __init__(self) -> None:
        self._slices: deque[tuple[int, int, int, Counter[tuple[str, str]]]] = deque()
        self._last: int | None = None
        self._taken_since = 0

    def take(self, events: int, now: int) -> None:
        self._taken_since += events
        self._add(now, events, 0, ())

    def refuse(self, series: Sequence[tuple[str, str]], now: int) -> None:
        self._last, self._taken_since = now, 0
        self._add(now, 0, 1, series)

    def _add(self, now: int, taken: int, refused: int, series: Sequence[tuple[str, str]]) -> None:
        number = now // SLICE_MS
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append((number, 0, 0, Counter()))
            self._forget(now)
        _, had, lost, faults = self._slices[-1]
        if series:
            faults.update(series)
        self._slices[-1] = (number, had + taken, lost + refused, faults)

    def _forget(self, now: int) -> None:
        while self._slices and now - (self._slices[0][0] + 1) * SLICE_MS >= HOUR_MS:
            self._slices.popleft()

    def told(self, now: int, redis_ms: int) -> Refused:
        self._forget(now)
        faults: Counter[tuple[str, str]] = Counter()
        for *_, found in self._slices:
            faults.update(found)
        return Refused(
            told_ms=redis_ms,
            slices=[
                Slice(max(0, now - (number + 1) * SLICE_MS), taken, refused)
                for number, taken, refused, _ in self._slices
            ],
            faults=[Fault(*name, events) for name, events in faults.most_common(MOST_FAULTS)],
            last_ms=None if self._last is None else redis_ms - (now - self._last),
            taken_since=self._taken_since,
        )


def _field(fault: FieldError, known: Collection[str]) -> str:
    """Return the name of a fault's field; `-` if only the client knows it."""
    if fault.reason in {"unknown_field", "unreadable"}:
        return NO_FIELD
    name = fault.field.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return name if name in known else NO_FIELD
