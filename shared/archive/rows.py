"""Events become rows of Arrow: the only place where the values of a log get the archive's types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from driftgauge.shared.archive.columns import (
    OWN,
    REFUSED,
    TIME,
    label_columns,
    prediction_columns,
)
from driftgauge.shared.archive.manifest import Kind
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.reference.schema import Schema

DAY_MS: Final = 86_400_000
NUMBERS, CLASSES = "numbers", "classes"
"""What labels are; in a manifest it stands in the place of a version."""
EVENTS: Final = "events"
"""What stands there of refused events, and of incidents."""
SAID: Final = {"id", "time", "source", "latency_ms", "trace", "prediction", "probabilities"}
"""Columns of predictions that are fields of the event, but for the version: it is one of all."""


class Refused(msgspec.Struct, frozen=True):
    """An event that could not be used.

    Parameters
    ----------
    id, version
        As the event says; None where it cannot be read.
    kind
        What it was, such as `prediction`.
    reason
        Why it could not be used.
    text
        The beginning of its content, as it came; None where it is not kept.
    bytes
        Length of its content.
    publisher
        Who wrote it to the log; None if it does not say.
    """

    id: str | None
    version: str | None
    kind: str
    reason: str
    text: str | None
    bytes: int
    publisher: str | None


class Group(NamedTuple):
    """The rows of one file: those of a cut that are of one kind, version and day.

    Parameters
    ----------
    date
        UTC date of their times, ISO 8601.
    first, last
        Earliest and latest of these times, in Unix ms.
    """

    kind: Kind
    version: str
    date: str
    table: Any
    first: int
    last: int


@dataclass
class Rows:
    """The rows of a part of one partition's log, collected batch by batch.

    Memory grows with the rows: a few hundred bytes each, and the text of refused events.

    Parameters
    ----------
    text
        Bytes of the text of refused events.
    """

    partition: int
    predictions: int = 0
    labels: int = 0
    refused: int = 0
    text: int = 0
    _parts: dict[tuple[Kind, str], list[Any]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """How many rows there are."""
        return self.predictions + self.labels + self.refused

    def add_predictions(
        self, schema: Schema, predictions: Sequence[Prediction], ms: Ints, numbers: Ints
    ) -> None:
        """Add predictions of one version.

        Parameters
        ----------
        schema
            The version's schema, of what is published.
        ms, numbers
            The two parts of the ids of their entries.
        """
        version = predictions[0].version
        before = self._parts.get(("predictions", version))
        columns = before[0].schema if before else prediction_columns(schema)
        given: dict[str, Any] = {
            name: list(map(attrgetter(name), predictions)) for name in SAID & {*columns.names}
        }
        width = len(schema.features)
        # each has a value for every feature, or it would not have been counted
        values = tuple(chain.from_iterable([one.features for one in predictions]))
        for place, name in enumerate(columns.names[len(OWN) : len(OWN) + width]):
            given[name] = values[place::width]
        given["version"] = pa.repeat(version, len(predictions)).dictionary_encode()
        self.add("predictions", version, columns, given, ms, numbers)
        self.predictions += len(predictions)

    def add_labels(self, labels: Sequence[Label], ms: Ints, numbers: Ints) -> None:
        """Add labels that are all numbers or all classes."""
        are_numbers = not isinstance(labels[0].label, str)
        given = {
            "id": [one.id for one in labels],
            "label": [one.label for one in labels],
            "time": [one.time for one in labels],
        }
        kind = NUMBERS if are_numbers else CLASSES
        columns = label_columns(numbers=are_numbers)
        self.add("labels", kind, columns, given, ms, numbers)
        self.labels += len(labels)

    def add_refused(self, refused: Sequence[Refused], ms: Ints, numbers: Ints) -> None:
        """Add events that could not be used; their time is that of their entries."""
        names = Refused.__struct_fields__
        given: dict[str, Any] = {name: [getattr(one, name) for one in refused] for name in names}
        self.add("refused", EVENTS, REFUSED, {**given, "time": ms}, ms, numbers)
        self.refused += len(refused)
        self.text += sum(len(one.text or "") for one in refused)

    def add(
        self,
        kind: Kind,
        version: str,
        columns: Any,
        given: Mapping[str, Any],
        ms: Ints,
        numbers: Ints,
    ) -> None:
        """Add rows of a kind.

        Parameters
        ----------
        version
            What the names of their files begin with.
        columns
            The Arrow schema.
        given
            Values of its columns, but for their places.
        ms, numbers
            The two parts of the ids of their entries.
        """
        values = {
            **given,
            "entry_time": ms,
            "entry_number": numbers,
            "partition": np.full(len(ms), self.partition, np.int32),
        }
        arrays = [_array(values[one.name], one.type) for one in columns]
        batch = pa.record_batch(arrays, schema=columns)
        self._parts.setdefault((kind, version), []).append(batch)

    def groups(self) -> Iterator[Group]:
        """Yield the rows of each file, in the order of the log."""
        for (kind, version), batches in self._parts.items():
            table = pa.Table.from_batches(batches).unify_dictionaries()
            times = table["time"].cast(pa.int64()).to_numpy()
            days = times // DAY_MS
            for day in np.unique(days).tolist():
                chosen = np.flatnonzero(days == day)
                part = table if len(chosen) == len(days) else table.take(chosen)
                of_day = times[chosen]
                date = str(np.datetime64(day, "D"))
                yield Group(kind, version, date, part, int(of_day.min()), int(of_day.max()))


def _array(values: Any, wanted: Any) -> Any:
    """Return values of the log as an array: numbers of a boolean or a time become such."""
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_dictionary(wanted):
        return pa.array(values, pa.string()).dictionary_encode()
    if isinstance(values, tuple) and wanted in {TIME, pa.bool_()}:  # of a feature
        numbers = pa.array(values, pa.float64())
        return (numbers.cast(pa.int64(), safe=False) if wanted == TIME else numbers).cast(wanted)
    return pa.array(values, wanted)
