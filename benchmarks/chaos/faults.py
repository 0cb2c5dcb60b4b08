"""The seeded injector: at random instants something is killed, stopped, cut off or put back.

Faults overlap: while one is under way the next one comes. What cannot be promised is left out: an
API is not killed within seconds before Redis loses what it has not synced, nor before the APIs have
sent it again (docs/exactly-once.md, what remains).
"""

import heapq
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx
import numpy as np

from benchmarks.chaos.clients import hanging_model, slow_loris
from benchmarks.chaos.plant import ENDED, Plant, Process, wait_for
from driftgauge.shared.connections.redis_client import UNAVAILABLE

UNSYNCED_S = 4.0
"""Seconds that a killed Redis may lose: one of the power loss, and two by which a slow sync may
delay a write.
"""
PAUSE_S = 0.01
PATIENCE_S = 60.0


class Injector:
    """Applies faults to a plant.

    Parameters
    ----------
    plant
        The processes to disturb.
    seed
        Seed of the faults and their times.
    gap_s
        Mean time between two faults.

    Attributes
    ----------
    done
        Faults by kind.
    lost_bytes
        Bytes of the append-only file that power losses cut off.
    """

    def __init__(self, plant: Plant, seed: int, gap_s: float) -> None:
        self.done: Counter[str] = Counter()
        self.lost_bytes = 0
        self._plant = plant
        self._random = np.random.default_rng([seed, 1])
        self._gap_s = gap_s
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._deck: list[str] = []
        self._api_killed = -np.inf
        self._redis_stopped = False
        self._ring_owed = False
        self._published: list[int] | None = None  # by each API, when Redis came back
        self._kinds: dict[str, Callable[[], bool]] = {
            "kill -9 of a worker": self._kill_worker,
            "kill -9 of an API": self._kill_api,
            "kill -9 of Redis": self._kill_redis,
            "power loss of Redis": self._power_loss,
            "Redis restarted, an API killed meanwhile": self._outage,
            "SIGSTOP of a worker past its lease": self._stop_worker,
            "SIGSTOP of Redis": self._stop_redis,
            "CLIENT KILL of all connections": self._client_kill,
            "Redis refuses writes": self._refusal,
            "Redis is demoted and promoted": self._demotion,
            "half-sent requests to an API": self._slow_loris,
            "a model that hangs": self._hanging_model,
        }

    def run(self, seconds: float, meanwhile: Callable[[float], None] = lambda _: None) -> None:
        """Apply faults for a while, then put everything back.

        Parameters
        ----------
        seconds
            Duration; it is extended until every kind of fault has occurred. Events must come until
            this returns.
        meanwhile
            Function that is called again and again with the time that has passed (s).
        """
        started = time.monotonic()
        following = started + self._gap()
        while (now := time.monotonic()) < started + seconds or len(self.done) < len(self._kinds):
            meanwhile(now - started)
            self._work_off(now)
            if now >= following and self._fault():
                following = now + self._gap()
            if now > started + seconds + PATIENCE_S:
                raise TimeoutError(f"Only these faults occurred: {dict(self.done)}.")
            time.sleep(PAUSE_S)
        while self._later:
            self._work_off(np.inf)
        if not wait_for(lambda: not self._ring_is_owed(), PATIENCE_S):
            raise TimeoutError("The APIs have not sent again what Redis may have forgotten.")

    def _gap(self) -> float:
        return float(self._random.uniform(0.3, 1.7)) * self._gap_s

    def _fault(self) -> bool:
        """Apply the next shuffled fault that is possible now; return whether there was one."""
        for _ in range(2):
            for kind in list(self._deck):
                if self._kinds[kind]():
                    self.done[kind] += 1
                    self._deck.remove(kind)
                    return True
            if len(self._deck) > len(self._kinds):
                return False
            self._deck += self._random.permutation(list(self._kinds)).tolist()
        return False

    def _in(self, low: float, high: float, action: Callable[[], None]) -> None:
        at = time.monotonic() + float(self._random.uniform(low, high))
        heapq.heappush(self._later, (at, next(self._order), action))

    def _work_off(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()

    def _some(self, processes: list[Process]) -> Process:
        return processes[int(self._random.integers(len(processes)))]

    # -- workers -----------------------------------------------------------------------------------

    def _kill_worker(self) -> bool:
        worker = self._some(self._plant.workers)
        worker.kill()
        worker.start()
        return True

    def _stop_worker(self) -> bool:
        """Stop a worker until another one has its lease; it wakes in the middle of what it did."""
        lease_s = self._plant.settings.lease_ms / 1000
        stopped = self._some(self._plant.workers).signal(signal.SIGSTOP)

        def go_on() -> None:
            if stopped is not None and stopped.poll() is None:
                stopped.send_signal(signal.SIGCONT)

        self._in(1.2 * lease_s, 2 * lease_s, go_on)
        return True

    # -- APIs --------------------------------------------------------------------------------------

    def _kill_api(self) -> bool:
        if not self._redis_usable or self._ring_is_owed():
            return False
        self._replace_api()
        self._api_killed = time.monotonic()
        return True

    def _replace_api(self) -> None:
        api = self._some(self._plant.apis)
        api.kill()
        api.start()

    def _slow_loris(self) -> bool:
        """Send an API more half requests than it has room for connections."""
        url = self._plant.urls[int(self._random.integers(len(self._plant.urls)))]
        self._in(1.0, 3.0, slow_loris(url, 2 * self._plant.settings.max_connections))
        return True

    def _hanging_model(self) -> bool:
        """Let a model hang in every API for longer than a call may take."""
        if self._plant.gate.exists():
            return False
        hang_s = self._plant.settings.model_timeout_seconds
        self._in(2 * hang_s, 6 * hang_s, hanging_model(self._plant.gate, self._plant.urls))
        return True

    def _ring_is_owed(self) -> bool:
        """Return whether an API has not yet sent again what Redis may have forgotten.

        An API that has nothing to send may not have noticed that Redis was away, so it must have
        published since then.
        """
        if self._ring_owed and self._published is not None:
            with suppress(httpx.HTTPError):
                now = self._plant.published()
                idle = any(
                    after == before for after, before in zip(now, self._published, strict=True)
                )
                self._ring_owed = idle or not self._plant.apis_have_sent_all()
        return self._ring_owed

    # -- Redis -------------------------------------------------------------------------------------

    @property
    def _redis_usable(self) -> bool:
        return self._plant.redis_runs and not self._redis_stopped

    @property
    def _may_forget(self) -> bool:
        """Whether all that Redis may forget is still in the ring of a living API."""
        return self._redis_usable and time.monotonic() - self._api_killed > UNSYNCED_S

    def _kill_redis(self) -> bool:
        if not self._may_forget:
            return False
        self._plant.server.kill()
        self._redis_back_in(0.0, 1.5)
        return True

    def _power_loss(self) -> bool:
        if not self._may_forget:
            return False
        self.lost_bytes += self._plant.power.strike()
        self._redis_back_in(0.0, 1.5)
        return True

    def _outage(self) -> bool:
        """Redis ends in good order, so it forgets nothing; the APIs spool, and one of them dies
        before it is back.
        """
        if not self._redis_usable or self._ring_is_owed():
            return False
        self._plant.server.stop()
        self._in(0.8, 1.2, self._replace_api)
        self._redis_back_in(1.5, 2.5)
        return True

    def _redis_back_in(self, low: float, high: float) -> None:
        self._ring_owed, self._published = True, None

        def back() -> None:
            self._plant.start_redis()
            self._published = self._plant.published()

        self._in(low, high, back)

    def _stop_redis(self) -> bool:
        if not self._redis_usable:
            return False
        self._plant.signal_redis(signal.SIGSTOP)
        self._redis_stopped = True
        self._in(0.2, 1.5, self._redis_goes_on)
        return True

    def _redis_goes_on(self) -> None:
        self._plant.signal_redis(signal.SIGCONT)
        self._redis_stopped = False

    def _refusal(self) -> bool:
        """Let Redis miss a replica. (A full one would get room from the log, by which the run is
        judged.)
        """
        setting = ("CONFIG", "SET", "min-replicas-to-write")
        return self._refuse((*setting, "1"), (*setting, "0"))

    def _demotion(self) -> bool:
        """Let Redis be a replica of a primary that is not there, and so take no writes."""
        return self._refuse(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"))

    def _refuse(self, refuse: tuple[str, ...], accept: tuple[str, ...]) -> bool:
        """Let Redis refuse writes for a while; a restart ends that too."""
        if not self._redis_usable or not self._say(refuse):
            return False

        def end() -> None:
            if self._plant.redis_runs and not self._say(accept):
                self._in(0.1, 0.2, end)

        self._in(0.5, 2.0, end)
        return True

    def _say(self, command: tuple[str, ...]) -> bool:
        """Send Redis a command; return whether it took it."""
        if not self._redis_usable:
            return False
        try:
            with self._plant.client() as client:
                client.execute_command(*command)
        except UNAVAILABLE:
            return False
        return True

    def _client_kill(self) -> bool:
        if not self._redis_usable:
            return False
        with self._plant.client() as client, suppress(*UNAVAILABLE):
            client.client_kill_filter(_type="normal", skipme=True)
        return True


def settle(plant: Plant, patience_s: float = 60.0) -> list[str]:
    """Wait until all that was accepted is in the log, counted and judged, then end APIs and
    workers.

    Returns
    -------
    list of str
        What was not finished in time.
    """
    late = []
    if not wait_for(lambda: plant.apis_have_sent_all() and plant.spool_is_empty(), patience_s):
        late.append("the APIs have not sent all that they accepted")
    late += [
        f"{api.name} ended with {code}" for api in plant.apis if (code := api.end()) not in ENDED
    ]
    if not wait_for(lambda: plant.progress().all_counted, patience_s):
        late.append(f"the workers have not counted and judged the whole log: {plant.progress()}")
    late += [
        f"{worker.name} ended with {code}"
        for worker in plant.workers
        if (code := worker.end()) not in ENDED
    ]
    late += plant.finish(patience_s)
    return late
