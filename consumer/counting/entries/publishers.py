"""The publishers of a partition: which of their sequence numbers have arrived, and when a silent
publisher is retired.

A publisher that has been silent for longer than the longest spool age is retired: its missing
numbers are lost for good, and of its numbers only the last one is kept. Its process may still run
(a model without traffic for a week), so later numbers are new and counted. Whether a number up to
the last one was counted before is no longer known, so it goes to the dead letters. So retirement
never counts an event twice, and refuses none that is certainly new. The last numbers of 10,000
retired publishers are kept.

Silence is measured in entry time, from the last entry to the beginning of the hour. Publishers are
retired and forgotten before the first entry of an hour, which is a fixed position in the log. At
the end of a batch, it would depend on the cut into batches which surplus publishers are forgotten,
and so whether a repeated number is counted again.
"""

from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.entries.sequences import Intervals

RETIRED_KEPT = 10_000


class PackedPublisher(msgspec.Struct, omit_defaults=True):
    """A publisher as the checkpoint stores it."""

    bounds: list[list[int]]
    last_ms: int
    closed: int = 0


@dataclass(slots=True)
class Publisher:
    """One publisher.

    Parameters
    ----------
    seen
        Sequence numbers that have arrived.
    last_ms
        Entry time (ms) of its last entry.
    closed
        Numbers up to this one were closed by a retirement; 0 if it never was retired.
    """

    seen: Intervals = field(default_factory=Intervals)
    last_ms: int = 0
    closed: int = 0

    @property
    def retired(self) -> bool:
        return self.closed > 0 and self.seen.bounds == [[1, self.closed]]

    def is_silent(self, entry_ms: int, limit_ms: int) -> bool:
        """Return whether its last entry is older than the limit, at an entry time."""
        return 0 < self.last_ms < entry_ms // HOUR_MS * HOUR_MS - limit_ms

    def retire(self) -> int:
        """Close all numbers up to the last one; return how many of them never arrived."""
        lost = self.seen.missing
        self.closed = self.seen.last
        self.seen = Intervals([[1, self.closed]])
        return lost

    def pack(self) -> bytes:
        """Pack the publisher for the checkpoint."""
        return msgspec.msgpack.encode(PackedPublisher(self.seen.bounds, self.last_ms, self.closed))

    @classmethod
    def unpack(cls, packed: bytes) -> "Publisher":
        """Unpack what `pack` returned."""
        found = msgspec.msgpack.decode(packed, type=PackedPublisher)
        return cls(Intervals(found.bounds), found.last_ms, found.closed)


def to_retire(publishers: dict[bytes, Publisher], entry_ms: int, limit_ms: int) -> list[bytes]:
    """Return the names of the publishers to retire."""
    return [
        name
        for name, publisher in publishers.items()
        if publisher.is_silent(entry_ms, limit_ms)
        and not publisher.retired
        and publisher.seen.bounds
    ]


def to_forget(publishers: dict[bytes, Publisher]) -> list[bytes]:
    """Return the names of surplus retired publishers, the longest silent first."""
    retired = sorted(
        (publisher.last_ms, name) for name, publisher in publishers.items() if publisher.retired
    )
    return [name for _, name in retired[: max(0, len(retired) - RETIRED_KEPT)]]
