"""The queue in memory: events and labels on their way to the API, numbered when they are taken to
be sent.
"""

from collections import deque

from driftgauge.client.unit import EVENT, LABEL, MOST, Numbers, Unit, batches_of

Waiting = tuple[bytes, int, bytes]
"""Kind, CRC-32 of the prediction's id, and JSON of an event or label."""


class Memory:
    """A queue of bounded length.

    Parameters
    ----------
    most
        Most events and labels that wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Waiting] = deque()
        self._taken: list[Waiting] = []
        self._unit: Unit | None = None
        self._numbers = Numbers(1)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return len(self) >= self._most

    def put(self, kind: bytes, crc: int, payload: bytes) -> bool:
        """Queue an event or label; return whether there was room."""
        if self.full:
            return False
        self._waiting.append((kind, crc, payload))
        return True

    def take(self) -> Unit | None:
        """Return what is to be sent next; None if nothing waits. What is not settled is given
        again.
        """
        if self._unit is not None:
            return self._unit
        while self._waiting and len(self._taken) < MOST:
            self._taken.append(self._waiting.popleft())
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

    def _settle(self) -> None:
        self._taken.clear()
        self._unit = None

    def renumber(self, partitions: int) -> None:
        """Number by another number of partitions, under a new name; what was taken and is not
        settled is given again.
        """
        self._unit = None
        self._numbers = Numbers(partitions)
