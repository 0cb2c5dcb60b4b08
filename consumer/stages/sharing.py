"""Sharing of the stages among workers: each aims for an even part, takes free stages, and gives up
surplus ones.

Every worker increments a number of its own (its heartbeat) in one hash. A worker whose number did
not change for most of a lease, by the observer's monotonic clock, counts as dead. Only leases
decide who owns a stage, so a wrong view of the other workers costs balance but never an event.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import redis

DEAD_AFTER_LEASES = 0.75
SETTLE_LEASES = 1.0
"""Time, in leases, for which the set of workers must be stable before surplus stages are
given up.
"""
PATIENCE_LEASES = 3.0
"""Time, in leases, after which any worker takes a free stage, because those that should have taken
it cannot.
"""
BEATS_PER_LEASE = 5


class Neighbours:
    """The workers that are alive, by the changes of their heartbeats.

    Examples
    --------
    >>> seen = Neighbours(dead_after_s=2.0)
    >>> seen.alive({b"a": b"1", b"b": b"1"}, now=0.0)
    [b'a', b'b']
    >>> seen.alive({b"a": b"1", b"b": b"2"}, now=3.0)
    [b'b']
    """

    def __init__(self, dead_after_s: float) -> None:
        self._dead_after_s = dead_after_s
        self._seen: dict[bytes, tuple[bytes, float]] = {}

    def alive(self, beats: Mapping[bytes, bytes], now: float) -> list[bytes]:
        """Return the workers whose number changed lately or is new, in the same order for all
        observers.
        """
        for name, beat in beats.items():
            if name not in self._seen or self._seen[name][0] != beat:
                self._seen[name] = beat, now
        self._seen = {name: seen for name, seen in self._seen.items() if name in beats}
        return sorted(
            name for name, (_, at) in self._seen.items() if now - at <= self._dead_after_s
        )


def part_of(place: int, workers: int, stages: int) -> int:
    """Return how many stages a worker should have: the parts of all differ by one at most and add
    up.

    Examples
    --------
    >>> [part_of(place, 3, 7) for place in range(3)]
    [3, 2, 2]
    """
    return stages // workers + (place < stages % workers)


class Sharing:
    """One worker's part of the stages. Its stages call it from their threads.

    Parameters
    ----------
    key
        Key of the hash of heartbeats.
    lease_ms
        Length of a lease (ms), from which all times here follow.
    me
        Name of the worker; a new one if None. The two processes of a worker have the same, and
        each has its part of the stages that it works on.
    """

    def __init__(self, key: str, lease_ms: int, me: str | None = None) -> None:
        self.me = (me or secrets.token_hex(8)).encode()
        self.beat_s = lease_ms / 1000 / BEATS_PER_LEASE
        self._key = key
        self._lease_s = lease_ms / 1000
        self._neighbours = Neighbours(DEAD_AFTER_LEASES * self._lease_s)
        self._lock = threading.Lock()
        self._beats = 0
        self._picture: tuple[list[bytes], int] = ([], 0)
        self._since = 0.0
        self._part = 0
        self._owned: set[str] = set()
        self._extra: set[str] = set()
        self._leaving: set[str] = set()

    def beat(self, client: redis.Redis, stages: int) -> None:
        """Write the heartbeat, read those of the others, and compute this worker's part of the
        stages.
        """
        self._beats += 1
        client.hset(self._key, self.me.decode(), str(self._beats))
        beats: dict[bytes, bytes] = client.hgetall(self._key)  # type: ignore[assignment]  # bytes, not str
        alive = self._neighbours.alive(beats, time.monotonic())
        gone: list[Any] = [name for name in beats if name not in alive and name != self.me]
        if gone:
            client.hdel(self._key, *gone)
        self.observe(sorted({*alive, self.me}), stages, time.monotonic())

    def leave(self, client: redis.Redis) -> None:
        """Remove the heartbeat, so that the others notice at once that this worker ends."""
        client.hdel(self._key, self.me.decode())

    def observe(self, alive: list[bytes], stages: int, now: float) -> None:
        """Update the set of workers; choose the stages to give up if the set was stable for long
        enough.
        """
        with self._lock:
            if self._picture != (alive, stages):
                self._picture, self._since = (alive, stages), now
                self._extra.clear()
            self._part = part_of(alive.index(self.me), len(alive), stages)
            settled = now - self._since >= SETTLE_LEASES * self._lease_s
            surplus = sorted(self._owned - self._extra)[self._part :]
            self._leaving = set(surplus) if settled else set()

    def may_take(self, stage: str, free_s: float) -> bool:
        """Return whether to take a stage that has been free for `free_s`; if so, it counts as ours
        until `dropped`.
        """
        with self._lock:
            if len(self._owned) >= self._part:
                if free_s < PATIENCE_LEASES * self._lease_s:
                    return False
                self._extra.add(stage)
            self._owned.add(stage)
            return True

    def leaves(self, stage: str) -> bool:
        """Return whether a stage is to be given up."""
        return stage in self._leaving

    def dropped(self, stage: str) -> None:
        """Note that a stage is not ours any more."""
        with self._lock:
            self._owned.discard(stage)
            self._extra.discard(stage)
            self._leaving.discard(stage)


class Unshared(Sharing):
    """Takes every free stage: for stages with so little work that they need no sharing."""

    def may_take(self, stage: str, free_s: float) -> bool:  # noqa: ARG002  the signature of what it stands for
        """Return True."""
        return True

    def leaves(self, stage: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False


class Conditional(Sharing):
    """Takes its part of stages as another sharing says, while they are wanted here at all.

    Parameters
    ----------
    sharing
        The worker's sharing.
    wanted
        Returns whether the stages are wanted here now.
    """

    def __init__(self, sharing: Sharing, wanted: Callable[[], bool]) -> None:
        self._sharing, self._wanted = sharing, wanted

    def may_take(self, stage: str, free_s: float) -> bool:
        """Return whether to take a free stage, as the worker's sharing says."""
        return self._wanted() and self._sharing.may_take(stage, free_s)

    def leaves(self, stage: str) -> bool:
        """Return whether a stage is to be given up."""
        return not self._wanted() or self._sharing.leaves(stage)

    def dropped(self, stage: str) -> None:
        """Note that a stage is not ours any more."""
        self._sharing.dropped(stage)
