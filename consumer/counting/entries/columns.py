"""A batch of raw log entries becomes arrays: the only place where JSON is decoded.

The regular case, a batch of well-formed predictions and labels, runs without a Python loop over
events: one `decode_lines` over the newline-joined payloads of each kind. Whatever is irregular is
looked at one by one, and what cannot be read becomes a dead letter.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, Generic, NamedTuple, Self, TypeVar

import msgspec
import numpy as np

from driftgauge.consumer.counting.entries.client_ids import digests_of
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.entry_id import times_of
from driftgauge.shared.contract.events import (
    FAILURE,
    KINDS,
    LABEL,
    LAST_NUMBER,
    NEW_REFERENCE,
    PREDICTION,
    REQUEST,
    RESPONSE,
    TICK,
    UNUSABLE,
    WRITTEN,
    Event,
    Failure,
    Label,
    Prediction,
    Request,
    Response,
    Void,
)
from driftgauge.shared.reference.history import ReferenceChange, decode_change
from driftgauge.shared.reference.schema import Kinds, Schema
from driftgauge.shared.unpacking import UNREADABLE

Entry = tuple[bytes, list[bytes]]
"""A raw stream entry: id, and field, value, field, value, …"""

LONGEST_PUBLISHER = 128
"""Longest name of a publisher, in bytes: names stay in the checkpoint for days."""
LAYOUT = (b"t", b"p", b"s", b"e")
EVENTS = frozenset(KINDS.values())
"""Types of the entries that are events."""

_decoder = msgspec.json.Decoder(Prediction)
_decoders: dict[bytes, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(written) for written, kind in WRITTEN.items()
}
VERSION = attrgetter("version")
NEWLINE = ord("\n")
_Event = TypeVar("_Event", bound=Event)
Half = Request | Response


class CheckedDecoder:
    """Decodes predictions of one schema, and checks number and types of their values at the same
    time.

    The features become a tuple of a fixed type, so that msgspec refuses what does not fit. The
    check holds for every version whose schema has the same kinds.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> checked = CheckedDecoder(Schema((Feature("x", "numeric"), Feature("c", "categorical"))))
    >>> checked.decode_lines(
    ...     b'{"id":"a","version":"1.0.0","time":0,"features":[1,"b"],"prediction":null}'
    ... )[0].features
    (1.0, 'b')
    """

    def __init__(self, schema: Schema) -> None:
        self.kinds = schema.kinds
        value: dict[str | None, Any] = {
            "numeric": float | None,
            "categorical": str | None,
            None: float | str | None,
        }
        *features, prediction = (value[kind] for kind in schema.kinds)
        fields = [
            ("features", tuple.__class_getitem__(tuple(features))),
            ("prediction", prediction),
        ]
        checked = msgspec.defstruct(
            "CheckedPrediction", fields, bases=(Prediction,), gc=False, frozen=True, kw_only=True
        )
        self._decoder = msgspec.json.Decoder(checked)

    def decode_lines(self, lines: bytes) -> list[Prediction]:
        """Decode predictions, one a line."""
        predictions: list[Prediction] = self._decoder.decode_lines(lines)  # type: ignore[assignment]  # defstruct has no type
        return predictions


@dataclass(slots=True)
class DeadLetter:
    """An entry that could not be read or used, and why."""

    entry: Entry
    reason: str


@dataclass
class Numbered(Generic[_Event]):
    """Decoded events of one kind: position in the batch, entry time (ms), publisher, sequence
    number, content.
    """

    positions: Ints
    entry_ms: Ints
    publishers: list[bytes]
    sequences: Ints
    events: list[_Event]

    @classmethod
    def none(cls) -> Self:
        """Return no events."""
        return cls(NO_INTS, NO_INTS, [], NO_INTS, [])

    @cached_property
    def digests(self) -> list[bytes]:
        """Digests of the events' ids, by which what waits for them is found."""
        return digests_of(event.id for event in self.events)


NO_INTS: Ints = np.zeros(0, np.int64)
Labels = Numbered[Label]
Halves = Numbered[Half]
Failures = Numbered[Failure]


