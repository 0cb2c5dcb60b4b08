"""Waiting for acknowledgements: each request for its own events, and no longer than Redis deserves.

One timer serves all requests: a timer for each would cost more than the rest of publishing.
"""

import asyncio
from collections import deque
from typing import Literal

Outcome = Literal["published", "queued", "dropped"]


class Receipt:
    """What a waiting request holds: resolved when the last of its events is acknowledged, or when waiting ends."""

    __slots__ = ("deadline", "future", "left")

    def __init__(self, left: int, deadline: float, future: asyncio.Future[Outcome]) -> None:
        self.left = left
        self.deadline = deadline
        self.future = future

    def acknowledge(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.future.done():
            self.future.set_result("published")

    def give_up(self) -> None:
        """Stop waiting; the events stay queued."""
        if not self.future.done():
            self.future.set_result("queued")


class Receipts:
    """The receipts of all waiting requests.

    Parameters
    ----------
    longest_s
        Longest wait. Once a request has waited in vain, nobody waits until `resume`.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._waiting: deque[Receipt] = deque()  # by deadline
        self._timer: asyncio.TimerHandle | None = None
        self._prompt = False

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
        """Let requests wait: Redis is prompt."""
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
        else:
            self._timer = loop.call_at(self._waiting[0].deadline, self._expire)
