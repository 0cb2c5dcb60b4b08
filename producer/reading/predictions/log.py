"""The predictions of a model's log, newest first, each with its label where one has come.

The partitions are read backwards in blocks and merged by their entries' ids, which Redis's clock
makes. A label comes after its prediction in the log, so reading backwards meets it first; a page
that begins elsewhere searches the next entries for labels. Entries that cannot be read are skipped:
counting has written them to the dead letters.

A prediction's time is that of its event, but at most that of its entry, in case a client's clock is
in the future.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec
import redis.asyncio

from driftgauge.producer.reading.pages import unknown_cursor
from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async, whole
from driftgauge.shared.contract.entry_id import EntryId, Place, exclusive, is_entry_id
from driftgauge.shared.contract.events import LABEL, PREDICTION, Label, Prediction
from driftgauge.shared.unpacking import UNREADABLE

READ: Final = 500
"""Entries read at once when labels are looked for ahead."""
MOST_READ: Final = 20_000
"""Most entries that are read for one page."""
MOST_LABELS: Final = 100_000
"""Most labels that are kept for their prediction while reading backwards."""
LOOK_AHEAD: Final = 5000
"""Entries per partition that are searched, after the position of a later page, for its labels."""
NOWHERE: Final[Mapping[int, EntryId]] = MappingProxyType({})
FORM: Final = re.compile(r"(.+)\.([0-9]{1,5})")

_decode = msgspec.json.Decoder(Prediction).decode
_decode_label = msgspec.json.Decoder(Label).decode


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """Filter of predictions; None and empty for any.

    Parameters
    ----------
    since_ms, until_ms
        Event times (ms): not before the first, and before the second.
    least, most
        Bounds of a numeric prediction, inclusive.
    prediction
        Predicted category.
    id
        Complete id of the prediction.
    """

    version: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    least: float | None = None
    most: float | None = None
    prediction: str = ""
    id: str = ""

    @property
    def is_search(self) -> bool:
        """Whether rows may be wanted that are far from the newest ones."""
        return self != PredictionFilter(since_ms=self.since_ms)

    def matches(self, event: Prediction, time_ms: int) -> bool:
        """Tell whether a prediction is wanted.

        Examples
        --------
        >>> event = Prediction(id="a", version="1.0.0", time=5, features=[], prediction=2.5)
        >>> (
        ...     PredictionFilter(least=2.5, until_ms=6).matches(event, 5),
        ...     PredictionFilter(most=2).matches(event, 5),
        ...     PredictionFilter(id="b").matches(event, 5),
        ... )
        (True, False, False)
        """
        return (
            (not self.version or event.version == self.version)
            and (not self.id or event.id == self.id)
            and (self.since_ms is None or time_ms >= self.since_ms)
            and (self.until_ms is None or time_ms < self.until_ms)
            and (not self.prediction or event.prediction == self.prediction)
            and ((self.least is None and self.most is None) or self._within(event.prediction))
        )

    def _within(self, made: float | str | None) -> bool:
        if not isinstance(made, float | int):
            return False
        return (self.least is None or made >= self.least) and (
            self.most is None or made <= self.most
        )


@dataclass(frozen=True, slots=True)
class Logged:
    """A prediction; `label` is None where none was met.

    Parameters
    ----------
    names
        Names of its features; None if only the version's schema tells them.
    """

    place: Place
    time_ms: int
    event: Prediction
    label: float | str | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some predictions, newest first.

    Parameters
    ----------
    following
        The cursor of the next page; empty on the last one.
    read
        Number of entries of the log, and of rows of the archive, that were read.
    skipped
        What is missing, in sentences: files of the archive that cannot be read.
    """

    rows: list[Logged]
    following: str
    read: int
    skipped: tuple[str, ...] = ()


async def page(
    client: redis.asyncio.Redis,
    logs: Sequence[str],
    wanted: PredictionFilter,
    limit: int,
    cursor: str = "",
    most: int = MOST_READ,
    behind: Mapping[int, EntryId] = NOWHERE,
) -> Page:
    """Return up to `limit` predictions, newest first, from the entries before a place.

    Parameters
    ----------
    logs
        Keys of the model's partitions.
    cursor
        The `following` of the previous page; empty for the newest predictions.
    most
        Most entries that are read; after them a page ends early, and the next one goes on.
    behind
        For some partitions an entry: it and earlier ones are left out.

    Raises
    ------
    Problem
        400 if `cursor` is malformed.
    """
    rows: list[Logged] = []
    read = 0
    async with aclosing(_walk(client, logs, wanted, cursor, behind)) as walked:
        async for place, row in walked:
            read += 1
            if row is not None:
                rows.append(row)
            if len(rows) == limit or read == most:
                return Page(rows, str(place), read)
    return Page(rows, "", read)