@dataclass(slots=True)
class Batch:
    """Decoded log entries in order.

    Parameters
    ----------
    all_ms
        Entry time (ms) of every entry.
    positions, entry_ms, publishers, sequences, predictions
        Position in the batch, entry time (ms), publisher, sequence number and content of each
        decoded prediction.
    labels, halves, failures
        Decoded labels, halves of predictions, and failed ones, with the same fields.
    ticks
        Position in the batch of each tick.
    changes
        New references, by position in the batch.
    voids
        Publisher and runs of numbers that no event has, by position in the batch.
    dead
        Dead letters, by position in the batch.
    dead_numbers
        Publisher and sequence number of the dead letters that have them, by position: they have
        arrived, so they are not counted as lost.
    checked
        Kinds of values (of the features, then of the prediction) that the decoder has checked; None
        if it checked none.
    """

    entries: Sequence[Entry]
    all_ms: Ints
    positions: Ints
    entry_ms: Ints
    publishers: list[bytes]
    sequences: Ints
    predictions: list[Prediction]
    labels: Labels = field(default_factory=Labels.none)
    halves: Halves = field(default_factory=Halves.none)
    failures: Failures = field(default_factory=Failures.none)
    ticks: list[int] = field(default_factory=list)
    changes: dict[int, ReferenceChange] = field(default_factory=dict)
    voids: dict[int, tuple[bytes, Void]] = field(default_factory=dict)
    dead: dict[int, DeadLetter] = field(default_factory=dict)
    dead_numbers: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    checked: Kinds | None = None

    @property
    def versions(self) -> set[str]:
        """The model versions that the batch names."""
        return set(map(VERSION, self.predictions)).union(map(VERSION, self.failures.events))


def read(entries: Sequence[Entry], expected: CheckedDecoder | None = None) -> Batch:
    """Read raw entries of a log.

    Parameters
    ----------
    entries
        At least one raw entry, in the order of the log.
    expected
        Decoder of the schema that most predictions will have.

    Examples
    --------
    >>> payload = b'{"id":"a","version":"1.0.0","time":0,"features":[1,null],"prediction":2}'
    >>> batch = read(
    ...     [
    ...         (b"5-0", [b"t", b"p", b"p", b"api", b"s", b"1", b"e", payload]),
    ...         (b"6-0", [b"t", b"x"]),
    ...     ]
    ... )
    >>> batch.predictions[0].features, batch.dead[1].reason
    ([1.0, None], "unknown entry type b'x'")
    """
    ids, fields = zip(*entries, strict=True)
    all_ms = times_of(ids)
    values = _regular(fields)
    batch = None
    if values is not None and values.kinds.count(PREDICTION) == len(entries):
        batch = _read_predictions(entries, all_ms, values, expected)
    elif values is not None:
        batch = _read_mixed(entries, all_ms, values, expected)
    return batch or _read_singly(entries, all_ms)


def unusable(entry: Entry, reason: str) -> Batch:
    """Return a batch of one entry that is a dead letter, whatever it holds: its content cannot be
    processed. Its number counts as arrived.

    Examples
    --------
    >>> batch = unusable((b"5-0", [b"t", b"p", b"p", b"api", b"s", b"7", b"e", b"{}"]), "why")
    >>> batch.dead[0].reason, batch.dead_numbers
    ('why', {0: (b'api', 7)})
    """
    all_ms = times_of([entry[0]])
    none = np.zeros(0, dtype=np.int64)
    batch = Batch([entry], all_ms, none, none, [], none, [])
    batch.dead[0] = DeadLetter(entry, reason)
    values = dict(zip(entry[1][::2], entry[1][1::2], strict=True))
    number = _number(values)
    if number is not None:
        batch.dead_numbers[0] = (values[b"p"], number)
    return batch


class _Values(NamedTuple):
    """The values of entries that all are events with their fields in the usual order."""

    kinds: tuple[bytes, ...]
    publishers: tuple[bytes, ...]
    sequences: tuple[bytes, ...]
    payloads: tuple[bytes, ...]


