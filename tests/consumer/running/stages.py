"""A stage that reads one stream and remembers, to see how stages are run."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import redis

from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.leases import Leases
from driftgauge.consumer.running.roster import Pool, Roster
from driftgauge.consumer.running.waiter import FAR, NEAR, Waiter
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.sharing import Unshared
from driftgauge.consumer.stages.stage import (
    CommitClock,
    Connection,
    Stage,
    raw_reads,
    read_streams,
)
from driftgauge.shared.connections.nodes import Nodes

LEASE_MS = 600


class Remembering(Stage):
    """Reads a stream; `work` is called at each turn, and may fail or say that there is more."""

    def __init__(self, client: redis.Redis, prefix: str, work: Callable[[], bool]) -> None:
        self.name = prefix
        self.client = raw_reads(client)
        self.lease_ms = LEASE_MS
        self.stream = f"{prefix}:log"
        self.checkpoint = Checkpoint(
            client, f"{prefix}:count", f"{prefix}:owner", f"{prefix}:epoch", LEASE_MS
        )
        self._clock = CommitClock(LEASE_MS, LEASE_MS, 1)
        self.offset = "0-0"
        self.read: list[bytes] = []
        self.loads = self.turns = 0
        self.every_s = math.inf
        self.work = work

    @property
    def positions(self) -> Mapping[str, str]:
        return {self.stream: self.offset}

    @property
    def due_at(self) -> float:
        return time.monotonic() + self.every_s

    def load(self) -> None:
        self.checkpoint.load()
        self.offset = "0-0"
        self.loads += 1

    def turn(self) -> bool:
        self.turns += 1
        for _, entries in read_streams(self.client, self.positions):
            self.read += [entry_id for entry_id, _ in entries]
            self.offset = entries[-1][0].decode()
        return self.work()

    def finish(self) -> None:
        """Nothing is committed."""


class Crew:
    """A roster with all that runs it, and its stages."""

    def __init__(self, url: str, prefix: str) -> None:
        self.nodes, self.roster, self.stop = Nodes(url), Roster(), threading.Event()
        self.leases = Leases(self.roster, LEASE_MS)
        self._connection, self._sharing = Connection(), Unshared("", LEASE_MS)
        self._prefix = prefix
        self._waiters = [
            Waiter(reach, self.roster, self.nodes, self._connection, self.stop)
            for reach in (NEAR, FAR)
        ]

    def add(self, name: str, pool: Pool, work: Callable[[], bool] = lambda: False) -> Remembering:
        """Add a stage."""
        stage = Remembering(self.nodes.shared(""), f"{self._prefix}:{{{name}}}", work)
        duty = Duty(name, lambda: stage, self._sharing, self.stop, self._connection, self.nodes)
        self.roster.add(duty, pool)
        return stage

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let it work until the context ends."""
        threads = [
            threading.Thread(target=target)
            for target in (self._keep, *(w.run for w in self._waiters))
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            self.roster.end(10)
            for thread in threads:
                thread.join(60)
            self.nodes.close()

    def _keep(self) -> None:
        while not self.stop.wait(self.leases.look_s):
            with suppress(redis.RedisError):
                self.leases.keep()
