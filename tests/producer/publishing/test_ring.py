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


def test_the_events_of_some_lanes_are_taken_alone() -> None:
    """What another master has now is sent again there; the rest stays, with its size."""
    ring, gone, here = Ring(10**6), Lane("m", b"a"), Lane("m", b"b")
    mixed = [
        (lane, Entry(b"p", number, b"x" * 10, None)) for number, lane in ((1, gone), (2, here))
    ]
    ring.add(mixed, now=0)
    assert [pair[0] for pair in ring.take({gone})] == [gone]
    assert ring.bytes == ENTRY_BYTES + 10
    assert [pair[0] for pair in ring.take()] == [here]
    assert ring.bytes == 0