def _read_predictions(
    entries: Sequence[Entry], all_ms: Ints, values: _Values, expected: CheckedDecoder | None
) -> Batch | None:
    """Read entries that are all predictions; None if any cannot be read."""
    numbers = _sequence_numbers(values.publishers, values.sequences)
    predictions, checked = _decode_all(values.payloads, expected)
    if numbers is None or predictions is None:
        return None
    return Batch(
        entries,
        all_ms,
        np.arange(len(entries)),
        all_ms,
        list(values.publishers),
        numbers,
        predictions,
        checked=checked,
    )


def _read_mixed(
    entries: Sequence[Entry], all_ms: Ints, values: _Values, expected: CheckedDecoder | None
) -> Batch | None:
    """Read events of several kinds; None if any cannot be read."""
    kinds = np.array(values.kinds)
    numbers = _sequence_numbers(values.publishers, values.sequences)
    if numbers is None:
        return None
    found: dict[bytes, Numbered[Any]] = {}
    checked = None
    for kind in KINDS.values():
        places = np.flatnonzero(kinds == kind)
        payloads = [values.payloads[place] for place in places.tolist()]
        events: list[Any] | None = []
        if kind == PREDICTION and payloads:
            events, checked = _decode_all(payloads, expected)
        elif payloads:
            events = _decode_lines(payloads, _decoders[kind].decode_lines)
        if events is None:
            return None
        publishers = [values.publishers[place] for place in places.tolist()]
        found[kind] = Numbered(places, all_ms[places], publishers, numbers[places], events)
    said = found[PREDICTION]
    return Batch(
        entries,
        all_ms,
        said.positions,
        said.entry_ms,
        said.publishers,
        said.sequences,
        said.events,
        found[LABEL],
        _in_order(found[REQUEST], found[RESPONSE]),
        found[FAILURE],
        checked=checked,
    )


def _in_order(first: Numbered[Any], second: Numbered[Any]) -> Numbered[Any]:
    """Join events of two kinds in the order of the batch."""
    if not first.events or not second.events:
        return first if first.events else second
    positions = np.concatenate((first.positions, second.positions))
    order = np.argsort(positions)
    publishers, events = first.publishers + second.publishers, first.events + second.events
    return Numbered(
        positions[order],
        np.concatenate((first.entry_ms, second.entry_ms))[order],
        [publishers[place] for place in order.tolist()],
        np.concatenate((first.sequences, second.sequences))[order],
        [events[place] for place in order.tolist()],
    )


def _regular(fields: Sequence[list[bytes]]) -> _Values | None:
    """Return the values of the entries if all are events with their fields in the usual order."""
    try:
        columns = list(zip(*fields, strict=True))
    except ValueError:  # of different lengths
        return None
    if len(columns) != 2 * len(LAYOUT):
        return None
    if any(columns[2 * at].count(name) < len(fields) for at, name in enumerate(LAYOUT)):
        return None
    kinds, publishers, sequences, payloads = columns[1::2]
    return _Values(kinds, publishers, sequences, payloads) if EVENTS.issuperset(kinds) else None


def _sequence_numbers(publishers: Sequence[bytes], texts: Sequence[bytes]) -> Ints | None:
    """Read the numbers; None if any is no number, or the name of a publisher is too long."""
    if max(map(len, set(publishers))) > LONGEST_PUBLISHER:
        return None
    try:
        numbers = np.fromiter(map(int, texts), np.int64, count=len(texts))
    except (ValueError, OverflowError):
        return None
    return numbers if numbers.min() > 0 else None


def _decode_all(
    payloads: Sequence[bytes], expected: CheckedDecoder | None
) -> tuple[list[Prediction] | None, Kinds | None]:
    """Decode predictions at once, checked if they fit what is expected; None if any is
    unreadable.
    """
    checked = _decode_lines(payloads, expected.decode_lines) if expected is not None else None
    if checked is not None and expected is not None:
        return checked, expected.kinds
    return _decode_lines(payloads, _decoder.decode_lines), None


