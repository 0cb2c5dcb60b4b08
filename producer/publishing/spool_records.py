"""[pure] The records of a spool file: the frames (shared/framing.py) that hold events.

The body of a record is, little-endian:

    type (1), sequence (8), lengths of publisher, model and log key (1 each), these three, the event

Each record contains its own publisher and log, so that damage to one affects no other.
"""

import struct
from typing import Final, NamedTuple

from driftgauge.shared import framing
from driftgauge.shared.contract.events import PREDICTION

BODY: Final = struct.Struct("<cQBBB")


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
    return framing.framed(body)


def frame_bytes(publisher: bytes, model: str, log: bytes, payload: bytes) -> int:
    """Return the length of a record in bytes, without making it; names are ASCII."""
    return framing.HEAD.size + BODY.size + len(publisher) + len(model) + len(log) + len(payload)


def read(content: bytes) -> Contents:
    """Read a file's records, around whatever is damaged."""
    found = framing.read(content, least=BODY.size)
    return Contents([_record(at, body) for at, body in found.bodies], found.damage)


def _record(offset: int, body: bytes) -> Record:
    kind, sequence, publisher, model, log = BODY.unpack_from(body)
    first = BODY.size + publisher
    second = first + model
    third = second + log
    name = body[first:second].decode(errors="replace")  # no model's name, if it is not UTF-8
    names = body[BODY.size : first], name, body[second:third]
    return Record(offset, *names, sequence, body[third:], kind)
