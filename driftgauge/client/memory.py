"""The queue in memory: events and labels on their way to the API, numbered when they are taken to
be sent.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from driftgauge.client.encoding import Unserialisable, event_json
from driftgauge.client.unit import EVENT, LABEL, MOST, Numbers, Unit, batches_of, give_way

ENCODED_AT_ONCE: Final = 4
"""Events that are encoded before other threads get a turn: about a tenth of a millisecond."""

Waiting = tuple[bytes, int, dict[str, object] | bytes]
"""Kind, CRC-32 of the prediction's id, and content or JSON of an event or label."""


class Memory:
    """A queue of bounded length.

    Parameters
    ----------
    most
        Most events and labels that wait.
    lost
        Function that is told why an event could not be encoded.
    """

    def __init__(self, most: int, lost: Callable[[Exception], None]) -> None:
        self._most = most
        self._lost = lost
        self._waiting: deque[Waiting] = deque()
        self._taken: list[tuple[bytes, int, bytes]] = []
        self._unit: Unit | None = None
        self._numbers = Numbers(1)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return len(self) >= self._most

    def put(self, kind: bytes, crc: int, content: dict[str, object] | bytes) -> bool:
        """Queue an event or label; return whether there was room."""
        if self.full:
            return False
        self._waiting.append((kind, crc, content))
        return True

    def take(self) -> Unit | None:
        """Return what is to be sent next; None if nothing waits. What is not settled is given
        again.
        """
        if self._unit is not None:
            return self._unit
        self._encode()
        if not self._taken:
            return None
        numbers, items = self._numbers, {}
        for kind in (EVENT, LABEL):
            own = [one for one in self._taken if one[0] == kind]
            crcs, payloads = [crc for _, crc, _ in own], [payload for *_, payload in own]
            items[kind] = numbers.give_all(kind, crcs, payloads)
        batches = batches_of(numbers.publisher, numbers.partitions, items)
        self._unit = Unit(batches, self._settle)
        return self._unit

    def _encode(self) -> None:
        """Take what waits, as JSON."""
        for place in range(MOST):
            if not self._waiting or len(self._taken) >= MOST:
                return
            kind, crc, content = self._waiting[0]
            try:
                payload = content if isinstance(content, bytes) else event_json(content)
                self._taken.append((kind, crc, payload))
            except Unserialisable as error:  # a number of thousands of digits: it costs this event
                self._lost(error)
            self._waiting.popleft()
            if place % ENCODED_AT_ONCE == 0:
                give_way()

    def _settle(self) -> None:
        self._taken.clear()
        self._unit = None

    def renumber(self, partitions: int) -> None:
        """Number by another number of partitions, under a new name; what was taken and is not
        settled is given again.
        """
        self._unit = None
        self._numbers = Numbers(partitions)
