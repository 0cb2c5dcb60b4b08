from driftgauge.producer.publishing.lane import Batch, Entry, Lane
from driftgauge.producer.publishing.ring import ENTRY_BYTES, Ring


def group(*sequences: int) -> Batch:
    lane = Lane("m", b"k")
    return [(lane, Entry(b"p", sequence, b"1234567890", None)) for sequence in sequences]


def kept(ring: Ring) -> list[int]:
    return [entry.sequence for _, entry in ring.take()]


def test_kept_until_it_is_safe() -> None:
    """What was acknowledged up to the given moment leaves; the rest is there to be sent again."""
    ring = Ring(10**6)
    ring.add(group(1, 2), now=10)
    ring.add(group(3), now=12)
    ring.release(9.99)
    assert len(ring._groups) == 2
    ring.release(10)
    assert kept(ring) == [3]
    assert (kept(ring), ring.bytes, ring.shortened) == ([], 0, 0)


def test_bounded_in_bytes_and_says_so() -> None:
    """Beyond its bound the oldest leave too early, and are counted."""
    ring = Ring(4 * (ENTRY_BYTES + 10))
    for sequence in range(1, 10, 2):
        ring.add(group(sequence, sequence + 1), now=0)
        assert ring.bytes <= 4 * (ENTRY_BYTES + 10)
    assert ring.shortened == 6
    assert kept(ring) == [7, 8, 9, 10]
