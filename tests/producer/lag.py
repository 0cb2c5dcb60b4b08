"""Watches how long the event loop computes before others get a turn."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def watched() -> Iterator[Lag]:
    """Watch every turn of every event loop: all callbacks between two looks at its connections.

    What is in memory already is no part of it, as in the server (producer/server.py).
    """
    lag, plain = Lag(), asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]

    def run_once(loop: asyncio.BaseEventLoop) -> None:
        began = time.thread_time()
        plain(loop)
        lag.longest_s = max(lag.longest_s, time.thread_time() - began)

    asyncio.BaseEventLoop._run_once = run_once  # type: ignore[attr-defined]  # all pass there
    gc.collect()
    gc.freeze()
    try:
        yield lag
    finally:
        gc.unfreeze()
        asyncio.BaseEventLoop._run_once = plain  # type: ignore[attr-defined]  # as it was
