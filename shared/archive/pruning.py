"""Writing files anew without some of their rows: those that come again, or that are erased."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from driftgauge.shared.archive.manifest import (
    LOG_KINDS,
    NAME,
    FileEntry,
    Kind,
    Manifest,
    date_of,
    day_folder,
    manifest_of,
)
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.scan import read_file
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import add_file, change_manifest
from driftgauge.shared.contract.entry_id import EntryId


class Day(NamedTuple):
    """A day of an archive, and its manifest."""

    kind: Kind
    date: str
    manifest: Manifest


def days(store: Store, model: str, kind: Kind) -> Iterator[Day]:
    """Yield the days of a model, in their order.

    Raises
    ------
    BadData
        If a manifest is damaged.
    """
    for path in store.find(f"{kind}/model={model}"):
        if path.endswith(f"/{NAME}"):
            yield Day(kind, date_of(path), manifest_of(store.read(path), store.where(path)))


def again(store: Store, model: str, day: Day) -> Day:
    """Return a day as its manifest tells it by now."""
    path = f"{day_folder(day.kind, model, day.date)}/{NAME}"
    return day._replace(manifest=manifest_of(store.read(path), store.where(path)))


def prune(
    store: Store,
    model: str,
    partition: int,
    after: str,
    hold: Callable[[], None],
    kinds: Sequence[Kind] = LOG_KINDS,
) -> int:
    """Remove the rows of a partition whose entries lie behind one; return how many those were.

    When it returns, no file of the partition goes beyond that entry, whatever others wrote anew
    meanwhile: what comes again would overlap it, and not be archived.
    """
    gone = 0
    for kind in kinds:
        for found in days(store, model, kind):
            day = found
            while behind := [
                file for file in day.manifest.files if _behind(file, partition, after)
            ]:
                for file in behind:
                    hold()
                    gone += rewrite(store, model, day, file, partial(_up_to, kind, after), after)
                day = again(store, model, day)
    return gone


def _behind(file: FileEntry, partition: int, after: str) -> bool:
    return file.partition == partition and EntryId.parse(file.end) > EntryId.parse(after)


def rewrite(
    store: Store,
    model: str,
    day: Day,
    file: FileEntry,
    keep: Callable[[Any], Any],
    end: str = "",
) -> int:
    """Write a file anew with the rows that are kept, and remove the old one, which the manifest
    names as retired: who is killed before it is removed leaves that to the next one. Return how
    many rows are gone: none of a file that another process has written anew meanwhile.

    Parameters
    ----------
    keep
        Function that takes the rows, and returns for each whether it stays.
    end
        Id of the entry that the new file goes up to, whether rows go or not; empty is as before.
    """
    folder = day_folder(day.kind, model, day.date)
    table = read_named(store, model, day, file)
    if table is None:
        return 0
    kept = table.filter(keep(table))
    if kept.num_rows == table.num_rows and not end:
        return 0
    new = []
    if kept.num_rows:
        times = pc.min_max(kept["time"].cast(pa.int64())).as_py()
        group = Group(day.kind, file.version, day.date, kept, times["min"], times["max"])
        span = (file.start, end or file.end)
        new = [add_file(store, folder, file.partition, span, group, file.generation + 1)]
    if not switch(store, model, day, [file], new, int(time.time() * 1000)):
        return 0
    store.remove(f"{folder}/{file.name}")
    gone: int = table.num_rows - kept.num_rows
    return gone


def read_named(store: Store, model: str, day: Day, file: FileEntry) -> Any:
    """Read a file of a day; None if another process has written its rows anew and removed it.

    Raises
    ------
    OSError
        If it is not there although the manifest names it, or the archive does not answer.
    pyarrow.ArrowException
        If it is damaged.
    """
    try:
        return read_file(store, f"{day_folder(day.kind, model, day.date)}/{file.name}")
    except FileNotFoundError:
        if file in again(store, model, day).manifest.files:
            raise
        return None


def switch(
    store: Store,
    model: str,
    day: Day,
    old: Sequence[FileEntry],
    new: Sequence[FileEntry],
    now_ms: int,
) -> bool:
    """Name new files in the manifest of a day instead of others, which are retired; tell whether it
    was done. It is not if another process has written one of those anew: then the new ones are
    removed.
    """
    switched, named = False, frozenset[str]()

    def change(manifest: Manifest) -> Manifest:
        nonlocal switched, named
        found = manifest.replaced(old, new)
        switched, named = found is not None, manifest.names
        return manifest if found is None else found.retiring(old, now_ms)

    change_manifest(store, day.kind, model, day.date, change)
    if not switched:
        for file in new:
            if file.name not in named:  # else that process has written the same file
                store.remove(f"{day_folder(day.kind, model, day.date)}/{file.name}")
    return switched


def _up_to(kind: Kind, after: str, rows: Any) -> Any:
    ms, number = EntryId.parse(after)
    if kind == "panes":  # whose numbers are their ids
        return pc.less_equal(rows["pane"], ms)
    times = rows["entry_time"].cast(pa.int64())
    same = pc.and_(pc.equal(times, ms), pc.less_equal(rows["entry_number"], number))
    return pc.or_(pc.less(times, ms), same)
