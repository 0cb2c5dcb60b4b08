"""What faults act on: the plant, seeded randomness, and which faults cannot come now.

What cannot be promised is left out: an API is not killed within seconds before Redis loses what it
has not synced, nor before the APIs have sent it again (docs/exactly-once.md, what remains).
"""

import os
import time
from contextlib import suppress

import httpx
import numpy as np
import redis

from benchmarks.chaos.plant.plant import Plant
from benchmarks.chaos.plant.process import Process, wait_for
from benchmarks.chaos.plant.progress import set_back
from benchmarks.chaos.record import Record
from benchmarks.chaos.stores.alone import Alone
from benchmarks.chaos.stores.cluster import Cluster
from benchmarks.chaos.stores.node import Node
from benchmarks.chaos.stores.reading import Reader
from driftgauge.shared.stamps import SETTLE_S

UNSYNCED_S = 4.0
"""Seconds that a killed Redis may lose: one of the power loss, and two by which a slow sync may
delay a write.
"""
SETTLED_S = 2 * SETTLE_S
"""Seconds for which something must have stood in Redis, so that it is missed."""
REFUSED_TO_START = 78
"""Exit code of a worker whose Redis may evict keys."""
NOTICED_S = 5.0
"""Seconds within which an API has asked the nodes of a cluster who has which slots."""
STARTING_S = 15.0
"""Seconds that a worker may take from its look at Redis to its end."""
TELL_S = 60.0
"""Seconds within which what is lost must be told."""


class Scene:
    """The plant, and what was done to it.

    Parameters
    ----------
    plant
        The processes to disturb.
    record
        What stood in the logs; faults that make Redis forget write it down.
    seed
        Seed of the faults and their times.

    Attributes
    ----------
    lost_bytes
        Bytes of the append-only file that power losses cut off.
    broken
        Promises that were not kept while a fault lasted.
    redis_taken
        Whether a fault of Redis is under way; there is one at a time.
    went_back
        Models of which judged panes went back by a failover, and the times (s, monotonic) at which
        they did.
    evicts_until
        Time (s, monotonic) until which Redis may evict keys, or a worker may have seen that.
    """

    def __init__(self, plant: Plant, record: Record, seed: int) -> None:
        self.plant = plant
        self.record = record
        self.random = np.random.default_rng([seed, 1])
        self.lost_bytes = 0
        self.broken: list[str] = []
        self.redis_taken = False
        self.went_back: list[tuple[str, float]] = []
        self.evicts_until = -np.inf
        self._ended: set[tuple[str, int]] = set()
        self._redis_stopped = False
        self._api_killed = -np.inf
        self._began = time.monotonic()
        self._forgot = -np.inf
        self._ring_owed = False
        self._back = -np.inf
        self._published: list[int] | None = None  # by each API, when Redis came back

    def between(self, low: float, high: float) -> float:
        """Draw a duration (s)."""
        return float(self.random.uniform(low, high))

    def one_of(self, processes: list[Process]) -> Process:
        """Draw a process."""
        return processes[int(self.random.integers(len(processes)))]

    @property
    def alone(self) -> Alone:
        """The Redis, where it is one."""
        assert isinstance(self.plant.store, Alone)
        return self.plant.store

    @property
    def cluster(self) -> Cluster:
        """The Redis, where it is a cluster."""
        assert isinstance(self.plant.store, Cluster)
        return self.plant.store

    def judging(self) -> list[int]:
        """Return the ids of the processes that judge for the workers that run."""
        return [child for worker in self.plant.workers for child in worker.children()]

    # -- which faults can come now -----------------------------------------------------------------

    def redis_answers(self) -> bool:
        """Redis runs."""
        return self.plant.store.runs and not self._redis_stopped

    def redis_is_well(self) -> bool:
        """Redis runs, and no other fault of it is under way."""
        return self.redis_answers() and not self.redis_taken

    def redis_may_forget(self) -> bool:
        """All that Redis may forget is still in the ring of a living API."""
        return self.redis_is_well() and time.monotonic() - self._api_killed > UNSYNCED_S

    def api_may_die(self) -> bool:
        """No API has to send again what Redis may have forgotten."""
        return self.redis_answers() and not self.ring_is_owed()

    def redis_may_end(self) -> bool:
        """Redis is well, and so are the APIs."""
        return self.redis_is_well() and not self.ring_is_owed()

    def redis_may_lose(self) -> bool:
        """What was lost before has been told, so that it is clear what is told of this time; and
        what there is has been seen for long enough to be missed.
        """
        now = time.monotonic()
        known = now - self._began > SETTLED_S and now - self._forgot > TELL_S
        return known and self.redis_may_forget()

    def look(self) -> None:
        """Keep house: copy the folder of a Redis now and then, and note processes that ended by
        themselves.
        """
        if isinstance(self.plant.store, Alone) and self.redis_is_well():
            self.plant.store.copies.keep(self.plant.store.server.folder)
        for process in self.plant.processes:
            code = process.exit_code
            if code == REFUSED_TO_START and time.monotonic() < self.evicts_until:
                process.start()  # as its supervisor would
            elif code is not None and (process.name, process.starts) not in self._ended:
                self._ended.add((process.name, process.starts))
                self.broken.append(f"{process.name} ended by itself (exit code {code})")

    # -- what was done -----------------------------------------------------------------------------

    def replace_api(self) -> None:
        """Kill an API and start it again, as its supervisor would."""
        api = self.one_of(self.plant.apis)
        api.kill()
        api.start()
        self._api_killed = time.monotonic()

    def stop_redis(self, pid: int, number: int) -> None:
        """Stop a Redis by SIGSTOP, or let it go on by SIGCONT."""
        os.kill(pid, number)
        self._redis_stopped = not self._redis_stopped

    def forgets(self) -> None:
        """Note that Redis forgets from now on what only the rings have."""
        self._ring_owed, self._published = True, None

    def came_back(self) -> None:
        """Note that Redis is back, having forgotten or not."""
        with self.plant.client() as client:
            self.record.crashed(client)
        self._published = self.plant.published()
        self._back = time.monotonic()

    def took_over(self, replica: Node) -> None:
        """Note the models of which panes were judged that the new master of a partition lacks."""
        now = time.monotonic()
        found: set[str] = set()
        with Reader(replica.url) as client:
            if not wait_for(lambda: self._look_back(client, found), TELL_S):
                raise TimeoutError("The new master does not answer.")
        self.record.judged_before |= found
        self.went_back += [(model, now) for model in sorted(found)]

    def _look_back(self, client: redis.Redis, found: set[str]) -> bool:
        found |= set_back(client, self.plant.versions)
        return True

    def lost(self) -> None:
        """Note that something is lost for good, and has to be told."""
        self._forgot = time.monotonic()

    def _is_noticed(self) -> bool:
        """Return whether every API has heard which masters a cluster has since Redis came back."""
        return isinstance(self.plant.store, Alone) or time.monotonic() - self._back > NOTICED_S

    def ring_is_owed(self) -> bool:
        """Return whether an API has not yet sent again what Redis may have forgotten.

        An API that has nothing to send may not have noticed that Redis was away, so it must have
        published since then.
        """
        if self._ring_owed and self._published is not None and self._is_noticed():
            with suppress(httpx.HTTPError):
                now = self.plant.published()
                idle = any(
                    after == before for after, before in zip(now, self._published, strict=True)
                )
                self._ring_owed = idle or not self.plant.apis_have_sent_all()
        return self._ring_owed
