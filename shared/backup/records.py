"""The records of a backup: the content of keys in parts of bounded size. Pure.

A member of the file holds a list of records in MessagePack. The parts of one key follow each other;
the last one of a stream says where it ended. Parts of hashes and sets may repeat an element.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

PART_BYTES: Final = 1 << 20
"""About the most bytes of a part, unless one element alone is larger."""
CHUNK_BYTES: Final = 4 << 20
"""About the most bytes of the records of one member."""


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A consumer group: the last id that it was given, and how many entries those were, if
    known.
    """

    name: bytes
    last_id: str
    entries_read: int | None = None


class Text(msgspec.Struct, frozen=True, array_like=True, tag="text"):
    """The next part of a string."""

    key: str
    content: bytes


class Fields(msgspec.Struct, frozen=True, array_like=True, tag="fields"):
    """Fields of a hash, each with its value."""

    key: str
    fields: list[tuple[bytes, bytes]]


class Members(msgspec.Struct, frozen=True, array_like=True, tag="members"):
    """Members of a set."""

    key: str
    members: list[bytes]


class Entries(msgspec.Struct, frozen=True, array_like=True, tag="entries"):
    """The next entries of a stream: id, and names and values of the fields in turn."""

    key: str
    entries: list[tuple[str, list[bytes]]]


class StreamEnd(msgspec.Struct, frozen=True, array_like=True, tag="stream"):
    """How a stream stood at the moment of its slot.

    Parameters
    ----------
    last_id
        Last id that it has given; its entries up to this one are in the backup.
    added, deleted
        Entries that were ever added, and the highest id that was deleted; None if the server did
        not say.
    """

    key: str
    last_id: str
    added: int | None
    deleted: str | None
    groups: list[Group]


class Expiry(msgspec.Struct, frozen=True, array_like=True, tag="expiry"):
    """When a key expires, in Unix milliseconds."""

    key: str
    at_ms: int


Record = Text | Fields | Members | Entries | StreamEnd | Expiry

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])


def size_of(record: Record) -> int:
    """Return about how many bytes a record takes.

    Examples
    --------
    >>> size_of(Fields("dg:{m}:judge", [(b"state", b"12345")]))
    90
    """
    match record:
        case Text(content=content):
            size = len(content)
        case Fields(fields=fields):
            size = sum(len(name) + len(value) + 16 for name, value in fields)
        case Members(members=members):
            size = sum(len(member) + 16 for member in members)
        case Entries(entries=entries):
            size = sum(sum(map(len, parts)) + 16 * len(parts) for _, parts in entries)
        case StreamEnd(groups=groups):
            size = 64 * len(groups)
        case Expiry():
            size = 16
    return size + len(record.key) + 52


def packed(records: list[Record]) -> bytes:
    """Pack the records of a member."""
    return _encoder.encode(records)


def unpacked(content: bytes) -> list[Record]:
    """Read the records of a member; one of `UNREADABLE` if it holds anything else.

    Examples
    --------
    >>> unpacked(packed([Text("dg:{m}:epoch", b"7")]))
    [Text(key='dg:{m}:epoch', content=b'7')]
    """
    return _decoder.decode(content)


def parts_of(key: str, fields: Iterator[tuple[bytes, bytes]]) -> Iterator[Fields]:
    """Divide the fields of a hash into parts of bounded size."""
    part: list[tuple[bytes, bytes]] = []
    size = 0
    for name, value in fields:
        part.append((name, value))
        size += len(name) + len(value) + 16
        if size >= PART_BYTES:
            yield Fields(key, part)
            part, size = [], 0
    if part:
        yield Fields(key, part)
