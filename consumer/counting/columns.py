"""A batch of raw log entries becomes arrays: the only place where JSON is decoded.

The regular case, a batch of well-formed predictions, runs without a Python loop over events: one `decode_lines` over the
newline-joined payloads. Whatever is irregular is looked at one by one, and what cannot be read becomes a dead letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, cast

import msgspec
import numpy as np

from shared.events import NEW_REFERENCE, PREDICTION, TICK, Prediction
from shared.reference import Ints
from shared.references import ReferenceChange, decode_change
from shared.schema import Kinds, Schema

Entry = tuple[bytes, list[bytes]]
"""A raw stream entry: id, and field, value, field, value, …"""

MAX_SEQUENCE = 2**63 - 1
LAYOUT = (b"t", b"p", b"s", b"e")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises; the last one for a content that is nested too deeply."""


_decoder = msgspec.json.Decoder(Prediction)


class CheckedDecoder:
    """Decodes predictions of one schema, and checks number and types of their values on the way.

    The features become a tuple of a fixed type, so that msgspec refuses what does not fit. The check holds for every
    version whose schema has the same kinds.

    Examples
    --------
    >>> from shared.schema import Feature
    >>> checked = CheckedDecoder(Schema((Feature("x", "numeric"), Feature("c", "categorical"))))
    >>> checked.decode_lines(b'{"id":"a","version":"1.0.0","time":0,"features":[1,"b"],"prediction":null}')[0].features
    (1.0, 'b')
    """

    def __init__(self, schema: Schema) -> None:
        self.kinds = schema.kinds
        value: dict[str | None, Any] = {"numeric": float | None, "categorical": str | None, None: float | str | None}
        *features, prediction = (value[kind] for kind in schema.kinds)
        fields = [("features", tuple.__class_getitem__(tuple(features))), ("prediction", prediction)]
        checked = msgspec.defstruct("CheckedPrediction", fields, bases=(Prediction,), gc=False, frozen=True, kw_only=True)
        self._decoder = msgspec.json.Decoder(checked)

    def decode_lines(self, lines: bytes) -> list[Prediction]:
        """Decode predictions, one a line."""
        return cast("list[Prediction]", self._decoder.decode_lines(lines))


@dataclass(slots=True)
class DeadLetter:
    """An entry that could not be read or used, and why."""

    entry: Entry
    reason: str


@dataclass(slots=True)
class Batch:
    """Log entries in order, read.

    Parameters
    ----------
    all_ms
        Entry time (ms) of every entry.
    positions, entry_ms, publishers, sequences, predictions
        Of each prediction that could be decoded: place in the batch, entry time, publisher, number, content.
    ticks
        Place in the batch of each tick.
    changes
        New references, by place in the batch.
    dead
        Place in the batch to dead letter.
    dead_numbers
        Publisher and number of dead letters that have one, by place: they arrived, so they are no loss.
    checked
        The kinds of values (of the features, then of the prediction) that the decoder has checked, None if none.
    """

    entries: Sequence[Entry]
    all_ms: Ints
    positions: Ints
    entry_ms: Ints
    publishers: list[bytes]
    sequences: Ints
    predictions: list[Prediction]
    ticks: list[int] = field(default_factory=list)
    changes: dict[int, ReferenceChange] = field(default_factory=dict)
    dead: dict[int, DeadLetter] = field(default_factory=dict)
    dead_numbers: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    checked: Kinds | None = None

    @property
    def versions(self) -> set[str]:
        """The model versions that the batch names."""
        return {prediction.version for prediction in self.predictions}