def _decode_lines(
    payloads: Sequence[bytes], decode: Callable[[bytes], list[_Event]]
) -> list[_Event] | None:
    """Decode the payloads at once; None if any is unreadable, or if joining the lines could have
    made unreadable ones readable.

    A payload with a newline inside, or with nothing in it, would shift the lines: so there must be
    exactly as many results as payloads, and exactly one newline between each.
    """
    joined = b"\n".join(payloads)
    if np.count_nonzero(np.frombuffer(joined, np.uint8) == NEWLINE) != len(payloads) - 1:
        return None
    try:
        events = decode(joined)
    except UNREADABLE:
        return None
    return events if len(events) == len(payloads) else None


def _read_singly(entries: Sequence[Entry], all_ms: Ints) -> Batch:
    """Read entries one by one, so that only unreadable ones become dead letters."""
    batch = Batch(entries, all_ms, all_ms, all_ms, [], all_ms, [])
    read: dict[type[Event], list[tuple[int, bytes, int, Event]]] = defaultdict(list)
    for position, entry in enumerate(entries):
        values = dict(zip(entry[1][::2], entry[1][1::2], strict=True))
        if values.get(b"t") == TICK:
            batch.ticks.append(position)
            continue
        number = _number(values)
        try:
            if values.get(b"t") == NEW_REFERENCE:
                batch.changes[position] = decode_change(values.get(b"e", b""))
                continue
            event = _event(values, number)
        except ValueError as error:
            batch.dead[position] = DeadLetter(entry, str(error))
            if number is not None:
                batch.dead_numbers[position] = (values[b"p"], number)
            continue
        if isinstance(event, Void):
            batch.voids[position] = values[b"p"], event
            continue
        read[type(event)].append((position, values[b"p"], number or 0, event))
    said = _columns(read[Prediction], all_ms)
    batch.positions, batch.entry_ms = said.positions, said.entry_ms
    batch.publishers, batch.sequences, batch.predictions = (
        said.publishers,
        said.sequences,
        said.events,
    )
    batch.labels = _columns(read[Label], all_ms)
    halves = sorted(read[Request] + read[Response], key=itemgetter(0))
    batch.halves = _columns(halves, all_ms)
    batch.failures = _columns(read[Failure], all_ms)
    return batch


def _columns(read: list[tuple[int, bytes, int, Event]], all_ms: Ints) -> Numbered[Any]:
    """Return events that were read one by one as columns."""
    positions = np.array([position for position, *_ in read], dtype=np.int64)
    return Numbered(
        positions,
        all_ms[positions],
        [publisher for _, publisher, *_ in read],
        np.array([number for *_, number, _ in read], dtype=np.int64),
        [event for *_, event in read],
    )


def _number(values: dict[bytes, bytes]) -> int | None:
    """Return the sequence number of an entry that names its publisher, None if there is no usable
    one.
    """
    try:
        number = int(values[b"s"])
    except (KeyError, ValueError):
        return None
    named = len(values.get(b"p", b"")) <= LONGEST_PUBLISHER and b"p" in values
    return number if named and 0 < number <= LAST_NUMBER else None


def _event(values: dict[bytes, bytes], number: int | None) -> Event | Void:
    """Decode one entry; ValueError says what is wrong with it."""
    kind = values.get(b"t")
    if kind is None:
        raise ValueError("no entry type: the field t is missing")
    if kind == UNUSABLE:
        raise ValueError(
            values.get(b"reason", b"it is marked as unusable").decode(errors="replace")
        )
    if kind not in _decoders:
        raise ValueError(f"unknown entry type {kind[:20]!r}")
    if number is None:
        raise ValueError(
            f"no publisher (p) of at most {LONGEST_PUBLISHER} bytes or no sequence number (s) "
            "between 1 and 2^63 - 1"
        )
    try:
        event: Event | Void = _decoders[kind].decode(values[b"e"])
    except KeyError:
        raise ValueError("no content: the field e is missing") from None
    except UNREADABLE as error:
        raise ValueError(f"content cannot be read: {error}") from error
    return event
