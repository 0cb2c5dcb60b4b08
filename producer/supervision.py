"""The background tasks of the API: none of them ends silently.

A task looks again and again: at the keys file, the registry folder, the spool, Redis. Whatever a
look raises is caught, named, counted and tried again after a pause that doubles; the requests go
on. A task that has not succeeded for long degrades the API (`/readyz`), since revoked keys,
promoted versions or waiting events may be unseen.
"""

import asyncio
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import redis

from driftgauge.shared.errors import DriftgaugeError

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
CANCEL_S: Final = 0.1
LATE_S: Final = 45.0
"""Seconds without a successful look after which a task is late: longer than a version may take to
be loaded (producer/scoring/serving.py).
"""

logger = logging.getLogger("driftgauge.producer")


class Supervised:
    """How one background task is.

    Parameters
    ----------
    name
        What it does, in words that fit `The … fails`.

    Attributes
    ----------
    failures
        Looks that failed since the process began.
    fault
        What failed last, and where; empty once a look has succeeded after it.
    running
        Whether it was started, and not stopped.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.failures = 0
        self.fault = ""
        self.running = False
        self._clock = clock
        self._succeeded_at = clock()
        self._pause_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds since its last successful look, or since its start."""
        return self._clock() - self._succeeded_at

    @property
    def late(self) -> bool:
        """Whether it has not succeeded for long."""
        return self.running and self.age_s > LATE_S

    @property
    def described(self) -> str:
        """What is wrong with a late task."""
        why = f" It fails: {self.fault}." if self.fault else " Its last look has not ended."
        return f"The {self.name} has not succeeded for {self.age_s:.0f} s.{why}"

    def begin(self) -> None:
        """Note that it is started now."""
        self.running = True
        self._succeeded_at = self._clock()

    def succeed(self) -> None:
        """Note a successful look."""
        self._succeeded_at = self._clock()
        self._pause_s = 0.0
        if self.fault:
            logger.warning("The %s goes on.", self.name)
            self.fault = ""

    def fail(self, error: BaseException) -> float:
        """Note a failure, and return the pause (s) before the next try."""
        self.failures += 1
        fault = _described(error)
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        if fault != self.fault:
            words = "The %s fails (%s); it is tried again in %g s."
            logger.error(words, self.name, fault, self._pause_s)
        self.fault = fault
        return self._pause_s


class Supervisor:
    """All background tasks of a process."""

    def __init__(self) -> None:
        self.tasks: dict[str, Supervised] = {}

    def watched(self, name: str) -> Supervised:
        """Return how a task is, which is made when it is first asked for."""
        return self.tasks.setdefault(name, Supervised(name))

    @property
    def reasons(self) -> Iterator[str]:
        """What is wrong with each task that is late."""
        return (task.described for task in self.tasks.values() if task.late)

    def keep(
        self, name: str, look: Callable[[], Awaitable[None]], pause_s: float | None
    ) -> asyncio.Task[None]:
        """Call `look` again and again on the event loop, until the task is cancelled.

        Parameters
        ----------
        pause_s
            Seconds between looks that succeed. None: `look` looks again and again by itself, tells
            `watched(name)` of each success, and its return ends the task.
        """
        task = self.watched(name)
        task.begin()
        return asyncio.create_task(_kept(task, look, pause_s), name=name)

    @contextlib.contextmanager
    def keep_in_thread(self, name: str, look: Callable[[], None], pause_s: float) -> Iterator[None]:
        """Call `look` again and again in a thread of its own, whatever the event loop and the
        others' threads do, until the end of the context.
        """
        task, ended = self.watched(name), threading.Event()
        thread = threading.Thread(
            target=_kept_in_thread, args=(task, look, pause_s, ended), name=name, daemon=True
        )
        task.begin()
        thread.start()
        try:
            yield
        finally:
            task.running = False
            ended.set()


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait for its end; again and again, since in Python 3.11 `wait_for`, and so
    redis-py, can swallow a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_S)


async def _kept(
    task: Supervised, look: Callable[[], Awaitable[None]], pause_s: float | None
) -> None:
    try:
        while True:
            try:
                await look()
            except Exception as error:  # noqa: BLE001  named and counted; the next look tries again
                await asyncio.sleep(task.fail(error))
            else:
                if pause_s is None:
                    return
                task.succeed()
                await asyncio.sleep(pause_s)
    finally:
        task.running = False


def _kept_in_thread(
    task: Supervised, look: Callable[[], None], pause_s: float, ended: threading.Event
) -> None:
    pause = pause_s
    while not ended.wait(pause):
        try:
            look()
        except Exception as error:  # noqa: BLE001  named and counted; the next look tries again
            pause = task.fail(error)
        else:
            task.succeed()
            pause = pause_s


def _described(error: BaseException) -> str:
    """Describe an error: ours, the system's and Redis's by its message, others by type and place,
    since their messages can quote a value.
    """
    if isinstance(error, DriftgaugeError):
        return str(error)
    if isinstance(error, OSError | redis.RedisError):
        return f"{type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
