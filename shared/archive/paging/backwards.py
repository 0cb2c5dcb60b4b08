"""Predictions of an archive, newest first: day by day, and within a day against the order of the
log.

A day's files are read side by side from their ends, a row group at a time. First come the columns
that tell which rows are wanted; all others are read of the rows of the page alone, some columns at
a time. So memory holds a few columns of a row group, however long the archive is, and days, files
and row groups in which no row can be wanted are not read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from typing import Final, NamedTuple
from uuid import UUID

from driftgauge.shared.archive.paging.events import Row, rows_of
from driftgauge.shared.archive.paging.file import File, Found
from driftgauge.shared.archive.paging.position import END, NEWEST, Position
from driftgauge.shared.archive.rows import DAY_MS
from driftgauge.shared.archive.scan import Range, Told, date_at, dates, of_day
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId, Place

MOST_WHOLE: Final = 5_000_000
"""Rows of the row groups of which a page has rows, at which it ends: these are read whole."""


class Page(NamedTuple):
    """Some predictions, newest first.

    Parameters
    ----------
    following
        Where the next page begins; None at the end of the archive.
    read
        Number of rows that were looked at.
    """

    rows: list[Row]
    following: Position | None
    read: int


def newest(
    store: Store,
    wanted: Range,
    bounds: Mapping[int, EntryId],
    start: Position,
    limit: int,
    is_enough: Callable[[], bool],
    told: Told,
) -> Page:
    """Return up to `limit` predictions of a range, newest first.

    Parameters
    ----------
    bounds
        For each partition an entry: rows of it and of later ones are left out.
    start
        The `following` of the page before, or `NEWEST`.
    is_enough
        Function that tells whether the page is to end although it is not full. It looks at a row
        group at least.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    reading = _Reading(store, wanted, bounds, limit, is_enough, told)
    for date in reversed(dates(store, "predictions", wanted)):
        if date > start.date:
            continue
        here = start if date == start.date else Position(date)
        if (left := reading.day(date, here.before)) is not None:
            return Page(reading.rows, Position(date, left), reading.read)
    return Page(reading.rows, None, reading.read)


def of_id(store: Store, wanted: Range, told: Told) -> Page:
    """Return the prediction of a range with one id that tells when it was made, from the days after
    that; an empty page if it is not there.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    reading = _Reading(store, wanted, {}, 1, lambda: False, told)
    for date in _dates_of(wanted.ids[0]):
        if not reading.rows and wanted.has_date(date):
            reading.day(date, NEWEST.before)
    return Page(reading.rows, None, reading.read)


def _dates_of(name: str) -> Iterator[str]:
    """Yield the UTC dates at which a prediction was made whose id tells the time.

    >>> list(_dates_of("019aa122-be00-7000-8000-000000000000"))
    ['2025-11-20', '2025-11-21']
    >>> list(_dates_of("order-17"))
    []
    """
    try:
        found = UUID(name)
    except ValueError:
        return
    if found.version == 7:
        for ms in (found.int >> 80, (found.int >> 80) + DAY_MS):
            if ms < END.ms:
                yield date_at(ms)


@dataclass
class _Reading:
    """What a page has so far."""

    store: Store
    wanted: Range
    bounds: Mapping[int, EntryId]
    limit: int
    is_enough: Callable[[], bool]
    told: Told
    rows: list[Row] = field(default_factory=list)
    read: int = 0
    has_looked: bool = False
    to_read: set[tuple[str, int]] = field(default_factory=set)
    """Row groups of files that are read whole."""
    whole: int = 0
    """Number of their rows."""

    @property
    def is_over(self) -> bool:
        """Whether the page is to end although it is not full."""
        return self.whole >= MOST_WHOLE or (self.has_looked and self.is_enough())

    def day(self, date: str, before: Place) -> Place | None:
        """Take the rows of a day; return the place before which it goes on if the page ends here,
        None at the day's beginning.
        """
        if self.is_over:
            return before
        with ExitStack() as opened:
            files = []
            for path, entry in of_day(self.store, "predictions", date, self.wanted, self.told):
                bound = before.bound(entry.partition)
                bound = min(bound, self.bounds.get(entry.partition, END))
                if entry.span[0] < bound:
                    file = File(self.store, path, entry, self.wanted, bound, self.told)
                    files.append(opened.enter_context(closing(file)))
            chosen: list[Found] = []
            left = self._choose(files, chosen, before)
            self.has_looked = True
            self.rows += _rows(chosen)
            return left

    def _choose(self, files: list[File], chosen: list[Found], before: Place) -> Place | None:
        """Choose rows of files that are read side by side, and go on at least a step."""
        most = self.limit - len(self.rows)
        waiting = [(one.order, number, one) for number, one in enumerate(files)]
        heapify(waiting)
        while waiting:
            _, number, last = waiting[0]
            if last.is_over:
                heappop(waiting)
                if last.path not in {path for path, _ in self.to_read}:
                    last.close()
                continue
            if len(chosen) == most:
                return chosen[-1].place if chosen else last.next
            if last.found:
                chosen.append(last.found.pop())
                self._count(last, chosen[-1].group)
            elif self.is_over and last.next < before:
                return last.next
            else:
                self.read += last.look(most - len(chosen))
                self.has_looked = True
            heapreplace(waiting, (last.order, number, last))
        return None

    def _count(self, file: File, group: int) -> None:
        """Count the rows of a row group that is to be read whole."""
        if (file.path, group) not in self.to_read:
            self.to_read.add((file.path, group))
            self.whole += file.rows_of(group)


def _rows(chosen: Sequence[Found]) -> list[Row]:
    """Read chosen rows whole; they stay in their order."""
    parts: dict[tuple[File, int], list[int]] = defaultdict(list)
    for place, one in enumerate(chosen):
        parts[one.file, one.group].append(place)
    rows: dict[int, Row] = {}
    for (file, group), places in parts.items():
        with file.skipped():
            table = file.read(group, [chosen[place].number for place in places])
            found = rows_of(table, [chosen[place].place for place in places])
            rows |= dict(zip(places, found, strict=True))
    return [rows[place] for place in sorted(rows)]
