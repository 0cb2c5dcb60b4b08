"""What is sent together: a few hundred numbered events or labels of one publisher."""

import time
from collections.abc import Callable, Iterator
from itertools import repeat
from os import urandom
from typing import Final, NamedTuple

MOST: Final = 500
"""Most events of a request."""
EVENT, LABEL = b"e", b"l"
PATHS: Final = {EVENT: "/events", LABEL: "/labels"}


AT_ONCE: Final = 8
"""Events that are worked on before other threads get a turn."""

Numbered = tuple[int, int, bytes]
"""Partition and number of an event or label, and its JSON object."""


def give_way() -> None:
    """Let the application's threads have Python's lock: they would wait for it until the
    interpreter takes it away after 5 ms.
    """
    time.sleep(0)


def lines(items: list[Numbered]) -> bytes:
    """Return events as they are sent: each a line, with its number.

    >>> lines([(0, 7, b'{"id":"a"}'), (0, 8, b'{"id":"b"}')]).decode().splitlines()
    ['{"id":"a","number":7}', '{"id":"b","number":8}']
    """
    found: list[bytes] = []
    for start in range(0, len(items), AT_ONCE):
        part = items[start : start + AT_ONCE]
        found += [b'%b,"number":%d}' % (payload[:-1], number) for _, number, payload in part]
        give_way()
    return b"\n".join(found)


class Batch(NamedTuple):
    """Events, or labels, that are sent in one request."""

    kind: bytes
    publisher: str
    partitions: int
    items: list[Numbered]

    def halves(self) -> "tuple[Batch, Batch]":
        """Return it as two batches."""
        half = len(self.items) // 2
        return self._replace(items=self.items[:half]), self._replace(items=self.items[half:])

    def gaps(self) -> Iterator[tuple[int, int, int]]:
        """Yield partition, first and last number of each run of its numbers."""
        runs: dict[int, tuple[int, int]] = {}
        for partition, number, _ in self.items:
            first, last = runs.get(partition, (number, number - 1))
            if number != last + 1:
                yield partition, first, last
                first = number
            runs[partition] = first, number
        for partition, (first, last) in runs.items():
            yield partition, first, last


class Unit(NamedTuple):
    """What a lane gives to the sender at a time.

    Parameters
    ----------
    batches
        At most one of events and one of labels.
    settle
        Function that is called when nothing of it need be kept any more.
    """

    batches: list[Batch]
    settle: Callable[[], None]

    @property
    def size(self) -> int:
        """Number of its events and labels."""
        return sum(len(batch.items) for batch in self.batches)


class Numbers:
    """The numbers of one publisher: one sequence for each kind and partition, from 1.

    Events and labels go to the API by different ways, so each kind is a publisher of its own: else
    a label that waits would leave a hole among the events.
    """

    def __init__(self, partitions: int, publisher: str | None = None) -> None:
        self.publisher = publisher or urandom(8).hex()
        self.partitions = partitions
        self._last: dict[tuple[bytes, int], int] = {}

    def give_all(self, kind: bytes, crcs: list[int], payloads: list[bytes]) -> list[Numbered]:
        """Number many of a kind."""
        if self.partitions > 1:
            return [
                (*self.give(kind, crc), payload)
                for crc, payload in zip(crcs, payloads, strict=True)
            ]
        first = self._last.get((kind, 0), 0) + 1
        self._last[kind, 0] = first + len(payloads) - 1
        return list(zip(repeat(0), range(first, first + len(payloads)), payloads))

    def give(self, kind: bytes, crc: int) -> tuple[int, int]:
        """Return the partition of an event by the CRC-32 of its prediction's id, and its number."""
        partition = crc % self.partitions
        number = self._last[kind, partition] = self._last.get((kind, partition), 0) + 1
        return partition, number


def publisher_of(publisher: str, kind: bytes) -> str:
    """Return the name under which a kind is numbered.

    >>> publisher_of("a1b2c3d4", LABEL)
    'a1b2c3d4.l'
    """
    return f"{publisher}.{kind.decode()}"


def batches_of(publisher: str, partitions: int, items: dict[bytes, list[Numbered]]) -> list[Batch]:
    """Return a batch for each kind that has items."""
    return [
        Batch(kind, publisher_of(publisher, kind), partitions, items[kind])
        for kind in (EVENT, LABEL)
        if items.get(kind)
    ]
