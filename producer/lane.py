"""A lane: one publisher's events on their way to one partition's log, numbered from 1 without holes."""

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from producer.receipts import Receipt

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0


class Entry:
    """An event that Redis has not acknowledged."""

    __slots__ = ("payload", "receipt", "sequence")

    def __init__(self, sequence: int, payload: bytes, receipt: Receipt | None) -> None:
        self.sequence = sequence
        self.payload = payload
        self.receipt = receipt


def longer(delay_s: float) -> float:
    """Give the next delay of a backoff.

    Examples
    --------
    >>> longer(0.0), longer(0.1), longer(1.5)
    (0.1, 0.2, 2.0)
    """
    return min(max(2 * delay_s, FIRST_DELAY_S), LONGEST_DELAY_S)


@dataclass(slots=True, eq=False)
class Lane:
    """The unacknowledged events of one partition, in the order of their numbers.

    Parameters
    ----------
    model
        The model that the partition belongs to.
    log
        Key of the partition's log.
    """

    model: str
    log: bytes
    publisher: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())
    sequence: int = 0
    waiting: deque[Entry] = field(default_factory=deque)
    delay_s: float = 0.0
    """Pause after the last refusal; 0 if Redis takes the events."""
    retry_at: float = 0.0

    def append(self, payload: bytes, receipt: Receipt | None) -> None:
        """Give an event its number and queue it."""
        self.sequence += 1
        self.waiting.append(Entry(self.sequence, payload, receipt))

    def take(self, most: int) -> list[Entry]:
        """Take the first events out to send them."""
        waiting = self.waiting
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Queue events again at their old place; they keep their numbers."""
        self.waiting.extendleft(reversed(entries))

    def refuse(self, now: float) -> None:
        """Pause, for longer each time."""
        self.delay_s = longer(self.delay_s)
        self.retry_at = now + self.delay_s

    def accept(self) -> None:
        """End the pause."""
        self.delay_s = self.retry_at = 0.0

    def command(self, entry: Entry) -> tuple[bytes | int, ...]:
        """Give the XADD of an event: type, publisher, sequence, event (shared/events.py)."""
        return b"XADD", self.log, b"*", b"t", b"p", b"p", self.publisher, b"s", entry.sequence, b"e", entry.payload
