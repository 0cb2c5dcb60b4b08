import gzip
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest

from driftgauge.shared.contract.pane import MOST_COUNTS, pack_counts, unpack_counts
from driftgauge.shared.unpacking import UNREADABLE, gunzip, inflate
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.places import ROOT

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


THREADS = """
import sys, threading, types
import msgspec
from driftgauge.shared.unpacking import prepare_structs

sys.setswitchinterval(1e-6)
made = []
for number in range(60):
    module = sys.modules[f"made{number}"] = types.ModuleType(f"made{number}")
    module.Struct = msgspec.Struct
    for depth in range(8):
        fields = [f"f{place}: 'int | None' = None" for place in range(20)]
        fields += [f"deeper: 'A{depth - 1} | None' = None"] if depth else []
        exec(f"class A{depth}(Struct):\\n    " + "\\n    ".join(fields), module.__dict__)
    made.append(module.A7)
prepare_structs()
for one in made:
    barrier = threading.Barrier(4)
    def decode():
        barrier.wait()
        msgspec.json.decode(b'{"deeper": {"deeper": {"f1": 1}}}', type=one)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_threads_decode_a_class_at_the_same_time() -> None:
    """Message classes that were prepared are decoded by many threads at once from the first time
    on; without it this process ends by a segmentation fault.
    """
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=120, cwd=ROOT)
