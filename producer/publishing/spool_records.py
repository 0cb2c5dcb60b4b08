"""[pure] The framing of spooled events: the format of a spool file, and how a damaged one is read.

A file consists of records only, without a header that could be lost. The format of a record is,
little-endian:

    marker      4 bytes  FF D7 91 FE; no UTF-8 text holds an FF, so an event never looks like a marker
    length      4 bytes  of the body
    ~length     4 bytes  its complement: a damaged length is told from a file that ends too early
    CRC-32      4 bytes  of the body
    body                 type (1), sequence (8), lengths of publisher, model and log key (1 each), these three, the event

Each record contains its own publisher and log, so that damage to one affects no other. Rules of
reading:

- A record that the file's end cuts off was never acknowledged, for its group was not synced: it is
  dropped silently.
- Anything else that is no record is damage. It is reported, and reading goes on at the next marker
  that begins a whole record (its CRC-32 agrees), so nothing before or after it is lost.
"""  # noqa: E501  a table, or what an example prints

import struct
from typing import Final, NamedTuple
from zlib import crc32

from driftgauge.shared.contract.events import PREDICTION

MARKER: Final = b"\xff\xd7\x91\xfe"
HEAD: Final = struct.Struct("<4sIII")
BODY: Final = struct.Struct("<cQBBB")
FULL: Final = 0xFFFFFFFF


class Record(NamedTuple):
    """A spooled event.

    Parameters
    ----------
    offset
        Byte offset in its file, which identifies the record there.
    kind
        Type of its log entry (shared/contract/events.py).
    """

    offset: int
    publisher: bytes
    model: str
    log: bytes
    sequence: int
    payload: bytes
    kind: bytes = PREDICTION


class Contents(NamedTuple):
    """Content of a file: its records, and the damaged stretches as (first byte, length)."""

    records: list[Record]
    damage: list[tuple[int, int]]


def frame(
    publisher: bytes,
    model: str,
    log: bytes,
    sequence: int,
    payload: bytes,
    kind: bytes = PREDICTION,
) -> bytes:
    """Make the record of an event.

    Examples
    --------
    >>> framed = frame(b"p", "steel", b"dg:{steel.0}:log", 7, b"{}")
    >>> read(framed).records
    [Record(offset=0, publisher=b'p', model='steel', log=b'dg:{steel.0}:log', sequence=7, payload=b'{}', kind=b'p')]
    >>> read(framed[:-1])
    Contents(records=[], damage=[])
    """  # noqa: E501  a table, or what an example prints
    name = model.encode()
    body = b"".join(
        (
            BODY.pack(kind, sequence, len(publisher), len(name), len(log)),
            publisher,
            name,
            log,
            payload,
        )
    )
    return HEAD.pack(MARKER, len(body), len(body) ^ FULL, crc32(body)) + body


def frame_bytes(publisher: bytes, model: str, log: bytes, payload: bytes) -> int:
    """Return the length of a record in bytes, without making it; names are ASCII."""
    return HEAD.size + BODY.size + len(publisher) + len(model) + len(log) + len(payload)


def read(content: bytes) -> Contents:
    """Read a file's records, around whatever is damaged."""
    records: list[Record] = []
    damage: list[tuple[int, int]] = []
    at = 0
    while at < len(content) and not _cut_off(content, at):
        body = _body(content, at)
        if body is None:
            following = _resume(content, at + 1)
            damage.append((at, following - at))
            at = following
        else:
            records.append(_record(at, body))
            at += HEAD.size + len(body)
    return Contents(records, damage)


def _cut_off(content: bytes, at: int) -> bool:
    """Tell whether the file ends within the record that begins here."""
    rest = content[at : at + HEAD.size]
    if len(rest) < HEAD.size:
        return MARKER.startswith(rest[: len(MARKER)])
    marker, length, complement, _ = HEAD.unpack(rest)
    return bool(
        marker == MARKER and length ^ FULL == complement and at + HEAD.size + length > len(content)
    )


def _body(content: bytes, at: int) -> bytes | None:
    """Return the body of the whole record that begins here; None if there is none."""
    if at + HEAD.size > len(content):
        return None
    marker, length, complement, checksum = HEAD.unpack_from(content, at)
    if marker != MARKER or length ^ FULL != complement or length < BODY.size:
        return None
    body = content[at + HEAD.size : at + HEAD.size + length]
    return body if len(body) == length and crc32(body) == checksum else None


def _resume(content: bytes, start: int) -> int:
    """Find the next whole record, or the record that the file's end cuts off; else the end."""
    at = content.find(MARKER, start)
    while at >= 0 and _body(content, at) is None:
        if _cut_off(content, at):
            return at
        at = content.find(MARKER, at + 1)
    return len(content) if at < 0 else at


def _record(offset: int, body: bytes) -> Record:
    kind, sequence, publisher, model, log = BODY.unpack_from(body)
    first = BODY.size + publisher
    second = first + model
    third = second + log
    name = body[first:second].decode(errors="replace")  # no model's name, if it is not UTF-8
    names = body[BODY.size : first], name, body[second:third]
    return Record(offset, *names, sequence, body[third:], kind)
