"""Reading an archive: the one function by which all read its rows.

It reads the files that the manifests name, file by file, so that memory is bounded and no row comes
twice. A file that is damaged or gone is named and skipped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from driftgauge.shared.archive.columns import CATEGORY, TIME
from driftgauge.shared.archive.manifest import (
    NAME,
    FileEntry,
    Kind,
    date_of,
    day_folder,
    manifest_of,
)
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.errors import BadData

BATCH_ROWS: Final = 20_000
"""Most rows of a batch."""
NUMBER: Final = pa.float64()
DAMAGE: Final = (pa.ArrowException, OSError, UnicodeDecodeError, KeyError)
"""What Arrow raises of a file that is damaged, and of other things; see `is_damaged`."""
NONE: Final = pc.scalar(False)
"""The filter that takes no row."""
Told = Callable[[str], None]
"""A function that is told of each file that cannot be read, in a sentence."""


@dataclass(frozen=True)
class Range:
    """Rows of a model by their time, and predictions by what they are; None and empty for any.

    Parameters
    ----------
    since, until
        Unix ms: the first is in it, the second is not.
    least, most
        Bounds of a predicted number, inclusive.
    prediction
        Predicted category.
    ids
        Complete ids of predictions, or of their labels.
    between
        First and last id, both inclusive, as texts are sorted.
    ends
        For some partitions the last entry of which rows are in it.
    """

    model: str
    since: int | None = None
    until: int | None = None
    version: str = ""
    least: float | None = None
    most: float | None = None
    prediction: str = ""
    ids: tuple[str, ...] = ()
    between: tuple[str, str] | None = None
    ends: Mapping[int, EntryId] = field(default_factory=dict)

    def has_date(self, date: str) -> bool:
        """Tell whether rows of a UTC date can be in it.

        >>> Range("steel", since=1763640000000).has_date("2025-11-19")
        False
        """
        return (self.since is None or date >= date_at(self.since)) and (
            self.until is None or date <= date_at(self.until)
        )

    def has(self, file: FileEntry) -> bool:
        """Tell whether rows of a file can be in it."""
        return (
            (not self.version or file.version == self.version)
            and (self.since is None or file.last >= self.since)
            and (self.until is None or file.first < self.until)
            and (file.partition not in self.ends or file.span[0] < self.ends[file.partition])
        )

    @property
    def columns(self) -> list[str]:
        """Names of the columns that its filter reads."""
        by_time = self.since is not None or self.until is not None
        by_answer = self.prediction or self.least is not None or self.most is not None
        asked = {
            "time": by_time,
            "id": self.ids or self.between,
            "prediction": by_answer,
            "entry_time": self.ends,
            "entry_number": self.ends,
        }
        return [name for name, is_asked in asked.items() if is_asked]

    def condition(self, columns: Any, file: FileEntry | None = None) -> Any:
        """Return the range as a filter of Arrow for a table of some columns; None takes all.

        Parameters
        ----------
        file
            The file that the table is of; None if all its partitions' rows are before their ends.
        """
        bounds: list[Any] = []
        if file is not None and (end := self.ends.get(file.partition)) and end < file.span[1]:
            ms, number = pa.scalar(end.ms, TIME), end.sequence
            is_last = (pc.field("entry_time") == ms) & (pc.field("entry_number") <= number)
            bounds.append((pc.field("entry_time") < ms) | is_last)
        between = (min(self.ids), max(self.ids)) if self.ids else self.between
        if between is not None:  # statistics of row groups are held against bounds alone
            bounds += [pc.field("id") >= between[0], pc.field("id") <= between[1]]
        if self.since is not None:
            bounds.append(pc.field("time") >= pa.scalar(self.since, TIME))
        if self.until is not None:
            bounds.append(pc.field("time") < pa.scalar(self.until, TIME))
        if self.ids:
            bounds.append(pc.field("id").isin(pa.array(self.ids, pa.string())))
        made = columns.field("prediction").type if "prediction" in columns.names else None
        if self.prediction:
            bounds.append(pc.field("prediction") == self.prediction if made == CATEGORY else NONE)
        if self.least is not None:
            bounds.append(pc.field("prediction") >= self.least if made == NUMBER else NONE)
        if self.most is not None:
            bounds.append(pc.field("prediction") <= self.most if made == NUMBER else NONE)
        return reduce(and_, bounds) if bounds else None


def files(store: Store, kind: Kind, wanted: Range, told: Told) -> list[tuple[str, FileEntry]]:
    """Return the paths of the files that can have rows of a range, by their time, and what the
    manifests say of them.
    """
    found = [
        one
        for date in dates(store, kind, wanted)
        for one in of_day(store, kind, date, wanted, told)
    ]
    return sorted(found, key=lambda one: (one[0].rpartition("/")[0], one[1].span))


def dates(store: Store, kind: Kind, wanted: Range) -> list[str]:
    """Return the UTC dates of which there are rows of a range, in their order."""
    paths = store.find(f"{kind}/model={wanted.model}")
    found = {date_of(path) for path in paths if path.endswith(f"/{NAME}")}
    return sorted(date for date in found if wanted.has_date(date))


def of_day(
    store: Store, kind: Kind, date: str, wanted: Range, told: Told
) -> list[tuple[str, FileEntry]]:
    """Return the paths of a day's files that can have rows of a range, and what the manifest says
    of them; none if it is damaged or gone.
    """
    folder = day_folder(kind, wanted.model, date)
    path = f"{folder}/{NAME}"
    try:
        manifest = manifest_of(store.read(path), store.where(path))
    except FileNotFoundError:
        return []
    except BadData as error:
        told(f"{error} The files of its day are skipped.")
        return []
    return [(f"{folder}/{file.name}", file) for file in manifest.files if wanted.has(file)]


def scan(
    store: Store,
    kind: Kind,
    wanted: Range,
    told: Told,
    columns: Sequence[str] | None = None,
    found: Sequence[tuple[str, FileEntry]] | None = None,
    schema: Any = None,
) -> Iterator[Any]:
    """Yield the rows of a range as record batches that all have the same columns.

    A column that a version lacks is null in its rows. One that is a number in a version and a
    category in another is a text in all.

    Parameters
    ----------
    columns
        Names of the columns that are wanted; None is all of them.
    found
        Some of the `files` of the range; None is all of them.
    schema
        Columns that they get; None is what `schema_of` says.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    found = files(store, kind, wanted, told) if found is None else found
    schema = schema_of(store, found) if schema is None else schema
    if columns is not None:
        schema = pa.schema([one for one in schema if one.name in columns])
    for path, file in found:
        for batch in _read(store, path, file, wanted, schema.names, told):
            yield with_columns(schema, batch)


