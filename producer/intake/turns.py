"""Turns on the event loop: the work of one request never keeps the others waiting.

Whatever takes time in proportion to a body is done in pieces of a few milliseconds, with a turn for
others between them, or in a thread, if no single call of it takes long.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from driftgauge.producer.http.problems import Problem

AT_ONCE: Final = 1 << 16
"""Largest text, in bytes, that is decoded on the event loop: it takes a millisecond or two."""
MOST_CONTAINERS: Final = 20_000
"""Lists and objects that a larger text may hold: a body of 1 MB can have 350,000, whose memory
takes half a second to manage.
"""
TURN_S: Final = 0.004
"""Time (s) after which others get a turn."""

_T = TypeVar("_T")


class Turns:
    """The turns of one request."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def over(self) -> bool:
        """Tell whether this turn was long enough."""
        return time.perf_counter() - self._since > TURN_S

    async def offer(self) -> None:
        """Give others a turn if this one was long enough."""
        if self.over():
            await asyncio.sleep(0)
            self._since = time.perf_counter()


async def run(size: int, work: Callable[..., _T], *given: Any) -> _T:
    """Call a function on something of this size: at once if that is small, else in a thread."""
    return work(*given) if size <= AT_ONCE else await asyncio.to_thread(work, *given)


def check_containers(text: str | bytes, start: int = 0) -> None:
    """Refuse a large text with a great many lists and objects before anything is built of it.

    Raises
    ------
    Problem
        400 if there are more than `MOST_CONTAINERS`.
    """
    if len(text) - start <= AT_ONCE:
        return
    marks: Any = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(text.count(mark, start) for mark in marks) > MOST_CONTAINERS:
        raise Problem(
            400, f"More than {MOST_CONTAINERS} lists and objects stand there; send less at a time."
        )
