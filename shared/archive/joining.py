"""Predictions with their labels: the last label of each in the log's order, so corrections win.

Labels wait in a temporary database on disk, so memory is bounded however many there are.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from driftgauge.shared.archive.columns import CATEGORY, JOINED, OWN, TIME
from driftgauge.shared.archive.manifest import FileEntry
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.scan import (
    BATCH_ROWS,
    Range,
    Told,
    files,
    row_groups,
    scan,
    schema_of,
    skipped,
    together,
    with_columns,
)
from driftgauge.shared.archive.store import Store

EARLY_MS: Final = 30 * 86_400_000
"""How long before its prediction a label may have come to the log."""
CACHE_KIB: Final = 64 << 10
"""Memory of the database."""
ADD: Final = """
INSERT INTO labels VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET label = excluded.label, time = excluded.time, ms = excluded.ms, number = excluded.number
WHERE (excluded.ms, excluded.number) > (labels.ms, labels.number)
"""
FIND: Final = """
SELECT given.key, label, time FROM json_each(?) AS given JOIN labels ON labels.id = given.value
"""


def joined(store: Store, wanted: Range, told: Told, waiting: Iterable[Group] = ()) -> Iterator[Any]:
    """Yield the predictions of a range with the columns `label` and `label_time`, null without a
    label, as record batches of the same columns. The first one has no rows.

    Parameters
    ----------
    waiting
        Rows that are not archived yet, behind the `ends` of the range; they are read once.

    Raises
    ------
    OSError
        If the archive does not answer, or the disk has no room for the labels.
    """
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        labels = _Labels(Path(folder) / "labels.db")
        try:
            later = _Later(Path(folder), waiting, labels)
            yield from _joined(store, wanted, told, later, labels)
        finally:
            labels.close()


def _joined(
    store: Store, wanted: Range, told: Told, later: "_Later", labels: "_Labels"
) -> Iterator[Any]:
    found = files(store, "predictions", wanted, told)
    labels.read(store, wanted, told, found, later.ids)
    columns = together([*later.schemas, schema_of(store, found), pa.schema(OWN)])
    yield labels.join(_no_rows(columns))
    for batch in scan(store, "predictions", wanted, told, found=found, schema=columns):
        yield labels.join(batch)
    for table in later.tables(wanted):
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            yield labels.join(with_columns(columns, batch))


def _no_rows(columns: Any) -> Any:
    return pa.record_batch([pa.array([], one.type) for one in columns], schema=columns)


class _Later:
    """The rows that are not archived yet: predictions in files, labels with the others.

    Attributes
    ----------
    schemas
        Columns of the predictions, those of the latest version first.
    ids
        First and last id of the predictions; None without any.
    """

    def __init__(self, folder: Path, waiting: Iterable[Group], labels: "_Labels") -> None:
        self.ids: tuple[str, str] | None = None
        self._kept: list[tuple[str, Path]] = []
        schemas: dict[str, Any] = {}
        for number, group in enumerate(waiting):
            if group.kind == "labels":
                for batch in group.table.to_batches():
                    labels.add(batch)
            elif group.kind == "predictions":
                path = folder / f"{number}.parquet"
                pq.write_table(group.table, path)
                self._kept.append((group.version, path))
                schemas[group.version] = group.table.schema
                self.ids = _around(self.ids, pc.min_max(group.table["id"]).as_py())
        self.schemas = list(schemas.values())[::-1]

    def tables(self, wanted: Range) -> Iterator[Any]:
        """Yield those of a range."""
        for version, path in self._kept:
            if wanted.version in {"", version}:
                table = pq.read_table(path)
                condition = wanted.condition(table.schema)
                yield table if condition is None else table.filter(condition)


def _around(ids: tuple[str, str] | None, told: Mapping[str, str]) -> tuple[str, str]:
    """Return the first and the last of ids and of further ones."""
    if ids is None:
        return told["min"], told["max"]
    return min(ids[0], told["min"]), max(ids[1], told["max"])


class _Labels:
    """The labels of some predictions, by their ids."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path)
        for line in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._base.execute(f"PRAGMA {line}")
        self._base.execute(
            "CREATE TABLE labels (id TEXT PRIMARY KEY, label, time INT, ms INT, number INT) "
            "WITHOUT ROWID"
        )
        self._kinds: set[Any] = set()

    def close(self) -> None:
        self._base.close()

    def read(
        self,
        store: Store,
        wanted: Range,
        told: Told,
        predictions: Sequence[tuple[str, FileEntry]],
        ids: tuple[str, str] | None,
    ) -> None:
        """Read the archived labels that predictions of some files, and between some ids, can have.

        Ids that tell the time are sorted by it: most row groups of other days' labels are not read.
        """
        for path, file in predictions:
            ids = _ids_of(store, path, wanted, file, ids)
        if ids is None:
            return
        first = min((file.span[0].ms for _, file in predictions), default=0)
        among = Range(wanted.model, between=ids, ends=wanted.ends)
        found = files(store, "labels", among, told)
        found = [one for one in found if one[1].span[1].ms >= first - EARLY_MS]
        for batch in scan(store, "labels", among, told, found=found):
            self.add(batch)
        self._base.commit()

    def join(self, predictions: Any) -> Any:
        """Return a record batch with the labels of its rows."""
        kind = next(iter(self._kinds)) if len(self._kinds) == 1 else CATEGORY
        names = (pa.field(JOINED[0], kind), pa.field(JOINED[1], TIME))
        labels, times = self._of(predictions.column("id").to_pylist())
        if kind == CATEGORY:
            labels = [None if one is None else str(one) for one in labels]
        texts = pa.array(labels, pa.string() if kind == CATEGORY else kind)
        arrays = [
            *predictions.columns,
            texts.dictionary_encode().cast(kind) if kind == CATEGORY else texts,
            pa.array(times, pa.int64()).cast(TIME),
        ]
        return pa.record_batch(arrays, schema=pa.schema([*predictions.schema, *names]))

    def add(self, batch: Any) -> None:
        """Add labels."""
        self._kinds.add(batch.schema.field("label").type)
        times = ("time", "entry_time")
        columns = [
            batch.column(name).cast(pa.int64()) if name in times else batch.column(name)
            for name in ("id", "label", "time", "entry_time", "entry_number")
        ]
        self._base.executemany(ADD, zip(*(one.to_pylist() for one in columns), strict=True))

    def _of(self, ids: list[str]) -> tuple[list[Any], list[int | None]]:
        labels: list[Any] = [None] * len(ids)
        times: list[int | None] = [None] * len(ids)
        for place, label, time in self._base.execute(FIND, (json.dumps(ids),)):
            labels[place], times[place] = label, time
        return labels, times


def _ids_of(
    store: Store, path: str, wanted: Range, file: FileEntry, ids: tuple[str, str] | None
) -> tuple[str, str] | None:
    """Return the first and the last of some ids and of those that a file's statistics tell of the
    rows of a range.
    """
    with skipped(store, path, lambda _: None), store.open(path) as opened:  # told with its rows
        condition = wanted.condition(pq.read_schema(opened), file)
        for group in row_groups(opened, condition):
            ids = _around(ids, group.statistics["id"])
    return ids
