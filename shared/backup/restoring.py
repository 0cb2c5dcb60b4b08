"""Putting a backup into a Redis that has no keys of its prefix, while no API and no worker runs.

Nothing is written before the whole file was read and found sound. The set of the models, by which
workers find what there is to do, is written last: what was restored in part is not worked on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from driftgauge.shared.backup import registry_files
from driftgauge.shared.backup.form import KEYS, Header
from driftgauge.shared.backup.reading import Reader
from driftgauge.shared.backup.records import (
    Entries,
    Expiry,
    Fields,
    Members,
    Record,
    StreamEnd,
    Text,
    unpacked,
)
from driftgauge.shared.connections.keyspace import Names, found_keys, is_lease
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import require, server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.losses import SETBACK_FIELD, Setback
from driftgauge.shared.unpacking import UNREADABLE

AT_ONCE: Final = 500
"""Keys that are deleted, and entries or fields that are written, in one round trip."""
STOP: Final = "Stop every API and worker of this prefix first; what they write would be mixed in."
TOLD: Final = frozenset({"count", "judge"})
"""The checkpoints whose setbacks the watchdog of the API tells."""
_PASSING: Final = "driftgauge-restores"
"""Group by which an empty stream is made; it is deleted at once."""


@dataclass(slots=True)
class Restored:
    """What was restored: the backup's header, and how many keys, entries of streams, and files of
    the registry.
    """

    header: Header
    keys: int = 0
    entries: int = 0
    files: int = 0


class _Lease(msgspec.Struct):
    until: int


def restore(
    nodes: Nodes,
    keys: Keys,
    path: Path,
    *,
    registry: Path | None,
    replace: bool = False,
    url: str | None = None,
) -> Restored:
    """Put a backup into Redis, and its files into the registry.

    Parameters
    ----------
    registry
        Folder of the registry; None leaves the files out.
    replace
        Whether keys of the prefix, and models in the registry, are deleted before.
    url
        Address of Redis, for messages.

    Raises
    ------
    BadData
        Before anything was done, if the backup is damaged, of a newer release or of another prefix,
        something is in its place, or somebody works there. Later, if somebody else writes there.
    RedisUnavailable
        If Redis does not answer.
    """
    reader = Reader(path)
    try:
        header, manifest = reader.check(lambda name, content: _look(keys, path, name, content))
        if header.prefix != keys.prefix:
            raise BadData(
                f"{path} has the keys of the prefix {header.prefix}, and the settings name "
                f"{keys.prefix}. Set DRIFTGAUGE_KEY_PREFIX={header.prefix}."
            )
        require(nodes.shared(keys.models), url)
        has_files = any(name.startswith("registry/") for name, _, _ in manifest.members)
        if registry is not None and has_files and not replace:
            registry_files.require_room(registry)
        _make_room(nodes, keys, replace=replace)
        done = Restored(header)
        if registry is not None and has_files:
            done.files = registry_files.restore(reader, registry)
        writing = _Writing(nodes, Names(keys.prefix), header.made)
        for _, file in reader.members(KEYS):
            for record in unpacked(file.read()):
                writing.write(record)
        done.keys, done.entries = len(writing.keys), writing.entries
        return done
    finally:
        reader.close()


def _look(keys: Keys, path: Path, name: str, content: bytes) -> None:
    """Refuse records that cannot be read, or whose keys are not of the prefix."""
    try:
        records = unpacked(content)
    except UNREADABLE as error:
        raise BadData(f"{path} is damaged: {name} cannot be read ({error}).") from error
    names = Names(keys.prefix)
    for key in {record.key for record in records}:
        parted = names.parted(key.encode())
        if parted is None or is_lease(parted[1]):
            raise BadData(
                f"{path} has the key {key[:200]!r}, which is none of the prefix {keys.prefix} that "
                f"a backup has. Nothing of it was used; DRIFTGAUGE_KEY_PREFIX names the prefix."
            )


def _make_room(nodes: Nodes, keys: Keys, *, replace: bool) -> None:
    """Delete the keys of the prefix, or refuse if there are any; refuse in any case if somebody
    works with them.
    """
    found = sorted(set(found_keys(nodes, keys)))
    _require_rest(nodes, keys, found)
    if found and not replace:
        raise BadData(
            f"Redis has {len(found):,} keys with the prefix {keys.prefix} already, such as "
            f"{found[0].decode()}. Name an empty Redis by DRIFTGAUGE_REDIS_URL, or give --replace: "
            f"then they are deleted, and the backup takes their place."
        )
    for key in found:
        nodes.shared(key.decode()).unlink(key)


def _require_rest(nodes: Nodes, keys: Keys, found: list[bytes]) -> None:
    """Refuse to restore while a worker has a lease, or an API watches a model."""
    names = Names(keys.prefix)
    for key in found:
        name = (names.parted(key) or ("", ""))[1]
        client = nodes.shared(key.decode())
        if is_lease(name) and client.exists(key):
            raise BadData(f"A worker runs: it has the lease {key.decode()}. {STOP}")
        if name == "watchdog" and client.type(key) == b"hash":
            packed: Any = client.hget(key.decode(), "lease")
            if packed is not None and _until(packed) > server_ms(client):
                raise BadData(f"An API runs: it has the lease in {key.decode()}. {STOP}")


def _until(packed: bytes) -> int:
    try:
        return msgspec.json.decode(packed, type=_Lease).until
    except UNREADABLE:  # it is nobody's
        return 0


class _Writing:
    """Writes records; each key must be new at its first one. Checkpoints of counting and judging
    say that they went back: nobody else may know what there was after the backup.

    Parameters
    ----------
    made
        When the backup was made, in words.
    """

    def __init__(self, nodes: Nodes, names: Names, made: str) -> None:
        self.keys: set[str] = set()
        self.entries = 0
        self._nodes = nodes
        self._names = names
        self._made = made
        self._counts_entries: dict[redis.Redis, bool] = {}

    def write(self, record: Record) -> None:
        """Write a record."""
        key, client = record.key, self._nodes.shared(record.key)
        if key not in self.keys:
            self._require_new(client, key)
        match record:
            case Text(content=content):
                client.append(key, content)
            case Fields(fields=fields):
                for part in _parts(fields):
                    mapping: dict[Any, Any] = dict(part)
                    client.hset(key, mapping=mapping)
            case Members(members=members):
                client.sadd(key, *members)
            case Entries(entries=entries):
                self._append(client, key, entries)
            case StreamEnd():
                self._end(client, record)
            case Expiry(at_ms=at_ms):
                client.pexpireat(key, at_ms)

    def _require_new(self, client: redis.Redis, key: str) -> None:
        if client.exists(key):
            raise BadData(
                f"{key} was made by somebody else while the backup was restored, so it is restored "
                f"in part. {STOP} Then restore it again with --replace."
            )
        self.keys.add(key)
        _, name = self._names.parted(key.encode()) or ("", "")
        if name in TOLD:
            backup = f"that of the backup of {self._made}"
            setback = Setback(key, "its last state", backup, server_ms(client))
            client.hset(key, SETBACK_FIELD.decode(), msgspec.json.encode(setback).decode())

    def _append(
        self, client: redis.Redis, key: str, entries: list[tuple[str, list[bytes]]]
    ) -> None:
        for part in _parts(entries):
            with client.pipeline(transaction=False) as pipe:
                for entry_id, fields in part:
                    pipe.execute_command("XADD", key, entry_id, *fields)
                pipe.execute()
        self.entries += len(entries)

    def _end(self, client: redis.Redis, end: StreamEnd) -> None:
        """Make the stream stand as it stood, though it may be empty; with its groups."""
        key = end.key
        if not client.exists(key):
            client.xgroup_create(key, _PASSING, mkstream=True)
            client.xgroup_destroy(key, _PASSING)
        known: list[Any] = []
        if end.added is not None and self._counts(client, key):
            known = ["ENTRIESADDED", end.added, "MAXDELETEDID", end.deleted or "0-0"]
        client.execute_command("XSETID", key, end.last_id, *known)
        for group in end.groups:
            read: list[Any] = []
            if group.entries_read is not None and self._counts(client, key):
                read = ["ENTRIESREAD", group.entries_read]
            client.execute_command("XGROUP", "CREATE", key, group.name, group.last_id, *read)

    def _counts(self, client: redis.Redis, stream: str) -> bool:
        """Tell whether a server counts the entries of streams: from Redis 7 on."""
        if client not in self._counts_entries:
            told: Any = client.xinfo_stream(stream)
            self._counts_entries[client] = "entries-added" in told
        return self._counts_entries[client]


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