def read(entries: Sequence[Entry], expected: CheckedDecoder | None = None) -> Batch:
    """Read raw entries of a log.

    Parameters
    ----------
    entries
        At least one, in the order of the log.
    expected
        Decoder of the schema that most predictions will have.

    Examples
    --------
    >>> payload = b'{"id":"a","version":"1.0.0","time":0,"features":[1,null],"prediction":2}'
    >>> batch = read([(b"5-0", [b"t", b"p", b"p", b"api", b"s", b"1", b"e", payload]), (b"6-0", [b"t", b"x"])])
    >>> batch.predictions[0].features, batch.dead[1].reason
    ([1.0, None], "unknown entry type b'x'")
    """
    fields = [entry[1] for entry in entries]
    all_ms = _entry_times([entry[0] for entry in entries])
    if _regular(fields):
        numbers = _sequence_numbers([values[5] for values in fields])
        predictions, checked = _decode_all([values[7] for values in fields], expected)
        if numbers is not None and predictions is not None:
            positions = np.arange(len(entries))
            publishers = [values[3] for values in fields]
            return Batch(entries, all_ms, positions, all_ms, publishers, numbers, predictions, checked=checked)
    return _read_singly(entries, all_ms)


def _entry_times(ids: list[bytes]) -> Ints:
    """Give the millisecond part of each entry id."""
    numbers = np.fromstring(b" ".join(ids).replace(b"-", b" ").decode(), dtype=np.int64, sep=" ")
    return numbers[::2]


def _regular(fields: list[list[bytes]]) -> bool:
    """Whether every entry is a prediction with its fields in the usual order."""
    if set(map(len, fields)) != {2 * len(LAYOUT)}:
        return False
    return set(map(itemgetter(0, 1, 2, 4, 6), fields)) == {(b"t", PREDICTION, b"p", b"s", b"e")}


def _sequence_numbers(texts: list[bytes]) -> Ints | None:
    try:
        numbers = np.array(list(map(int, texts)), dtype=np.int64)
    except (ValueError, OverflowError):
        return None
    return numbers if numbers.min() > 0 else None


def _decode_all(payloads: list[bytes], expected: CheckedDecoder | None) -> tuple[list[Prediction] | None, Kinds | None]:
    """Decode the payloads at once; None if any is unreadable or two could have mended each other.

    A payload with a newline inside, or with nothing in it, would shift the lines: so there must be exactly as many results
    as payloads, and exactly one newline between each.
    """
    joined = b"\n".join(payloads)
    if joined.count(b"\n") != len(payloads) - 1:
        return None, None
    for decoder in (expected, _decoder) if expected is not None else (_decoder,):
        try:
            predictions = decoder.decode_lines(joined)
        except UNREADABLE:
            continue
        if len(predictions) == len(payloads):
            return predictions, expected.kinds if decoder is expected and expected is not None else None
    return None, None


def _read_singly(entries: Sequence[Entry], all_ms: Ints) -> Batch:
    """Read entries one by one; what is unreadable becomes a dead letter, its neighbours do not suffer."""
    batch = Batch(entries, all_ms, all_ms, all_ms, [], all_ms, [])
    positions: list[int] = []
    sequences: list[int] = []
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
            prediction = _prediction(values, number)
        except ValueError as error:
            batch.dead[position] = DeadLetter(entry, str(error))
            if number is not None:
                batch.dead_numbers[position] = (values[b"p"], number)
            continue
        positions.append(position)
        batch.publishers.append(values[b"p"])
        sequences.append(number or 0)
        batch.predictions.append(prediction)
    batch.positions = np.array(positions, dtype=np.int64)
    batch.sequences = np.array(sequences, dtype=np.int64)
    batch.entry_ms = all_ms[batch.positions]
    return batch


def _number(values: dict[bytes, bytes]) -> int | None:
    """Give the sequence number of an entry that names its publisher, None if there is no usable one."""
    try:
        number = int(values[b"s"])
    except (KeyError, ValueError):
        return None
    return number if b"p" in values and 0 < number <= MAX_SEQUENCE else None


def _prediction(values: dict[bytes, bytes], number: int | None) -> Prediction:
    """Decode one entry; ValueError says what is wrong with it."""
    kind = values.get(b"t")
    if kind is None:
        raise ValueError("no entry type: the field t is missing")
    if kind != PREDICTION:
        raise ValueError(f"unknown entry type {kind[:20]!r}")
    if number is None:
        raise ValueError("no publisher (p) or no sequence number (s) between 1 and 2^63 - 1")
    try:
        return _decoder.decode(values[b"e"])
    except KeyError:
        raise ValueError("no content: the field e is missing") from None
    except UNREADABLE as error:
        raise ValueError(f"content cannot be read: {error}") from error
