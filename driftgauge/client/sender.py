"""The sender: a thread that takes what was logged to the API.

It sends one batch after the other, and repeats what was not answered, or not taken for lack of
room, until it is taken: so the numbers of a publisher arrive without holes. What the API refuses
for good is given up, and its numbers are declared as gaps before anything else is sent.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from driftgauge.client.stats import Stats
from driftgauge.client.unit import Batch, Unit

if TYPE_CHECKING:
    from driftgauge.client.connection import Answer, Connection

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 30.0
IDLE_S: Final = 0.5
"""Longest time that an event waits for others."""
MOST_GAPS: Final = 500
"""Most gaps of one declaration."""

Gap = tuple[int, int, int]


class Lane(Protocol):
    """Where events wait: the memory, or the spool."""

    def take(self) -> Unit | None:
        """Return what is to be sent next; None if nothing waits."""

    def renumber(self, partitions: int) -> None:
        """Number by another number of partitions."""


class Renumbered(Exception):
    """The API has other partitions than a batch was numbered for."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.partitions = partitions


class Ended(Exception):
    """There is no time left to repeat."""


class Sender:
    """The thread between the lanes and the API.

    Parameters
    ----------
    lanes
        Where events wait, served in turn.
    keep_house
        Function that is called twice a second.
    """

    def __init__(
        self,
        connection: "Connection",
        lanes: Sequence[Lane],
        stats: Stats,
        keep_house: Callable[[], None],
    ) -> None:
        self.wake = threading.Event()
        self._connection = connection
        self._lanes = lanes
        self._stats = stats
        self._keep_house = keep_house
        self._gaps: dict[tuple[str, int], list[Gap]] = {}
        self._end_at = float("inf")
        self._house_at = 0.0
        self._thread = threading.Thread(target=self._run, name="driftgauge.client", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Send what waits for so many seconds at most, then stop."""
        self._end_at = time.monotonic() + timeout_s
        self.wake.set()
        self._thread.join(timeout_s + 0.1)

    def _run(self) -> None:
        while True:
            closing = self._end_at < float("inf")
            self.wake.clear()
            try:
                sent = self._round()
            except Ended:
                break
            except Exception as error:  # noqa: BLE001  what was taken is taken again: a fault of ours must not end it
                self._stats.last_error = f"{type(error).__name__}: {error}"
                sent = False
                if self._wait(1.0):
                    break
            if not sent:
                if closing:
                    break
                self.wake.wait(IDLE_S)
        self._connection.close()

    def _round(self) -> bool:
        """Send the next unit of each lane; return whether there was any."""
        now = time.monotonic()
        if now >= self._house_at:
            self._house_at = now + IDLE_S
            self._keep_house()
        sent = False
        for lane in self._lanes:
            unit = lane.take()
            if unit is None:
                continue
            sent = True
            try:
                for batch in unit.batches:
                    self._deliver(batch)
            except Renumbered as told:
                for one in self._lanes:
                    one.renumber(told.partitions)
                continue
            unit.settle()
        return sent

    def _deliver(self, batch: Batch) -> None:
        """Send a batch until it is settled.

        Raises
        ------
        Renumbered, Ended
            If it has to be taken anew, or there is no time left.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            answer = self._declare() or self._connection.send(batch)
            if answer.why:
                self._stats.last_error = answer.why
            if answer.meaning == "taken":
                self._stats.sent += answer.accepted
                self._stats.refused += len(batch.items) - answer.accepted
                return
            if answer.meaning == "renumber":
                raise Renumbered(answer.partitions)
            if answer.meaning == "halve" and len(batch.items) > 1:
                for half in batch.halves():
                    self._deliver(half)
                return
            if answer.meaning in {"refused", "halve"}:
                self._give_up(batch, answer)
                return
            self._stats.retries += 1
            self._keep_house()
            if self._wait(answer.pause_s or _jittered(pause_s)):
                raise Ended
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _give_up(self, batch: Batch, answer: "Answer") -> None:
        """Count what is not sent again, and note its numbers."""
        if answer.meaning == "halve":
            self._stats.drop("too_large")
        else:
            self._stats.refused += len(batch.items)
        found = self._gaps.setdefault((batch.publisher, batch.partitions), [])
        for partition, first, last in batch.gaps():
            for place, (its, begin, end) in enumerate(found):
                if its == partition and end == first - 1:
                    found[place] = partition, begin, last
                    break
            else:
                found.append((partition, first, last))

    def _declare(self) -> "Answer | None":
        """Tell the API of gaps before anything else is sent; return its answer if it cannot take
        them now.
        """
        for (publisher, partitions), gaps in list(self._gaps.items()):
            answer = self._connection.declare(publisher, partitions, gaps[:MOST_GAPS])
            if answer.meaning == "again":
                return answer
            if answer.meaning == "refused":
                return None  # so will be what is sent: both wait for a key that is let in
            del gaps[:MOST_GAPS]
            if not gaps:
                del self._gaps[publisher, partitions]
        return None

    def _wait(self, seconds: float) -> bool:
        """Wait; return whether the time to end has come."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            left = min(until, self._end_at) - now
            if left <= 0:
                return now >= self._end_at
            if self.wake.wait(left):  # it may have been woken to end sooner
                self.wake.clear()


def _jittered(pause_s: float) -> float:
    """Return a half to all of a pause, so that many clients do not come back at once; importing
    `random` would take long.
    """
    return pause_s * (0.5 + os.urandom(1)[0] / 510)
