"""A stage: load the checkpoint, then read → advance → commit, turn by turn, whenever something
waits or is due. After any error the state in memory is discarded and the checkpoint loaded again,
so that entries that were read and not committed are read again.

A stage has neither a thread nor a connection of its own: `consumer/running` says when it is its
turn, under which lease.
"""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.stages.attempts import Attempts
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.reader import READ_COUNT
from driftgauge.shared.connections.refusals import ADVICE
from driftgauge.shared.errors import BadData

log = logging.getLogger("driftgauge.worker")

SETTLED_S = 1.0
"""Time (s) without an accepted write, after which Redis is said to refuse writes."""
OFTEN, MOST_MOVED = 10, 1000
"""Same answers that a key is elsewhere, of which people are told; and most that are counted."""
PACE_START = 256
"""Initial batch size in entries; each reload divides it by 8, and so does the first load."""


class Connection:
    """Whether Redis answers and takes writes, shared by the stages of a worker, so that the worker
    logs each change once.

    Parameters
    ----------
    quiet_s
        Time (s) without a loss after which it answers again: of several servers one may be away.
    """

    def __init__(self, quiet_s: float = 0.0) -> None:
        self._quiet_s = quiet_s
        self._lock = threading.Lock()
        self._lost_at: float | None = None
        self._refusal, self._refused_at, self._wrote_at = "", 0.0, -math.inf
        self._moved = Counter[str]()

    @property
    def fault(self) -> str:
        """Why Redis cannot be worked with at the moment, in a sentence; empty if it can."""
        with self._lock:
            if self._lost_at is not None:
                return "Redis does not answer."
            return f"Redis refuses to write ({self._refusal})." if self._refusal else ""

    def lost(self, error: Exception) -> None:
        with self._lock:
            if self._lost_at is None:
                log.warning(
                    "Redis does not answer (%s); waiting for it. What it was sent is sent again if "
                    "it comes back without it",
                    error,
                )
            self._lost_at = time.monotonic()

    def back(self, asked_at: float) -> None:
        """Note an answer of Redis, unless the request was sent before the connection was lost."""
        with self._lock:
            if self._lost_at is not None and asked_at > self._lost_at + self._quiet_s:
                log.info("Redis answers again")
                self._lost_at = None

    def refused(self, code: str, error: Exception) -> None:
        """Note that Redis answers, but refuses to write."""
        with self._lock:
            if time.monotonic() - self._wrote_at < SETTLED_S:
                return  # another write was accepted; this one is tried again
            if self._refusal != code:
                log.error(
                    "Redis refuses to write (%s): %s. Waiting until it does not; the publishers "
                    "keep their events",
                    error,
                    ADVICE[code],
                )
            self._refusal, self._refused_at = code, time.monotonic()

    def moved(self, error: Exception) -> None:
        """Note that a key is not where the nodes of the cluster said. They are asked again, so the
        same answer again and again is told once.
        """
        with self._lock:
            if len(self._moved) > MOST_MOVED:
                self._moved.clear()
            self._moved[str(error)] += 1
            if self._moved[str(error)] == OFTEN:
                log.warning(
                    "A key is still not where the nodes of the cluster say (%s); trying again",
                    error,
                )

    def wrote(self, asked_at: float) -> None:
        """Note that Redis accepted a write, unless it was asked before the refusal."""
        with self._lock:
            self._wrote_at = asked_at
            if self._refusal and asked_at > self._refused_at:
                log.info("Redis takes writes again")
                self._refusal = ""