def read_file(store: Store, path: str, columns: Sequence[str] | None = None) -> Any:
    """Read a file into memory, as a table.

    Raises
    ------
    OSError
        If it is not there, or the archive does not answer.
    pyarrow.ArrowException
        If it is damaged.
    """
    with store.open(path) as opened:
        return parquet_of(opened).read(columns=columns and list(columns), use_threads=False)


def parquet_of(opened: BinaryIO) -> Any:
    """Return an opened file of rows as Parquet that is read in the thread that asks for it.

    Arrow's threads must not read ahead: one that still holds a file of Python's when the process
    ends aborts it. So give `use_threads=False` too.
    """
    return pq.ParquetFile(opened, pre_buffer=False)


def schema_of(store: Store, found: Sequence[tuple[str, FileEntry]]) -> Any:
    """Return the columns of some files together: those of the latest version come first."""
    schemas: list[Any] = []
    seen: set[str] = set()
    for path, file in reversed(found):
        if file.version in seen:
            continue
        with skipped(store, path, _told_later), store.open(path) as opened:
            own = ds.ParquetFileFormat().inspect(pa.PythonFile(opened, mode="r"))
            if own.names:  # they are decoded here
                schemas.append(own)
                seen.add(file.version)
    return together(schemas)


def _told_later(_: str) -> None:
    """Tell nothing of a file: it is told when its rows are read."""


def together(schemas: Iterable[Any]) -> Any:
    """Return the columns of some schemas together, those of the first one first; what has different
    types is a text.
    """
    fields: dict[str, Any] = {}
    for schema in schemas:
        for one in schema:
            before = fields.setdefault(one.name, one)
            if before.type != one.type:
                fields[one.name] = one.with_type(CATEGORY)
    return pa.schema(list(fields.values()))


def row_groups(opened: BinaryIO, condition: Any) -> list[Any]:
    """Return the row groups of a file of which the statistics allow rows that fulfil a condition;
    all of them if it is None.
    """
    fragment = ds.ParquetFileFormat().make_fragment(pa.PythonFile(opened, mode="r"))
    if condition is not None:
        fragment = fragment.subset(filter=condition, schema=fragment.physical_schema)
    return sorted(fragment.row_groups, key=lambda group: group.id)


def _read(
    store: Store, path: str, entry: FileEntry, wanted: Range, names: Sequence[str], told: Told
) -> Iterator[Any]:
    """Yield the rows of a file that are of a range."""
    with skipped(store, path, told), store.open(path) as opened:
        file = parquet_of(opened)
        condition = wanted.condition(file.schema_arrow, entry)
        groups = [group.id for group in row_groups(opened, condition)]
        columns = {*names, *wanted.columns}
        for batch in file.iter_batches(BATCH_ROWS, groups, columns, use_threads=False):
            rows = pa.Table.from_batches([batch])
            yield from (rows if condition is None else rows.filter(condition)).to_batches()


@contextmanager
def skipped(store: Store, path: str, told: Told) -> Iterator[None]:
    """Tell of a file that turns out to be damaged or gone, and leave the rest of it out."""
    try:
        yield
    except (*DAMAGE, FileNotFoundError) as error:
        if not (isinstance(error, FileNotFoundError) or is_damaged(error)):
            raise
        said = (str(error).splitlines() or [""])[0]
        told(f"{store.where(path)} is damaged or gone, and skipped: {said}")


def is_damaged(error: Exception) -> bool:
    """Tell whether one of `DAMAGE` is about the content of a file, and not about where it is.

    Arrow raises an OSError of a sentence alone where it cannot decode what it has read; one of a
    system or a store has a number, or its place.

    Examples
    --------
    >>> is_damaged(OSError("ZSTD decompression failed")), is_damaged(OSError(28, "No space left"))
    (True, False)
    """
    return not isinstance(error, OSError) or len(error.args) == 1


def with_columns(schema: Any, batch: Any) -> Any:
    """Return a batch with the columns and types that all get."""
    arrays = []
    for one in schema:
        if one.name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, one.type))
            continue
        column = batch.column(one.name)
        if column.type != one.type:
            text = column.cast(pa.string())
            column = text.dictionary_encode().cast(CATEGORY) if one.type == CATEGORY else text
        arrays.append(column)
    return pa.record_batch(arrays, schema=schema)


def date_at(ms: int) -> str:
    """Return the UTC date of a time in Unix ms.

    >>> date_at(1763640000000)
    '2025-11-20'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).date().isoformat()
