"""Watches how long the event loop computes before others get a turn."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

ONE_TURN = "_run_once"
"""The method of an event loop that all callbacks pass."""
MOST_CPU_S = 0.05
"""CPU (s) that may pass on the event loop's thread before others get a turn."""


class Lag:
    """The longest turn of an event loop.

    Attributes
    ----------
    longest_s
        CPU time (s) of the event loop's own thread, so that other threads and processes do not
        matter.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0


async def next_turn() -> None:
    """Let this turn of the event loop end, so that it is measured."""
    for _ in range(2):
        await asyncio.sleep(0)


@contextmanager
def watched() -> Iterator[Lag]:
    """Watch every turn of every event loop: all callbacks between two looks at its connections.

    What is in memory already is no part of it, as in the server (producer/server.py).
    """
    lag, loops = Lag(), cast(Any, asyncio.BaseEventLoop)
    plain = getattr(loops, ONE_TURN)

    def run_once(loop: asyncio.BaseEventLoop) -> None:
        began = time.thread_time()
        plain(loop)
        lag.longest_s = max(lag.longest_s, time.thread_time() - began)

    setattr(loops, ONE_TURN, run_once)
    gc.collect()
    gc.freeze()
    try:
        yield lag
    finally:
        gc.unfreeze()
        setattr(loops, ONE_TURN, plain)