class Backoff:
    """Pauses between attempts: each twice as long as the one before, up to a longest one.

    Examples
    --------
    >>> pauses = Backoff(1.0, 3.0)
    >>> [pauses.next(), pauses.next(), pauses.next()]
    [1.0, 2.0, 3.0]
    >>> pauses.reset()
    >>> pauses.next()
    1.0
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next(self) -> float:
        """Return the length of the next pause, in seconds."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """Start with the first pause again, after a successful attempt."""
        self._next_s = self._first_s


class Stage(ABC):
    """A stage of one partition or model."""

    name: str
    client: redis.Redis
    checkpoint: Checkpoint
    lease_ms: int
    _clock: "CommitClock"
    retry_s: ClassVar[tuple[float, float]] = (1.0, 1.0)
    """First and longest pause after a fault that is not Redis's."""

    @cached_property
    def attempts(self) -> Attempts[Any]:
        """What was tried and failed, by the ids of the entries."""
        return Attempts(self.name, self.id_of)

    def id_of(self, entry: Any) -> str:
        """Return the id of an entry that the stage works on: the first part of a raw one."""
        found: bytes = entry[0]
        return found.decode()

    @property
    @abstractmethod
    def positions(self) -> Mapping[str, str]:
        """The streams that the stage reads, each with the id behind which it reads on."""

    @property
    def due_at(self) -> float:
        """When the stage has something to do although nothing came, by the monotonic clock (s);
        infinity if never.
        """
        return math.inf

    @property
    def reached_ms(self) -> int | None:
        """Entry time (ms) of the last entry that was read; None if its entries tell no time."""
        return None

    @abstractmethod
    def load(self) -> None:
        """Load the state from the checkpoint."""

    @abstractmethod
    def turn(self) -> bool:
        """Read what is there, advance, and commit if that is due; return whether there may be
        more.
        """

    @abstractmethod
    def finish(self) -> None:
        """Commit what is not committed yet."""

    def hold(self) -> None:
        """Renew the lease if that is due; called during long work."""
        if self._clock.renewal_due:
            self.checkpoint.renew()
            self.renewed()

    def renewed(self) -> None:
        """Take note that the lease was renewed meanwhile."""
        self._clock.renewed()

    def rest(self) -> None:  # noqa: B027  most stages hold nothing
        """Give back what the stage holds from turn to turn; it may not get the next one soon."""

    def make_room(self) -> None:  # noqa: B027  most stages keep nothing that could go
        """Delete data of the stage that is only kept while there is room, whoever owns the
        stage.
        """

    def close(self) -> None:
        """Give the lease back, and release what the stage holds. Its client is others' too."""
        self.rest()
        self.checkpoint.release()

    def check_types(self, wanted: str, *keys: str, client: redis.Redis | None = None) -> None:
        """Refuse keys of another type before a transaction, in which their error would not undo the
        other commands.
        """
        pipe = (client or self.client).pipeline(transaction=False)
        for key in keys:
            pipe.type(key)
        for key, kind in zip(keys, pipe.execute(), strict=True):
            if kind.decode() not in {wanted, "none"}:
                raise BadData(
                    f"{key} is a {kind.decode()} in Redis, not a {wanted}. Move it away, or use "
                    f"another key prefix."
                )


def read_streams(
    client: redis.Redis, positions: Mapping[str, str], count: int = READ_COUNT
) -> list[tuple[bytes, list[Entry]]]:
    """Read the next raw entries of some streams after the given ids, at most `count` of each;
    return (stream, entries). It does not wait.
    """
    reply: Any = client.execute_command(
        "XREAD", "COUNT", count, "STREAMS", *positions, *positions.values()
    )
    return reply or []


def raw_reads(client: redis.Redis) -> redis.Redis:
    """Make the client return raw replies to XREAD: redis-py would build a dict for every entry."""
    client.set_response_callback("XREAD", lambda reply, **_: reply)
    return client


class Pace:
    """The batch size of a stage: as many entries as it can process well within its lease.

    A step is committed as a whole, so one that takes longer than the lease would be lost again and
    again.
    """

    def __init__(self, lease_ms: int, most: int = READ_COUNT) -> None:
        self._seconds = lease_ms / 8000
        self._most = most
        self.entries = PACE_START

    def slow_down(self) -> None:
        """Reduce the batch size after a reload."""
        self.entries = max(1, self.entries // 8)

    def took(self, entries: int, seconds: float) -> None:
        """Adapt the batch size to the duration of a step."""
        if seconds > self._seconds:
            self.entries = max(1, self.entries // 2)
        elif seconds < self._seconds / 4 and entries >= self.entries:
            self.entries = min(2 * self.entries, self._most)


class CommitClock:
    """Decides when a commit is due: after a time or a number of events, whichever comes first."""

    def __init__(self, commit_ms: int, lease_ms: int, events: int) -> None:
        self._seconds = min(commit_ms, lease_ms / 3) / 1000
        self._renew_seconds = lease_ms / 3000
        self._events = events
        self._committed = self._renewed = time.monotonic()
        self.pending = 0

    def reset(self) -> None:
        """Begin anew after a commit, which renews the lease too."""
        self._committed = self._renewed = time.monotonic()
        self.pending = 0

    def renewed(self) -> None:
        """Take note that the lease was renewed without a commit."""
        self._renewed = time.monotonic()

    @property
    def due_at(self) -> float:
        """Time of the next commit, by the monotonic clock (s); infinity if nothing is pending."""
        return self._committed + self._seconds if self.pending else math.inf

    @property
    def due(self) -> bool:
        return self.pending >= self._events or time.monotonic() >= self.due_at

    @property
    def renewal_due(self) -> bool:
        return time.monotonic() - self._renewed >= self._renew_seconds
