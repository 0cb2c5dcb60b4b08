"""Waiting for acknowledgements: each request for its own events, and not at all while Redis does
not answer in time.

One timer serves all requests: a timer for each would cost more than the rest of publishing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal

Outcome = Literal["published", "spooled", "queued", "dropped"]
"""What became of a request's events, from best to worst: all are in Redis; all are in Redis or on
disk; some are in memory only; none was taken.
"""
OUTCOMES: Final[Sequence[Outcome]] = ("published", "spooled", "queued", "dropped")


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the worst of several outcomes.

    Examples
    --------
    >>> worst(["published", "queued", "spooled"]), worst([])
    ('queued', 'published')
    """
    return max(outcomes, key=OUTCOMES.index, default="published")


class Receipt:
    """What a request waits on: it is resolved when the last of its events is in Redis or on disk,
    or when the wait ends.
    """

    __slots__ = ("deadline", "future", "left", "outcome")

    def __init__(self, left: int, deadline: float, future: asyncio.Future[Outcome]) -> None:
        self.left = left
        self.deadline = deadline
        self.future = future
        self.outcome: Outcome = "published"

    def acknowledge(self, outcome: Literal["published", "spooled"]) -> None:
        """Note that one of the events is safe."""
        self.left -= 1
        if outcome == "spooled":
            self.outcome = outcome
        if self.left == 0 and not self.future.done():
            self.future.set_result(self.outcome)

    def give_up(self) -> None:
        """Stop waiting; the events stay queued."""
        if not self.future.done():
            self.future.set_result("queued")


class Receipts:
    """The receipts of all waiting requests.

    Parameters
    ----------
    longest_s
        Longest wait in seconds. Once a request has waited in vain, none waits until `resume`.
    late
        Function that is called when a request has waited in vain.
    """

    def __init__(self, longest_s: float, late: Callable[[], None]) -> None:
        self._longest_s = longest_s
        self._late = late
        self._waiting: deque[Receipt] = deque()  # by deadline
        self._timer: asyncio.TimerHandle | None = None
        self._prompt = True

    def make(self, events: int) -> Receipt | None:
        """Make a receipt for events; None while nobody waits."""
        if not self._prompt:
            return None
        loop = asyncio.get_running_loop()
        receipt = Receipt(events, loop.time() + self._longest_s, loop.create_future())
        self._waiting.append(receipt)
        if self._timer is None:
            self._timer = loop.call_at(receipt.deadline, self._expire)
        return receipt

    def resume(self) -> None:
        """Let requests wait: Redis or the disk is prompt."""
        self._prompt = True

    def give_up(self) -> None:
        """End all waits; the events stay queued."""
        self._prompt = False
        while self._waiting:
            self._waiting.popleft().give_up()

    def _expire(self) -> None:
        """End all waits if one is overdue."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        if not self._waiting:
            return
        if self._waiting[0].deadline <= loop.time():
            self.give_up()
            self._late()
        else:
            self._timer = loop.call_at(self._waiting[0].deadline, self._expire)
