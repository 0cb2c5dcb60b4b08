"""Ids that clients supplied: a client that repeats a request after its API process died sends the
same id through another publisher.

They are kept by hours of entry time, and an id is known if it came in the entry's own hour or the
one before: so for one to two hours, independently of clocks and of how the log was cut into
batches. Ids are stored as digests of fixed length.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from driftgauge.consumer.counting.clock import HOUR_MS

DIGEST_BYTES = 16


@dataclass(slots=True)
class ClientIds:
    """The ids of the last two hours, and the changes to write to Redis.

    Parameters
    ----------
    hours
        Digests by hour of entry time (Unix ms // 3,600,000).
    added
        Digests to write since the last commit, by hour.
    gone
        Hours to delete, since the last commit.

    Examples
    --------
    >>> ids = ClientIds()
    >>> [
    ...     ids.claim(name, ms)
    ...     for name, ms in [("a", 0), ("b", 1), ("a", HOUR_MS), ("b", 2 * HOUR_MS)]
    ... ]
    [True, True, False, True]
    """

    hours: dict[int, set[bytes]] = field(default_factory=dict)
    added: dict[int, list[bytes]] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)

    def claim(self, client_id: str, entry_ms: int) -> bool:
        """Remember an id; return whether it was new."""
        digest = digest_of(client_id)
        hour = entry_ms // HOUR_MS
        if any(digest in self.hours.get(kept, ()) for kept in hours_kept(entry_ms)):
            return False
        self.hours.setdefault(hour, set()).add(digest)
        self.added.setdefault(hour, []).append(digest)
        return True

    def forget(self, entry_ms: int) -> None:
        """Drop the hours that no later entry is compared with: entry ids only grow."""
        oldest = min(hours_kept(entry_ms))
        for hour in [hour for hour in self.hours if hour < oldest]:
            del self.hours[hour]
            self.added.pop(hour, None)
            self.gone.append(hour)

    def take_changes(self) -> tuple[Mapping[int, list[bytes]], list[int]]:
        """Return what to write and which hours to delete since the last call."""
        changes = self.added, self.gone
        self.added, self.gone = {}, []
        return changes


def hours_kept(entry_ms: int) -> tuple[int, int]:
    """Return the hours whose ids an entry is compared with."""
    hour = entry_ms // HOUR_MS
    return hour - 1, hour


def digest_of(event_id: str) -> bytes:
    """Return the digest of an id."""
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
