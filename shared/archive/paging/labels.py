"""The labels of some predictions of an archive, as a page shows them.

A label is looked for in the days in which it may come: those from its prediction on, as long as
labels are waited for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from driftgauge.shared.archive.ordered import places
from driftgauge.shared.archive.paging.events import Row
from driftgauge.shared.archive.paging.position import END
from driftgauge.shared.archive.rows import DAY_MS
from driftgauge.shared.archive.scan import (
    Range,
    Told,
    date_at,
    dates,
    of_day,
    parquet_of,
    row_groups,
    skipped,
)
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import EntryId

COLUMNS: Final = ("id", "label", "entry_time", "entry_number")

Labels = dict[str, float | str]


def labels_of(
    store: Store,
    model: str,
    rows: Sequence[Row],
    wait_ms: int,
    is_enough: Callable[[], bool],
    told: Told,
) -> Labels:
    """Return the last label of each prediction that has one, by its id.

    Parameters
    ----------
    wait_ms
        How long labels are waited for, in ms.
    is_enough
        Function that tells whether to end early, which is told.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    if not rows:
        return {}
    wanted = Range(model, ids=tuple(row.event.id for row in rows))
    begun = {ms // DAY_MS for row in rows for ms in (row.event.time, row.place.entry.ms)}
    days = {
        date_at(min((day + later) * DAY_MS, END.ms))
        for day in begun
        for later in range(-(-wait_ms // DAY_MS) + 1)
    }
    last: dict[str, tuple[EntryId, float | str]] = {}
    for date, path in _files(store, wanted, days, told):
        if is_enough():
            told(f"Labels were looked for up to {date}; an export has all.")
            break
        for name, label, entry in _matching(store, path, wanted, told):
            if name not in last or last[name][0] < entry:
                last[name] = entry, label
    return {name: label for name, (_, label) in last.items()}


def _files(
    store: Store, wanted: Range, days: Collection[str], told: Told
) -> Iterator[tuple[str, str]]:
    """Yield the files of some days, each with its day."""
    for date in dates(store, "labels", wanted):
        if date in days:
            for path, _ in of_day(store, "labels", date, wanted, told):
                yield date, path


def _matching(
    store: Store, path: str, wanted: Range, told: Told
) -> Iterator[tuple[str, float | str, EntryId]]:
    """Yield the wanted labels of a file, a row group at a time."""
    with skipped(store, path, told), store.open(path) as opened:
        file = parquet_of(opened)
        condition = wanted.condition(file.schema_arrow)
        for group in row_groups(opened, condition):
            rows = file.read_row_group(group.id, columns=list(COLUMNS), use_threads=False)
            rows = rows.filter(condition)
            ids, labels = rows["id"].to_pylist(), rows["label"].to_pylist()
            entries = map(EntryId, *(part.tolist() for part in places(rows)))
            yield from zip(ids, labels, entries, strict=True)
