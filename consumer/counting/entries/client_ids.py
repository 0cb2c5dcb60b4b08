"""Ids that clients supplied: a client that repeats a request after its API process died sends the
same id through another publisher.

The first try may lie in a spool for days, and arrive long after the second one was counted. So an
event carries the time at which an API received it, and ids are kept by the hour of that time, for
as long as a spool may live. An id is known if it was received in the event's own hour, the one
before or the one after: independently of when it arrives, and of how the log was cut into batches.

What is kept is bounded. Redis holds 8 bytes of each id, in a string for each hour; beyond a number
of ids the oldest hours are forgotten. Of an event of such an hour nobody knows whether it was
counted: it goes to the dead letters. In memory are the last two hours, and those of the events that
came late.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from typing import Final, Literal

from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.shared.contract.events import Prediction

CLIENT_ID: Final = attrgetter("client_id")
DIGEST_BYTES = 16
"""Bytes by which a prediction that waits for its label is known."""
KEPT_BYTES = 8
"""Bytes that are kept of a client's id. Of a million different ids two are equal in one of
30 million cases.
"""


@dataclass(slots=True)
class ClientIds:
    """The ids in memory, and the changes to write to Redis.

    Parameters
    ----------
    hours
        Digests by hour of reception (Unix ms // 3,600,000), of the hours that were loaded.
    kept
        Number of ids by hour, of all hours that are kept.
    first, last
        First hour that was not forgotten for want of room, and the last one with an id.
    added
        Digests to write since the last commit, by hour.
    gone
        Hours to delete, since the last commit.

    Examples
    --------
    >>> ids = ClientIds()
    >>> day = 24 * HOUR_MS
    >>> ids.claim("a", 0, 0, day), ids.claim("b", 1, 1, day)
    ('new', 'new')
    >>> ids.claim("a", HOUR_MS, HOUR_MS, day), ids.claim("b", 2 * HOUR_MS, 2 * HOUR_MS, day)
    ('known', 'new')
    >>> ids.claim("a", 1, 9 * HOUR_MS, day)  # its first try comes out of a spool
    'known'
    """

    hours: dict[int, set[bytes]] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    added: dict[int, list[bytes]] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    _size: int = 0
    _oldest: int = 0
    _used: set[int] = field(default_factory=set)

    def restore(self, kept: Mapping[int, int]) -> None:
        """Take over the number of ids by hour that are in Redis."""
        self.kept = dict(kept)
        self._size = sum(kept.values())

    def claim(
        self,
        client_id: str,
        received_ms: int | None,
        entry_ms: int,
        keep_ms: int,
        most: int = 1_000_000,
    ) -> Literal["new", "known", "unknown"]:
        """Remember the id of an event; tell whether it was known. All hours around it must have
        been loaded (`absent`).

        Parameters
        ----------
        received_ms
            Time (Unix ms) at which an API received it; None if it does not say.
        entry_ms
            Time (Unix ms) of its entry.
        keep_ms
            Time (ms) for which ids are kept: the longest age of a spool.
        most
            Most ids that are kept.
        """
        digest = digest_of(client_id)[:KEPT_BYTES]
        hour = hour_of(received_ms, entry_ms, keep_ms)
        self._used.update(around(hour))
        if any(digest in self.hours.get(near, ()) for near in around(hour)):
            return "known"
        self._age(entry_ms, keep_ms)
        current = entry_ms // HOUR_MS
        if hour < current - 1 and hour - 1 < self.first:
            return "unknown"
        if self._make_room(most, current):
            self.hours.setdefault(hour, set()).add(digest)
            self.added.setdefault(hour, []).append(digest)
            self.kept[hour] = self.kept.get(hour, 0) + 1
            self._size += 1
            self.last = max(self.last, hour)
        return "new"

    def _make_room(self, most: int, current: int) -> bool:
        """Forget the oldest hours until a further id may be kept; return whether it may. The last
        two hours are not forgotten.
        """
        while self.kept and self._size >= most:
            oldest = min(self.kept)
            if oldest >= current - 1:
                return False
            self._drop(oldest)
            self.first = oldest + 1
        return True

    def absent(
        self, predictions: Sequence[Prediction], entry_ms: Iterable[int], keep_ms: int
    ) -> list[int]:
        """Return the hours that are kept in Redis and must be loaded before these predictions are
        counted.
        """
        if not any(map(CLIENT_ID, predictions)):
            return []
        own = {
            hour_of(prediction.received, moment, keep_ms)
            for prediction, moment in zip(predictions, entry_ms, strict=True)
            if prediction.client_id
        }
        near = {hour for one in own for hour in around(one)}
        return sorted(near & self.kept.keys() - self.hours.keys())

    def forget(self, entry_ms: int, keep_ms: int) -> None:
        """Drop the hours that no later entry is compared with, since entry ids only grow; and from
        memory those that are old and were not needed lately.
        """
        self._age(entry_ms, keep_ms)
        recent = entry_ms // HOUR_MS - 1
        for hour in [hour for hour in self.hours if hour < recent and hour not in self._used]:
            del self.hours[hour]
        self._used.clear()

    def _age(self, entry_ms: int, keep_ms: int) -> None:
        """Drop the hours that are too old at an entry."""
        oldest = (entry_ms - keep_ms) // HOUR_MS - 1
        if oldest != self._oldest:
            self._oldest = oldest
            for hour in [hour for hour in self.kept if hour < oldest]:
                self._drop(hour)

    def _drop(self, hour: int) -> None:
        self._size -= self.kept.pop(hour)
        self.hours.pop(hour, None)
        self.added.pop(hour, None)
        self.gone.append(hour)

    def take_changes(self) -> tuple[Mapping[int, list[bytes]], list[int]]:
        """Return what to write and which hours to delete since the last call."""
        changes = self.added, self.gone
        self.added, self.gone = {}, []
        return changes


def hour_of(received_ms: int | None, entry_ms: int, keep_ms: int) -> int:
    """Return the hour of an event: of its reception, unless it does not say, or says what cannot
    be, because the API's clock is wrong; then that of its entry.
    """
    if received_ms is None or not entry_ms - keep_ms <= received_ms <= entry_ms:
        return entry_ms // HOUR_MS
    return received_ms // HOUR_MS


def around(hour: int) -> tuple[int, int, int]:
    """Return the hours whose ids an event is compared with."""
    return hour - 1, hour, hour + 1


def unpack(packed: bytes) -> set[bytes]:
    """Return the digests of an hour, as they stand in Redis one after the other."""
    whole = len(packed) - len(packed) % KEPT_BYTES
    return {packed[place : place + KEPT_BYTES] for place in range(0, whole, KEPT_BYTES)}


def digest_of(event_id: str) -> bytes:
    """Return the digest of an id."""
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def digests_of(event_ids: Iterable[str]) -> list[bytes]:
    """Return the digest of each id, as `digest_of` does: a call for each would cost a quarter more.

    Examples
    --------
    >>> digests_of(["a", "b"]) == [digest_of("a"), digest_of("b")]
    True
    """
    return [
        blake2b(one.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
        for one in event_ids
    ]
