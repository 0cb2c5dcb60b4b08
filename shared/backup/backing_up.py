"""Making a backup while API and workers go on."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import redis

from driftgauge.shared.backup import registry_files
from driftgauge.shared.backup.form import BACKUP_FORMAT, Header
from driftgauge.shared.backup.records import Entries, Record
from driftgauge.shared.backup.slot import SlotReader, raw_ranges
from driftgauge.shared.backup.writing import Chunks, Writer
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.keyspace import Slot, listed
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import require
from driftgauge.shared.contract.keys import FORMAT, Keys
from driftgauge.shared.errors import BadData

MOVES: Final = 3
"""Attempts to read a slot that moves to another node of a cluster."""


@dataclass(slots=True)
class Saved:
    """What a backup holds.

    Parameters
    ----------
    keys, entries, files
        Number of keys, of entries of streams, and of files of the registry.
    bytes
        Size of the file.
    left_out
        Keys of kinds that Driftgauge does not use: somebody else wrote them.
    """

    keys: int = 0
    entries: int = 0
    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)


class _Counted(Chunks):
    """Chunks that count what is kept."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self.keys: set[str] = set()
        self.entries = 0
        self._since: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Take the next record."""
        self._since[record.key] += len(record.entries) if isinstance(record, Entries) else 0
        super().add(record)

    def discard(self) -> None:
        """Forget the records since the last `keep`."""
        self._since.clear()
        super().discard()

    def keep(self) -> None:
        """Keep the records since the last time."""
        self.keys |= self._since.keys()
        self.entries += self._since.total()
        super().keep()


def back_up(
    nodes: Nodes,
    keys: Keys,
    path: Path,
    *,
    registry: Path | None,
    whole_logs: bool = False,
    url: str | None = None,
) -> Saved:
    """Write all keys of a prefix, and the files of the registry, to a file.

    Parameters
    ----------
    path
        The file, which may not be there.
    registry
        Folder of the registry; None leaves it out.
    whole_logs
        Whether events are kept that were counted already.
    url
        Address of Redis, for messages.

    Raises
    ------
    BadData
        If the prefix has no keys, or the file cannot be written.
    OwnershipLost
        If a slot cannot be read at one commit.
    RedisUnavailable
        If Redis does not answer.
    """
    server = require(nodes.shared(keys.models), url)
    slots = listed(nodes, keys)
    if not slots:
        raise BadData(f"There are no keys with the prefix {keys.prefix}. Nothing was written.")
    header = Header(
        BACKUP_FORMAT,
        version("driftgauge"),
        datetime.now(UTC).isoformat(timespec="seconds"),
        keys.prefix,
        int(FORMAT),
        f"{server['kind']} {server['version']}",
        whole_logs,
    )
    saved = Saved()
    with Writer(path, header) as writer, _Counted(writer) as chunks:
        for slot in slots:
            saved.left_out += _read(nodes, keys.prefix, slot, chunks, whole_logs=whole_logs)
        if registry is not None:
            saved.files = registry_files.save(registry, writer)
        saved.keys, saved.entries = len(chunks.keys), chunks.entries
        writer.finish(keys=saved.keys, entries=saved.entries)
    saved.bytes = writer.size
    return saved


def _read(nodes: Nodes, prefix: str, slot: Slot, into: Chunks, *, whole_logs: bool) -> list[str]:
    """Read a slot from the node that has it, also if it moves meanwhile; return the keys that were
    left out.
    """
    for attempt in range(MOVES):
        try:
            with raw_ranges(nodes.client(slot.key(prefix, slot.names[0]))) as client:
                reader = SlotReader(client, prefix, slot, whole_logs=whole_logs)
                reader.read(into)
                break
        except (*MOVED, redis.ConnectionError):
            into.discard()
            nodes.forget()
            if attempt == MOVES - 1:
                raise
    return reader.others
