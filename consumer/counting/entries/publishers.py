"""The publishers of a partition: which of their sequence numbers have arrived, and when a silent
publisher is retired.

A publisher that has been silent for longer than the longest spool age is retired: its missing
numbers are lost for good, and of its numbers only the last one is kept. Its process may still run
(a model without traffic for a week), so later numbers are new and counted. Whether a number up to
the last one was counted before is no longer known, so it goes to the dead letters. So retirement
never counts an event twice, and refuses none that is certainly new. The last numbers of 10,000
retired publishers are kept.

Each process of a client is a publisher, so their number has a bound: of more than 10,000 that are
not retired, those that were silent for longest are retired too. So has what is kept of one: beyond
1,000 runs of numbers its oldest holes are closed in the same way.

Silence is measured in entry time, from the last entry to the beginning of the hour. Publishers are
retired and forgotten before the first entry of an hour, which is a fixed position in the log. At
the end of a batch, it would depend on the cut into batches which surplus publishers are forgotten,
and so whether a repeated number is counted again.
"""

from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.entries.sequences import Intervals
from driftgauge.shared.contract.counters import PackedPublisher

RETIRED_KEPT = 10_000
MOST_LIVING = 10_000
"""Most publishers of a partition that are not retired."""
MOST_RUNS = 1000
"""Most runs of numbers that are kept of a publisher."""


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
        return self._close(self.seen.last)

    def close_surplus(self) -> int:
        """Close the oldest holes beyond `MOST_RUNS` runs; return how many numbers they are."""
        surplus = len(self.seen.bounds) - MOST_RUNS
        return self._close(self.seen.bounds[surplus][1]) if surplus > 0 else 0

    def _close(self, last: int) -> int:
        self.closed = last
        return self.seen.add_span(1, last)

    def pack(self) -> bytes:
        """Pack the publisher for the checkpoint."""
        return msgspec.msgpack.encode(PackedPublisher(self.seen.bounds, self.last_ms, self.closed))

    @classmethod
    def unpack(cls, packed: bytes) -> "Publisher":
        """Unpack what `pack` returned."""
        found = msgspec.msgpack.decode(packed, type=PackedPublisher)
        return cls(Intervals(found.bounds), found.last_ms, found.closed)


def to_retire(publishers: dict[bytes, Publisher], entry_ms: int, limit_ms: int) -> list[bytes]:
    """Return the names of the publishers to retire: the silent ones, and beyond `MOST_LIVING` those
    that were silent for longest.
    """
    living = {
        name: publisher
        for name, publisher in publishers.items()
        if not publisher.retired and publisher.seen.bounds
    }
    silent = [name for name, one in living.items() if one.is_silent(entry_ms, limit_ms)]
    surplus = len(living) - len(silent) - MOST_LIVING
    if surplus <= 0:
        return silent
    order = sorted(living, key=lambda name: (living[name].last_ms, name))
    return order[: len(silent) + surplus]


def to_forget(publishers: dict[bytes, Publisher]) -> list[bytes]:
    """Return the names of surplus retired publishers, the longest silent first."""
    retired = sorted(
        (publisher.last_ms, name) for name, publisher in publishers.items() if publisher.retired
    )
    return [name for _, name in retired[: max(0, len(retired) - RETIRED_KEPT)]]
