"""Unpacking of what stands in Redis, which anybody may have written there.

A megabyte of compressed zeros is a gigabyte, so every stream is unpacked up to a stated size only;
beyond it unpacking stops, before memory is taken. Whatever cannot be unpacked or decoded raises one
of `UNREADABLE`, so that a reader names the entry, leaves it out and goes on. Pure.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from driftgauge.shared.errors import BadData

UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    RecursionError,
    EOFError,
    zlib.error,
    struct.error,
    msgspec.MsgspecError,
    BadData,
)
"""The errors of bytes that are not what they should be: malformed JSON or MessagePack (nested
without end: RecursionError), text that is no UTF-8 (a ValueError), damaged compression, fields that
are missing, numbers that are out of bounds.
"""
MOST_BYTES: Final = 64 << 20
"""Most bytes of an unpacked model version or reference; one with 2,000 columns has about 20 MB."""
_ZLIB, _GZIP = zlib.MAX_WBITS, zlib.MAX_WBITS | 16


def prepare_structs() -> int:
    """Let msgspec look at all message classes that are loaded; return how many there are. To be
    called before a process starts threads.

    msgspec looks at a class when it first decodes one, and keeps what it has found so far where
    other threads find it: a thread that decodes the same class meanwhile ends the process by a
    segmentation fault (msgspec 0.22).

    Examples
    --------
    >>> prepare_structs() > 0
    True
    """
    found = set(_subclasses(msgspec.Struct))
    for one in found:
        with suppress(TypeError, NameError):  # it is of a kind that is never decoded
            msgspec.json.Decoder(one)
    return len(found)


def _subclasses(one: type) -> Iterator[type]:
    below: list[type] = one.__subclasses__()
    for known in below:
        yield known
        yield from _subclasses(known)


def require_known(found: int, newest: int) -> None:
    """Check the number of the format that a message, or a file, says it has.

    Raises
    ------
    ValueError
        If it is newer than the newest one that is known, so that nobody guesses what it means.

    Examples
    --------
    >>> require_known(2, 1)
    Traceback (most recent call last):
    ValueError: it has format 2, which a newer release of Driftgauge wrote (this one reads up to 1)
    """
    if found > newest:
        raise ValueError(
            f"it has format {found}, which a newer release of Driftgauge wrote (this one reads up "
            f"to {newest})"
        )


def inflate(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Decompress a zlib stream of at most `most` bytes.

    Raises
    ------
    ValueError
        If it is longer, ends too early, is followed by something, or is no such stream.

    Examples
    --------
    >>> inflate(zlib.compress(b"abc"), most=3)
    b'abc'
    >>> inflate(zlib.compress(b"abcd"), most=3)
    Traceback (most recent call last):
    ValueError: it has more than 3 bytes when it is decompressed
    """
    return _unpacked(packed, most, _ZLIB)


def gunzip(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Decompress a gzip stream; bounds and errors are those of `inflate`."""
    return _unpacked(packed, most, _GZIP)


def _unpacked(packed: bytes, most: int, form: int) -> bytes:
    stream = zlib.decompressobj(form)
    try:
        plain = stream.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be decompressed: {error}") from error
    if len(plain) > most:
        raise ValueError(f"it has more than {most:,} bytes when it is decompressed")
    if not stream.eof or stream.unused_data:
        raise ValueError("it is no whole compressed stream")
    return plain
