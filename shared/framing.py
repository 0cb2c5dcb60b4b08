"""Frames: how records stand in an append-only file, and how a damaged file is read. Pure; needs the
standard library only, since the client of the base installation spools by it too.

A file consists of frames only, without a header that could be lost. A frame is, little-endian:

    marker      4 bytes  FF D7 91 FE; no UTF-8 text holds an FF, so a text never looks like a marker
    length      4 bytes  of the body
    ~length     4 bytes  its complement: a damaged length is told from a file that ends too early
    CRC-32      4 bytes  of the body
    body

Rules of reading:

- A frame that the file's end cuts off was never acknowledged, for its group was not written whole:
  it is dropped silently.
- Anything else that is no frame is damage. It is reported, and reading goes on at the next marker
  that begins a whole frame (its CRC-32 agrees), so nothing before or after it is lost.
"""

import struct
from typing import Final, NamedTuple
from zlib import crc32

MARKER: Final = b"\xff\xd7\x91\xfe"
HEAD: Final = struct.Struct("<4sIII")
FULL: Final = 0xFFFFFFFF


class Frames(NamedTuple):
    """What was read.

    Parameters
    ----------
    bodies
        Byte offset of each whole frame, and its body.
    damage
        Damaged stretches as (first byte, length).
    end
        Where reading ended: at the end, or at a frame that the end cuts off.
    """

    bodies: list[tuple[int, bytes]]
    damage: list[tuple[int, int]]
    end: int


def framed(body: bytes) -> bytes:
    """Put a body into a frame.

    Examples
    --------
    >>> read(framed(b"one") + framed(b"two")).bodies
    [(0, b'one'), (19, b'two')]
    >>> read(framed(b"one")[:-1])
    Frames(bodies=[], damage=[], end=0)
    """
    return HEAD.pack(MARKER, len(body), len(body) ^ FULL, crc32(body)) + body


def read(content: bytes, *, least: int = 0, most: int = 1 << 62) -> Frames:
    """Read frames, around whatever is damaged.

    Parameters
    ----------
    least
        Least length of a body; a shorter one is damage.
    most
        Frames after which reading ends.
    """
    bodies: list[tuple[int, bytes]] = []
    damage: list[tuple[int, int]] = []
    at = 0
    while at < len(content) and len(bodies) < most and not _cut_off(content, at):
        body = _body(content, at, least)
        if body is None:
            following = _resume(content, at + 1, least)
            damage.append((at, following - at))
            at = following
        else:
            bodies.append((at, body))
            at += HEAD.size + len(body)
    return Frames(bodies, damage, at)


def _cut_off(content: bytes, at: int) -> bool:
    """Tell whether the content ends within the frame that begins here."""
    rest = content[at : at + HEAD.size]
    if len(rest) < HEAD.size:
        return MARKER.startswith(rest[: len(MARKER)])
    marker, length, complement, _ = HEAD.unpack(rest)
    return bool(
        marker == MARKER and length ^ FULL == complement and at + HEAD.size + length > len(content)
    )


def _body(content: bytes, at: int, least: int) -> bytes | None:
    """Return the body of the whole frame that begins here; None if there is none."""
    if at + HEAD.size > len(content):
        return None
    marker, length, complement, checksum = HEAD.unpack_from(content, at)
    if marker != MARKER or length ^ FULL != complement or length < least:
        return None
    body = content[at + HEAD.size : at + HEAD.size + length]
    return body if len(body) == length and crc32(body) == checksum else None


def _resume(content: bytes, start: int, least: int) -> int:
    """Find the next whole frame, or the frame that the end cuts off; else the end."""
    at = content.find(MARKER, start)
    while at >= 0 and _body(content, at, least) is None:
        if _cut_off(content, at):
            return at
        at = content.find(MARKER, at + 1)
    return len(content) if at < 0 else at
