"""The checksum of a checkpoint: over all fields of its state, and cheap to keep when few of them
change.

It is the sum of a digest of each field, so that a commit digests what it writes only. A damaged
value, name or number of fields changes it; it is no protection against an attacker.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final, Self

FIELD: Final = b"checksum"
_BITS: Final = 64


class Checksum:
    """The digests of a checkpoint's fields.

    Parameters
    ----------
    fields
        All fields of the state.

    Examples
    --------
    >>> one = Checksum({b"a": b"1", b"b": b"2"})
    >>> other = Checksum({b"a": b"0", b"c": b""}).with_changes({b"a": b"1", b"b": b"2"}, [b"c"])
    >>> one.packed == other.packed, one.packed == Checksum({b"a": b"2", b"b": b"1"}).packed
    (True, False)
    """

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._digests = {name: _digest(name, value) for name, value in fields.items()}
        self._sum = sum(self._digests.values()) % 2**_BITS

    @property
    def packed(self) -> bytes:
        """The checksum as it stands in the checkpoint."""
        return f"{self._sum:016x}".encode()

    def with_changes(self, written: Mapping[bytes, bytes], deleted: Iterable[bytes]) -> Self:
        """Return the checksum after a commit; this one is used up."""
        for name in (*written, *deleted):
            self._sum -= self._digests.pop(name, 0)
        for name, value in written.items():
            self._digests[name] = _digest(name, value)
            self._sum += self._digests[name]
        self._sum %= 2**_BITS
        return self


def _digest(name: bytes, value: bytes) -> int:
    framed = len(name).to_bytes(4, "little") + name + value
    return int.from_bytes(blake2b(framed, digest_size=_BITS // 8).digest(), "little")