async def walk(
    client: redis.asyncio.Redis, logs: Sequence[str], wanted: PredictionFilter
) -> AsyncIterator[Logged]:
    """Yield all wanted predictions of a log, newest first, of any number in constant memory."""
    async for _, row in _walk(client, logs, wanted, "", NOWHERE):
        if row is not None:
            yield row


async def _walk(
    client: redis.asyncio.Redis,
    logs: Sequence[str],
    wanted: PredictionFilter,
    before: str,
    behind: Mapping[int, EntryId],
) -> AsyncGenerator[tuple[Place, Logged | None], None]:
    """Go through the entries: each place, and the prediction there if it is one that is wanted."""
    start = place_of(before)
    labels = {} if start is None else await _ahead(client, logs, start)
    async for place, fields in _merged(client, logs, start, behind):
        if wanted.since_ms is not None and place.entry.ms < wanted.since_ms:
            return  # no prediction is later than its entry
        yield place, _understood(place, fields, wanted, labels)


def _understood(
    place: Place, fields: Fields, wanted: PredictionFilter, labels: dict[str, float | str]
) -> Logged | None:
    kind = fields.get(b"t")
    try:
        if kind == LABEL:
            met = _decode_label(fields.get(b"e", b""))
            labels.setdefault(met.id, met.label)  # a correction was met before what it corrects
            if len(labels) > MOST_LABELS:
                del labels[next(iter(labels))]
        elif kind == PREDICTION:
            event = _decode(fields.get(b"e", b""))
            time_ms = min(event.time, place.entry.ms)
            label = labels.pop(event.id, None)
            return Logged(place, time_ms, event, label) if wanted.matches(event, time_ms) else None
    except UNREADABLE:  # a dead letter
        return None
    return None


async def _ahead(
    client: redis.asyncio.Redis, logs: Sequence[str], place: Place
) -> dict[str, float | str]:
    """Read the labels after a position."""
    labels: dict[str, float | str] = {}
    for key in logs:
        start = str(place.entry)
        for _ in range(LOOK_AHEAD // READ):
            entries: Any = await client.xrange(key, min=start, count=READ)
            for _, fields in entries:
                with suppress(*UNREADABLE):  # a dead letter
                    if fields.get(b"t") == LABEL:
                        met = _decode_label(fields.get(b"e", b""))
                        labels[met.id] = met.label  # the later one corrects
            if len(entries) < READ:
                break
            start = exclusive(entries[-1][0])
    return labels


async def _merged(
    client: redis.asyncio.Redis,
    logs: Sequence[str],
    before: Place | None,
    behind: Mapping[int, EntryId],
) -> AsyncIterator[tuple[Place, Fields]]:
    """Read all partitions backwards as one."""
    readers = [
        _partition(client, key, number, before, behind.get(number))
        for number, key in enumerate(logs)
    ]
    heads: dict[int, tuple[Place, Fields]] = {}
    for number, reader in enumerate(readers):
        if (head := await anext(reader, None)) is not None:
            heads[number] = head
    while heads:
        number = max(heads, key=lambda one: heads[one][0])
        yield heads[number]
        if (head := await anext(readers[number], None)) is None:
            del heads[number]
        else:
            heads[number] = head


async def _partition(
    client: redis.asyncio.Redis,
    key: str,
    partition: int,
    before: Place | None,
    behind: EntryId | None,
) -> AsyncIterator[tuple[Place, Fields]]:
    """Read one partition backwards; of entries with the same id, those of partition 0 come last."""
    walk = Backwards(
        whole,
        None if before is None else before.entry,
        inclusive=before is not None and partition < before.partition,
    )
    async for entry_id, fields in backwards_async(client, key, walk):
        if behind is not None and entry_id <= behind:
            return
        yield Place(entry_id, partition), fields


def place_of(text: str) -> Place | None:
    """Read a position that a page returned; None for an empty text.

    Examples
    --------
    >>> place_of("1763650000123-4.1")
    Place(entry=EntryId(ms=1763650000123, sequence=4), partition=1)
    """
    if not text:
        return None
    found = FORM.fullmatch(text)
    if found is None or not is_entry_id(found[1]):
        raise unknown_cursor()
    return Place(EntryId.parse(found[1]), int(found[2]))
