"""How workers share the stages: each aims for an even part, takes free ones, and gives up what it
has too much of.

Every worker counts up a number of its own in one hash. Who has not seen a neighbour's number change
for most of a lease, by its own monotonic clock, takes it for dead: no clock of a server is
believed. Leases alone decide who owns a stage; a wrong picture of the neighbours costs balance,
never an event.
"""

import secrets
import threading
import time
from collections.abc import Mapping

import redis

DEAD_AFTER_LEASES = 0.75
SETTLE_LEASES = 1.0
"""How long the neighbours must stay the same before surplus stages are given up, so that nothing
thrashes.
"""
PATIENCE_LEASES = 3.0
"""A stage that was free for so long is taken by whoever sees it: whoever should have taken it,
cannot.
"""
BEATS_PER_LEASE = 5


class Neighbours:
    """Who is alive, by what was seen to change.

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
        """Return those whose number changed lately, or was never seen before, in one order for all
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
    """One worker's part of the stages. Its stages ask it from their threads.

    Parameters
    ----------
    key
        The hash of the workers' numbers.
    lease_ms
        Sets the pace of everything here.
    """

    def __init__(self, key: str, lease_ms: int) -> None:
        self.me = secrets.token_hex(8).encode()
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
        """Show that we are alive, look at the neighbours, and find our part of so many stages."""
        self._beats += 1
        client.hset(self._key, self.me.decode(), str(self._beats))
        beats: dict[bytes, bytes] = client.hgetall(self._key)  # type: ignore[assignment]  # bytes, not str
        alive = self._neighbours.alive(beats, time.monotonic())
        gone = [name.decode() for name in beats if name not in alive and name != self.me]
        if gone:
            client.hdel(self._key, *gone)
        self.look(sorted({*alive, self.me}), stages, time.monotonic())

    def leave(self, client: redis.Redis) -> None:
        """Show that we go, so that the others need not wait to find out."""
        client.hdel(self._key, self.me.decode())

    def look(self, alive: list[bytes], stages: int, now: float) -> None:
        """Take note of the neighbours; name what is to be given up when they stayed the same for
        long enough.
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
        """Return whether to try for a stage that has been free for a time; if so, it counts as ours
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
        """Take note that a stage is not ours."""
        with self._lock:
            self._owned.discard(stage)
            self._extra.discard(stage)
            self._leaving.discard(stage)


class Unshared(Sharing):
    """Takes whatever is free: for stages with so little work that anybody may do it."""

    def may_take(self, stage: str, free_s: float) -> bool:  # noqa: ARG002  the signature of what it stands for
        """Take it."""
        return True

    def leaves(self, stage: str) -> bool:  # noqa: ARG002
        """Keep it."""
        return False
