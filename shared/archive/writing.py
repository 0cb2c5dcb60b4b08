"""Writing rows to an archive: files by the entry ids of their cut, then the manifests of the days.

A cut that is written again, since the process died before it was committed, finds its files and
leaves them as they are.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from driftgauge.shared.archive.manifest import (
    NAME,
    FileEntry,
    Kind,
    Manifest,
    day_folder,
    manifest_of,
)
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.store import Store

ROW_GROUP: Final = 128_000
"""Most rows of a row group: some MB, of which a reader can skip those without what it asks for."""
ORDERED: Final = ("time", "entry_time", "entry_number")
"""Columns that nearly count up: their differences are stored."""


class Head(msgspec.Struct, frozen=True):
    """How far a stream was archived, as the archive itself says.

    Parameters
    ----------
    end
        Id of the entry up to which all is in the archive.
    plan
        Id of the entry up to which a cut is being written, of which some files may be there; empty
        if none is.
    """

    end: str
    plan: str = ""


def head_path(model: str, stream: str) -> str:
    """Return the path of the head of a stream: `p0` is the log of the first partition.

    >>> head_path("steel", "p0")
    '_state/steel/p0.json'
    """
    return f"_state/{model}/{stream}.json"


def cells_folder(model: str) -> str:
    """Return the folder of the tables that tell what the cells of a model's references are.

    >>> cells_folder("steel")
    '_state/steel/cells'
    """
    return f"_state/{model}/cells"


def parquet(table: Any) -> bytes:
    """Return rows as a Parquet file: compressed, with statistics of each row group."""
    sink = pa.BufferOutputStream()
    categories = [one.name for one in table.schema if pa.types.is_dictionary(one.type)]
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=categories + ["partition"] * ("partition" in table.column_names),
        column_encoding={
            name: "DELTA_BINARY_PACKED" for name in ORDERED if name in table.column_names
        },
    )
    return bytes(sink.getvalue())


def write_groups(
    store: Store,
    model: str,
    partition: int,
    span: tuple[str, str],
    groups: Iterable[Group],
    hold: Callable[[], None],
) -> None:
    """Write the files of a cut and name them in their manifests; what is there already stays.

    Parameters
    ----------
    span
        Ids of the log entries behind which the cut begins, and with which it ends.
    hold
        Function that keeps the lease, called between the files.

    Raises
    ------
    OSError
        If the archive does not answer, or is full: write the same cut again.
    BadData
        If a manifest is damaged.
    """
    for group in groups:
        hold()
        folder = day_folder(group.kind, model, group.date)
        entry = add_file(store, folder, partition, span, group)
        hold()
        if not _name(store, model, group, entry):  # a process that slept, or was killed
            store.remove(f"{folder}/{entry.name}")


def _name(store: Store, model: str, group: Group, entry: FileEntry) -> bool:
    """Name a file in the manifest of its day; return False if its rows are in another one."""
    named = True

    def add(manifest: Manifest) -> Manifest:
        nonlocal named
        found = manifest.with_file(entry)
        named = entry.name in found.names
        return found

    change_manifest(store, group.kind, model, group.date, add)
    return named


def add_file(
    store: Store,
    folder: str,
    partition: int,
    span: tuple[str, str],
    group: Group,
    generation: int = 0,
) -> FileEntry:
    """Write the file of some rows, unless it is there; return what its manifest is to say of it.

    A file of that name with other rows was left by a process that was killed, or is another's that
    writes the same rows anew: then the name tells of one generation more.
    """
    start, end = span
    content = parquet(group.table)
    while True:
        name = f"{group.version}-p{partition}-{start}-{end}-g{generation}.parquet"
        if store.create(f"{folder}/{name}", content) or _has(store, f"{folder}/{name}", content):
            break
        generation += 1
    return FileEntry(
        name,
        group.version,
        partition,
        start,
        end,
        group.table.num_rows,
        len(content),
        hashlib.sha256(content).hexdigest(),
        group.first,
        group.last,
        generation,
    )


def _has(store: Store, path: str, content: bytes) -> bool:
    """Tell whether a file has that content; one that is gone by now has not."""
    try:
        with store.open(path) as file:
            return file.read() == content
    except FileNotFoundError:
        return False


def change_manifest(
    store: Store, kind: Kind, model: str, date: str, change: Callable[[Manifest], Manifest]
) -> None:
    """Change the manifest of a day."""
    path = f"{day_folder(kind, model, date)}/{NAME}"
    store.change(path, lambda packed: change(manifest_of(packed, store.where(path))).pack())


def read_head(store: Store, model: str, stream: str) -> Head | None:
    """Return how far a stream is archived; None if nothing of it is."""
    try:
        packed = store.read(head_path(model, stream))
    except FileNotFoundError:
        return None
    return msgspec.json.decode(packed, type=Head)


def write_head(store: Store, model: str, stream: str, end: str) -> None:
    """Note that a stream is archived up to an entry."""
    _change_head(store, model, stream, Head(end))


def note_cut(store: Store, model: str, stream: str, span: tuple[str, str]) -> None:
    """Note that a cut is being written: Redis, which plans it, can lose that it was begun."""
    start, end = span
    _change_head(store, model, stream, Head(start, plan=end))


def _change_head(store: Store, model: str, stream: str, head: Head) -> None:
    packed = msgspec.json.encode(head)
    store.change(head_path(model, stream), lambda _: packed)
