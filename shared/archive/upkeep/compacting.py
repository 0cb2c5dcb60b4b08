"""Joining the small files of a day: those of one version and partition become one.

The new file covers the ids from the first to the last of them, so a cut that is written late is
still known to be there. The manifest changes at once; the old files are retired, and removed
later (tending.py), so that whoever reads them goes on.
"""

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from driftgauge.shared.archive.manifest import FileEntry, Kind, day_folder
from driftgauge.shared.archive.pruning import Day, read_named, switch
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.scan import DAMAGE, is_damaged
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import add_file
from driftgauge.shared.errors import BadData

MOST_ROWS: Final[dict[Kind, int]] = {
    "predictions": 1_000_000,
    "labels": 1_000_000,
    "refused": 20_000,
    "incidents": 20_000,
    "panes": 50_000,
}
"""Most rows of a file that was joined: they are in memory at once, refused events with their
text, panes with the counts of their cells.
"""


def compact(
    store: Store, model: str, day: Day, now_ms: int, hold: Callable[[], None] = lambda: None
) -> int:
    """Join the files of a day; return how many files there are less.

    Parameters
    ----------
    now_ms
        The time, from which the old files are retired.
    hold
        Function that is called between the files, and may end it by an error.

    Raises
    ------
    OSError
        If the archive does not answer.
    BadData
        If a file is damaged; the files of its version and partition stay as they are.
    """
    return sum(
        _join(store, model, day, part, now_ms, hold)
        for part in _parts(day.manifest.files, MOST_ROWS[day.kind])
    )


def _parts(files: tuple[FileEntry, ...], most: int) -> list[list[FileEntry]]:
    """Return runs of files that become one each, in the order of the log."""
    parts: list[list[FileEntry]] = []
    order = sorted(files, key=lambda one: (one.version, one.partition, one.span))
    for _, same in groupby(order, key=lambda one: (one.version, one.partition)):
        part: list[FileEntry] = []
        for file in same:
            if part and sum(one.rows for one in part) + file.rows > most:
                parts.append(part)
                part = []
            part.append(file)
        parts.append(part)
    return [part for part in parts if len(part) > 1]


def _join(
    store: Store,
    model: str,
    day: Day,
    part: list[FileEntry],
    now_ms: int,
    hold: Callable[[], None],
) -> int:
    folder = day_folder(day.kind, model, day.date)
    tables = []
    for file in part:
        hold()
        tables.append(_read(store, model, day, file))
        if tables[-1] is None:
            return 0
    table = pa.concat_tables(tables).unify_dictionaries()
    times = pc.min_max(table["time"].cast(pa.int64())).as_py()
    first, last = part[0], part[-1]
    group = Group(day.kind, first.version, day.date, table, times["min"], times["max"])
    generation = 1 + max(file.generation for file in part)
    span = (first.start, last.end)
    new = add_file(store, folder, first.partition, span, group, generation)
    hold()
    if not switch(store, model, day, part, [new], now_ms):
        return 0
    for file in part:
        store.retire(f"{folder}/{file.name}")
    return len(part) - 1


def _read(store: Store, model: str, day: Day, file: FileEntry) -> Any:
    try:
        return read_named(store, model, day, file)
    except DAMAGE as error:
        if not is_damaged(error):
            raise
        path = f"{day_folder(day.kind, model, day.date)}/{file.name}"
        raise BadData(
            f"{store.where(path)} is damaged: {error}. Restore it from a copy."
        ) from error
