"""The wanted rows of a file of predictions, from its end."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftgauge.shared.archive.columns import TIME
from driftgauge.shared.archive.manifest import FileEntry
from driftgauge.shared.archive.ordered import places
from driftgauge.shared.archive.scan import Range, Told, parquet_of, row_groups, skipped
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId, Place

COLUMNS: Final = 32
"""Columns that are read at once."""
PLACE: Final = ("entry_time", "entry_number")
NUMBER: Final = " number"
"""Name of a column of our own."""


class Found(NamedTuple):
    """A row that is wanted: its number within a row group of a file."""

    place: Place
    file: "File"
    group: int
    number: int


class File:
    """The wanted rows of a file, which is opened when it is looked into.

    Parameters
    ----------
    bound
        The entry before which its rows are taken.

    Attributes
    ----------
    found
        Rows that were found, the newest last.
    """

    def __init__(
        self, store: Store, path: str, entry: FileEntry, wanted: Range, bound: EntryId, told: Told
    ) -> None:
        self.path = path
        self.found: list[Found] = []
        self._store, self._wanted, self._bound, self._told = store, wanted, bound, told
        self._partition = entry.partition
        self._rest = Place(min(bound, entry.span[1].next), entry.partition)
        self._groups: list[int] | None = None
        self._has_older = False
        self._opened: BinaryIO | None = None

    def close(self) -> None:
        """Close it."""
        if self._opened is not None:
            self._opened.close()

    @property
    def next(self) -> Place:
        """The place of the next row; if none is found yet, one behind all that are left."""
        return self.found[-1].place if self.found else self._rest

    @property
    def order(self) -> tuple[int, int, int, bool]:
        """What is sorted by: the newest file first, and rows that are found before others."""
        (ms, number), partition = self.next
        return -ms, -number, -partition, not self.found

    @property
    def is_over(self) -> bool:
        """Whether it has no more rows."""
        return not self.found and self._groups == [] and not self._has_older

    def look(self, most: int) -> int:
        """Look for wanted rows in the next row group, and keep the newest of them, of which the
        page needs no more; return how many rows were looked at.
        """
        left, self._groups = self._groups, []  # no more is read if it is damaged
        with self.skipped():
            left = self._open() if left is None else left
            looked = self._look_into(left.pop(), most) if left else 0
            self._groups = left
            return looked
        return 0

    def skipped(self) -> AbstractContextManager[None]:
        """Tell if it turns out to be damaged or gone, and leave the rest of it out."""
        return skipped(self._store, self.path, self._told)

    def _open(self) -> list[int]:
        """Open it; return the row groups that can have wanted rows."""
        self._opened = self._store.open(self.path)
        self._file = parquet_of(self._opened)
        self._columns = self._file.schema_arrow
        self._condition = self._wanted.condition(self._columns)
        earlier = pc.field("entry_time") <= pa.scalar(self._bound.ms, TIME)
        both = earlier if self._condition is None else earlier & self._condition
        return [group.id for group in row_groups(self._opened, both)]

    def _look_into(self, group: int, most: int) -> int:
        names = [*PLACE, *self._wanted.columns]
        rows = self._file.read_row_group(group, columns=names, use_threads=False)
        looked: int = rows.num_rows
        self._rest = min([self._rest, *self._places(rows.slice(0, 1))])
        numbers = pa.array(np.arange(looked))
        if self._condition is not None:
            rows = rows.append_column(NUMBER, numbers).filter(self._condition)
            numbers = rows[NUMBER]
        ms, entries = places(rows)
        before = (ms < self._bound.ms) | ((ms == self._bound.ms) & (entries < self._bound.sequence))
        wanted = np.flatnonzero(before)
        self._has_older = len(wanted) > most
        last = pa.array(wanted[-most:])
        self.found = [
            Found(place, self, group, number)
            for place, number in zip(
                self._places(rows.take(last)), numbers.take(last).to_pylist(), strict=True
            )
        ]
        return looked

    def _places(self, rows: Any) -> list[Place]:
        """Return the places that rows had in the log."""
        ids = zip(*(part.tolist() for part in places(rows)), strict=True)
        return [Place(EntryId(*one), self._partition) for one in ids]

    def rows_of(self, group: int) -> int:
        """Return the number of rows of a row group."""
        return int(self._file.metadata.row_group(group).num_rows)

    def read(self, group: int, numbers: Sequence[int]) -> Any:
        """Return some rows of a row group, some columns at a time."""
        names = self._columns.names
        chosen = pa.array(numbers)
        parts = [
            self._file.read_row_group(
                group, columns=names[start : start + COLUMNS], use_threads=False
            ).take(chosen)
            for start in range(0, len(names), COLUMNS)
        ]
        columns = {name: part[name] for part in parts for name in part.column_names}
        return pa.table([columns[name] for name in names], schema=self._columns)
