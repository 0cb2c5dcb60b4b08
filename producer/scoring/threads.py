"""Threads for calls into a model's own code, which may take for ever, or end a thread.

The event loop hands a call to a thread and gets a future. A thread that is done takes the next
call; one that never comes back costs itself and nothing else. They are daemon threads, so the
process can end while one is stuck.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST_IDLE: Final = 4
"""Threads that are kept for later calls; more end as soon as they are idle."""


class ModelFailed(Exception):
    """A model's code raised what is no ordinary exception: SystemExit, KeyboardInterrupt, …

    Those would end the event loop that waits for the call.
    """


class Threads:
    """Runs calls, each in a thread of its own; for one event loop.

    Parameters
    ----------
    name
        Name of the threads, as debuggers and stack dumps show it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[_Thread] = []
        self._closed = False

    def start(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Start a call, and return the future of its result or exception.

        The caller must not have more calls under way than threads that it can afford: nothing
        waits here.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        thread = self._idle.pop() if self._idle else _Thread(self._name)

        def deliver(found: T | None, error: Exception | None) -> None:
            if self._closed or len(self._idle) >= MOST_IDLE:
                thread.end()
            else:
                self._idle.append(thread)
            if future.done():  # who waited for it has gone
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(found)  # type: ignore[arg-type]  # without an error it is a T

        thread.run(loop, deliver, function, arguments)
        return future

    def close(self) -> None:
        """End the idle threads now, and each other one when its call returns; nothing is waited
        for.
        """
        self._closed = True
        while self._idle:
            self._idle.pop().end()


class _Thread:
    """A thread that runs one call after another."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Any, Exception | None], None],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> None:
        self._calls.put((loop, deliver, function, arguments))

    def end(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, deliver, function, arguments = call
            found = error = None
            try:
                found = function(*arguments)
            except BaseException as raised:  # noqa: BLE001  whatever it is, it is the caller's
                error = _ordinary(raised)
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(deliver, found, error)
            del call, function, arguments, found, error  # not kept while it is idle


def _ordinary(raised: BaseException) -> Exception:
    """Return an exception that a future can hold, and whoever awaits it can survive."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    failed = ModelFailed(f"{type(raised).__name__} was raised")
    failed.__cause__ = raised
    return failed
