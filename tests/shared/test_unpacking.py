import gzip
import tracemalloc
import zlib

import numpy as np
import pytest

from driftgauge.shared.contract.pane import MOST_COUNTS, pack_counts, unpack_counts
from driftgauge.shared.unpacking import UNREADABLE, gunzip, inflate
from driftgauge.shared.versions.manifest import PublishedVersion

MANY = 130 << 20


def bomb(packer: "zlib._Compress") -> bytes:
    """Compress 130 MB of zeros without holding them."""
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(MANY >> 20)) + packer.flush()


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    """What unpacks to 130 MB is refused when the bound is reached, with little more than the bound
    in memory, whichever way it is packed.
    """
    packed = bomb(zlib.compressobj(1))
    zipped = bomb(zlib.compressobj(1, wbits=31))
    for unpack, bound in (
        (lambda: inflate(packed, most=1 << 20), 1 << 20),
        (lambda: gunzip(zipped, most=1 << 20), 1 << 20),
        (lambda: unpack_counts(b"Bz" + packed), MOST_COUNTS),
        (lambda: PublishedVersion.unpack(zipped), 64 << 20),
    ):
        tracemalloc.start()
        with pytest.raises(ValueError, match="bytes when it is decompressed"):
            unpack()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2.5 * bound + (4 << 20)


@pytest.mark.parametrize(
    "packed", [b"", b"no gzip", gzip.compress(b"a")[:-1], gzip.compress(b"a") + b"!"]
)
def test_what_is_no_whole_stream_is_refused(packed: bytes) -> None:
    """A stream that is cut, damaged or followed by something is one of `UNREADABLE`."""
    with pytest.raises(UNREADABLE):
        gunzip(packed)


def test_every_damage_of_counts_is_unreadable() -> None:
    """Whatever stands in the place of counts, its first bytes included, is counts or one of
    `UNREADABLE`: of no type of numpy's that is none, and with no raw error of zlib's.
    """
    sound = pack_counts(np.arange(300) % 7)
    for place in range(len(sound)):
        for flip in (1, 16, 255):
            damaged = bytearray(sound)
            damaged[place] ^= flip
            try:
                unpack_counts(bytes(damaged), exactly=300)
            except UNREADABLE:
                continue
    with pytest.raises(UNREADABLE):
        unpack_counts(b"O-12345678")
    with pytest.raises(ValueError, match="3 counts instead of 2"):
        unpack_counts(pack_counts(np.arange(3)), exactly=2)
