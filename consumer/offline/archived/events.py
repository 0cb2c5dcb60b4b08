"""Rows of an archive become events again, and batches of what stood in a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa

from driftgauge.consumer.counting.entries.columns import NO_INTS, Batch, Entry, Numbered
from driftgauge.shared.archive.columns import column_names
from driftgauge.shared.archive.ordered import places
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.reference.history import ReferenceChange
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema

PUBLISHER: Final = b"archive"
BLANK: Final[Entry] = (b"0-0", [])
"""Stands for an entry of the log, whose content was decoded long ago."""

_Event = TypeVar("_Event", Prediction, Label)


@dataclass(frozen=True)
class Events(Generic[_Event]):
    """Events of one kind in the order of the log, with the two parts of their entries' ids."""

    ms: Ints
    numbers: Ints
    events: Sequence[_Event]

    @classmethod
    def of(cls, parts: Sequence[tuple[Ints, Ints, list[_Event]]]) -> Self:
        """Put parts together that overlap."""
        if not parts:
            return cls(NO_INTS, NO_INTS, [])
        ms, numbers = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        events = [event for part in parts for event in part[2]]
        if len(parts) == 1:
            return cls(ms, numbers, events)
        order = np.lexsort((numbers, ms))
        return cls(ms[order], numbers[order], [events[place] for place in order.tolist()])

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, part: slice) -> "Events[_Event]":
        return Events(self.ms[part], self.numbers[part], self.events[part])

    def then(self, later: "Events[_Event]") -> "Events[_Event]":
        """Return these and later ones together."""
        if not len(self):
            return later
        return Events(
            np.concatenate((self.ms, later.ms)),
            np.concatenate((self.numbers, later.numbers)),
            list(chain(self.events, later.events)),
        )

    def before(self, entry: EntryId) -> int:
        """Return how many come before an entry."""
        first, last = np.searchsorted(self.ms, entry.ms), np.searchsorted(self.ms, entry.ms + 1)
        return int(first + np.searchsorted(self.numbers[first:last], entry.sequence))


def predictions_of(batches: Sequence[Any], schemas: Mapping[str, Schema]) -> Events[Prediction]:
    """Return rows of predictions as events; those of versions that have no schema are left out.

    Parameters
    ----------
    batches
        Record batches, each of one version.
    schemas
        Schema of each version, of what is published.
    """
    parts = []
    for batch in batches:
        version = batch.column("version")[0].as_py()
        if version in schemas:
            parts.append((*places(batch), _predictions(batch, version, schemas[version])))
    return Events.of(parts)


def labels_of(batches: Sequence[Any]) -> Events[Label]:
    """Return rows of labels as events."""
    return Events.of(
        [
            (
                *places(batch),
                list(
                    map(
                        Label,
                        batch.column("id").to_pylist(),
                        given(batch.column("label")),
                        batch.column("time").cast(pa.int64()).to_numpy().tolist(),
                    )
                ),
            )
            for batch in batches
        ]
    )


def _predictions(batch: Any, version: str, schema: Schema) -> list[Prediction]:
    names = column_names([feature.name for feature in schema.features])
    values = (numbers_or_texts(column_of(batch, name)) for name in names)
    columns = [one if isinstance(one, list) else one.tolist() for one in values]
    rows = zip(*columns, strict=True) if columns else repeat(())
    return list(
        map(
            Prediction,
            batch.column("id").to_pylist(),
            repeat(version),
            batch.column("time").cast(pa.int64()).to_numpy().tolist(),
            rows,
            given(column_of(batch, "prediction")),
            given(batch.column("latency_ms")),
            given(batch.column("source")),
            repeat(False),  # whose the id is was settled when it was counted
            given(column_of(batch, "probabilities")),
            repeat(None),
            given(batch.column("trace")),
        )
    )


def column_of(batch: Any, name: str) -> Any:
    """Return a column of a batch; of nulls if it has none of that name."""
    known = name in batch.schema.names
    return batch.column(name) if known else pa.nulls(batch.num_rows, pa.float64())


def numbers_or_texts(column: Any) -> Column:
    """Return the values of a feature as they stood in the log: numbers as float64, NaN where one is
    missing, or a list of texts, None where one is missing.

    >>> numbers_or_texts(pa.array([True, None])), numbers_or_texts(pa.array(["a", None]))
    (array([ 1., nan]), ['a', None])
    """
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return given(column)
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    numbers: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def shares_of(column: Any, classes: int) -> Floats:
    """Return the probabilities of a column of lists, shape (rows, classes); NaN in a row that has
    none.

    >>> shares_of(pa.array([[0.25, 0.75], None]), 2).tolist()
    [[0.25, 0.75], [nan, nan]]
    """
    found = np.full((len(column), classes), np.nan)
    for place, shares in enumerate(column.to_pylist()):
        if shares is not None and len(shares) == classes and None not in shares:
            found[place] = shares
    return found


def given(column: Any) -> list[Any]:
    """Return the values of a column, None for what is missing."""
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_dictionary(column.type):
        names = np.array([*column.dictionary.to_pylist(), None], dtype=object)
        chosen: list[Any] = names[column.indices.fill_null(len(names) - 1).to_numpy()].tolist()
        return chosen
    if pa.types.is_floating(column.type) and not column.null_count:
        found: list[Any] = column.to_numpy().tolist()
        return found
    values: list[Any] = column.to_pylist()
    return values


@dataclass(frozen=True)
class Ending:
    """The entry with which a batch ends: a tick, or a new reference, at an entry time (ms)."""

    ms: int
    change: ReferenceChange | None = None


def batch_of(
    predictions: Events[Prediction],
    labels: Events[Label],
    ending: Ending | None,
    numbered: int,
    schemas: Mapping[str, Schema],
) -> Batch:
    """Put events together as a batch of a log's entries.

    Parameters
    ----------
    ending
        The entry that comes last; None if it is an event.
    numbered
        Number of events before it.
    """
    size = len(predictions) + len(labels)
    ms = np.concatenate((predictions.ms, labels.ms))
    order = np.lexsort((np.concatenate((predictions.numbers, labels.numbers)), ms))
    positions = np.empty(size, dtype=np.int64)
    positions[order] = np.arange(size)
    all_ms = ms[order] if ending is None else np.append(ms[order], ending.ms)
    versions = {one.version for one in predictions.events}
    kinds = {schemas[version].kinds for version in versions}

    def part(events: Events[Any], at: Ints) -> tuple[Ints, Ints, list[bytes], Ints, list[Any]]:
        names = [PUBLISHER] * len(events)
        return at, events.ms, names, numbered + 1 + at, list(events.events)

    batch = Batch(
        [BLANK] * len(all_ms),
        all_ms,
        *part(predictions, positions[: len(predictions)]),
        labels=Numbered(*part(labels, positions[len(predictions) :])),
        checked=kinds.pop() if len(kinds) == 1 else None,
    )
    if ending is not None and ending.change is not None:
        batch.changes[size] = ending.change
    elif ending is not None:
        batch.ticks.append(size)
    return batch
