"""The roster: which stage is due, and the few threads that take their turns.

A stage is idle, ready or running. It becomes ready when something arrived in one of its streams
(`Waiter`), when a time that it named has come, or when its lease is free, doubted or wanted by
another worker (`Leases`). Ready stages run in the order in which they became so, each for a short
spell, so that a busy one starves no other.
"""

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import Final

import redis

from driftgauge.consumer.running.duty import Duty

SPELL_S: Final = 0.1
"""Time (s) after which a stage gives way to others that are ready."""


class State(Enum):
    """What a stage does at the moment."""

    IDLE = auto()
    READY = auto()
    RUNNING = auto()


@dataclass(frozen=True)
class Pool:
    """Threads for one kind of stages.

    Parameters
    ----------
    daemon
        Whether the worker may end while a stage still runs: a disk may hang.
    """

    name: str
    threads: int
    daemon: bool = False


@dataclass(eq=False)
class _Queue:
    """The stages of one pool that are ready, and the times at which others will be."""

    changed: threading.Condition
    ready: deque[Duty] = field(default_factory=deque)
    due: list[tuple[float, int, Duty]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)


class Roster:
    """All stages of a worker.

    Attributes
    ----------
    active
        Event that is set whenever a stage has become idle.
    """

    def __init__(self) -> None:
        self.active = threading.Event()
        self._lock = threading.Lock()
        self._ending = False
        self._numbers = count()
        self._states: dict[Duty, State] = {}
        self._pools: dict[Duty, Pool] = {}
        self._queues: dict[Pool, _Queue] = {}

    @property
    def duties(self) -> list[Duty]:
        """All stages, in the order in which they were added."""
        with self._lock:
            return list(self._states)

    def idle(self) -> list[Duty]:
        """Return the stages that are owned and wait for something."""
        with self._lock:
            return [
                duty
                for duty, state in self._states.items()
                if state is State.IDLE and duty.owned and not duty.doubt
            ]

    def works(self) -> bool:
        """Tell whether a stage runs, or is ready to."""
        with self._lock:
            return any(state is not State.IDLE for state in self._states.values())

    def add(self, duty: Duty, pool: Pool) -> None:
        """Add a stage; its pool's threads start with the first one."""
        with self._lock:
            self._states[duty], self._pools[duty] = State.IDLE, pool
            if pool in self._queues:
                return
            queue = self._queues[pool] = _Queue(threading.Condition(self._lock))
            for number in range(pool.threads):
                name = f"{pool.name} {number}"
                thread = threading.Thread(
                    target=self._serve, args=(queue,), name=name, daemon=pool.daemon
                )
                queue.threads.append(thread)
                thread.start()

    def wake(self, duty: Duty) -> None:
        """Make a stage ready, unless it is or runs."""
        with self._lock:
            self._wake(duty)

    def make_room(self, client: redis.Redis) -> None:
        """Let the stages of a server that is nearly full make room in it."""
        with self._lock:
            for duty in self._states:
                if duty.stage is not None and duty.stage.client is client:
                    duty.cramped = True
                    if duty.owned:
                        self._wake(duty)

    def end(self, patience_s: float) -> None:
        """Let every stage have a last turn, in which it ends, and wait for the threads; for those
        of daemon pools not longer than `patience_s` each.
        """
        with self._lock:
            self._ending = True
            for duty in self._states:
                if duty.owned:
                    self._wake(duty)
            for queue in self._queues.values():
                queue.changed.notify_all()
        for queue in self._queues.values():
            for thread in queue.threads:
                thread.join(patience_s if thread.daemon else None)

    def _serve(self, queue: _Queue) -> None:
        """Work for the stages of a pool, until the end."""
        while (duty := self._next(queue)) is not None:
            duty.spell(self._spell(queue))
            self._done(duty, queue)

    def _spell(self, queue: _Queue) -> Callable[[], bool]:
        """Return a function that tells whether a spell that begins now is over."""
        begun = time.monotonic()

        def over() -> bool:
            now = time.monotonic()
            waiting = queue.ready or (queue.due and queue.due[0][0] <= now)
            return bool(waiting) and now - begun >= SPELL_S

        return over

    def _next(self, queue: _Queue) -> Duty | None:
        """Wait for a stage that is ready; None at the end."""
        with self._lock:
            while True:
                now = time.monotonic()
                while queue.due and queue.due[0][0] <= now:
                    at, _, duty = heapq.heappop(queue.due)
                    if duty.due_at == at:
                        self._wake(duty)
                if queue.ready:
                    duty = queue.ready.popleft()
                    self._states[duty] = State.RUNNING
                    if queue.ready or queue.due:  # another thread looks after them meanwhile
                        queue.changed.notify()
                    return duty
                if self._ending:
                    return None
                queue.changed.wait(queue.due[0][0] - now if queue.due else None)

    def _done(self, duty: Duty, queue: _Queue) -> None:
        """Make a stage idle that has run, or ready if it has to run at once."""
        with self._lock:
            self._states[duty] = State.IDLE
            if duty.owned and (
                duty.doubt or duty.cramped or self._ending or duty.due_at <= time.monotonic()
            ):
                self._wake(duty)
            elif duty.due_at < math.inf:
                heapq.heappush(queue.due, (duty.due_at, next(self._numbers), duty))
                if queue.due[0][2] is duty:
                    queue.changed.notify()
        self.active.set()

    def _wake(self, duty: Duty) -> None:
        if self._states[duty] is State.IDLE:
            queue = self._queues[self._pools[duty]]
            self._states[duty] = State.READY
            queue.ready.append(duty)
            queue.changed.notify()
