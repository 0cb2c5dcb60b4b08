"""A stage: take the lease, load the checkpoint, then read → advance → commit until stopped. After
any error the state in memory is discarded and the checkpoint loaded again, so that entries that
were read and not committed are read again.
"""

import logging
import math
import random
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import Any

import msgspec
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.stages.attempts import Attempts
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.reader import READ_COUNT, block_bounds
from driftgauge.consumer.stages.sharing import Sharing
from driftgauge.shared.connections.nodes import MOVED
from driftgauge.shared.connections.redis_client import UNAVAILABLE, server_ms
from driftgauge.shared.connections.refusals import ADVICE, refusal
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.errors import BadData, DriftgaugeError, OwnershipLost

log = logging.getLogger("driftgauge.worker")

BACKOFF_S = (0.1, 5.0)
"""First and longest pause (s) while Redis does not answer."""
SETTLED_S = 1.0
"""Time (s) without an accepted write, after which Redis is said to refuse writes."""
POLLS_PER_LEASE = 10
PACE_START = 256
"""Initial batch size in entries; each reload divides it by 8, and so does the first load."""


class Connection:
    """Whether Redis answers and takes writes, shared by the stages of a worker, so that the worker
    logs each change once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost_at: float | None = None
        self._refusal, self._refused_at, self._wrote_at = "", 0.0, -math.inf

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
            if self._lost_at is not None and asked_at > self._lost_at:
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
    """A stage of one partition or model, run in a thread of its own."""

    name: str
    client: redis.Redis
    checkpoint: Checkpoint
    lease_ms: int
    may_move: bool = False
    """Whether the slot of its keys may move to another server (on a cluster)."""
    retry_s: tuple[float, float] = (1.0, 1.0)
    """First and longest pause after a fault that is not Redis's."""
    _free_since: float | None = None
    _told = ""

    @cached_property
    def attempts(self) -> Attempts[Any]:
        """What was tried and failed, by the ids of the entries."""
        return Attempts(self.name, self.id_of)

    def id_of(self, entry: Any) -> str:
        """Return the id of an entry that the stage works on: the first part of a raw one."""
        found: bytes = entry[0]
        return found.decode()

    @abstractmethod
    def load(self) -> None:
        """Load the state from the checkpoint."""

    @abstractmethod
    def turn(self) -> None:
        """Read once, advance, and commit if one is due."""

    @abstractmethod
    def finish(self) -> None:
        """Commit what is not committed yet."""

    def run(self, stop: threading.Event, connection: Connection, sharing: Sharing) -> None:
        """Run until stopped. On a cluster, return when the slot may have moved, since the stage
        must be built again then.
        """
        away, self._faults = Backoff(*BACKOFF_S), Backoff(*self.retry_s)
        while not stop.is_set():
            try:
                self._attempt(stop, connection, sharing)
                away.reset()
            except OwnershipLost as error:
                log.info("%s: %s Loading again.", self.name, error)
                stop.wait(BACKOFF_S[0])
            except UNAVAILABLE as error:
                connection.lost(error)
                # the other ones are dead too, and must not look like a second loss
                self.client.connection_pool.disconnect()
                stop.wait(away.next())
                if self.may_move:
                    return
            except MOVED as error:
                log.info("%s: the slot is elsewhere now (%s).", self.name, error)
                stop.wait(BACKOFF_S[0])
                return
            except Exception as error:  # noqa: BLE001  whatever it is, nothing was committed
                if refusal(error):
                    self._refused(error, connection)
                    stop.wait(away.next())
                    if self.may_move:
                        return
                else:
                    self._failed(error)
                    stop.wait(self._faults.next())

    def _failed(self, error: Exception) -> None:
        """Log what stops the stage; an error of Driftgauge only once, since the attempt is
        repeated.
        """
        if not isinstance(error, DriftgaugeError):
            log.error(
                "%s failed; nothing was committed, trying again from the last commit",
                self.name,
                exc_info=error,
            )
        elif str(error) != self._told:
            log.error("%s stopped: %s", self.name, error)
            self._told = str(error)

    def _refused(self, error: Exception, connection: Connection) -> None:
        """Log once that Redis refuses to write, and free memory if this stage can. Connections are
        opened again, since the primary may be another server by now.
        """
        connection.refused(refusal(error), error)
        self.client.connection_pool.disconnect()
        try:
            self.make_room()
        except redis.RedisError as failed:  # it is tried again at the next attempt
            log.debug("%s: no room could be made (%s)", self.name, failed)

    def make_room(self) -> None:  # noqa: B027  most stages keep nothing that could go
        """Delete data of the stage that is only kept while there is room, whoever owns the
        stage.
        """

    def _attempt(self, stop: threading.Event, connection: Connection, sharing: Sharing) -> None:
        """Take the lease if it is free and within this worker's part, and run; else wait a
        little.
        """
        now = time.monotonic()
        free = self.checkpoint.is_free()
        connection.back(now)
        self._free_since = (self._free_since or now) if free else None
        try:
            if (
                self._free_since
                and sharing.may_take(self.name, now - self._free_since)
                and self.checkpoint.acquire()
            ):
                self._free_since = None
                self._own(stop, sharing)
                return
        finally:
            sharing.dropped(self.name)
        stop.wait(self.lease_ms / 1000 / POLLS_PER_LEASE * random.uniform(0.8, 1.2))

    def _own(self, stop: threading.Event, sharing: Sharing) -> None:
        """Run as the owner; a fault is written beside the checkpoint before it is left."""
        try:
            self.load()
            self.attempts.adopt(self.checkpoint.fault)
            log.info("%s: owned", self.name)
            while not stop.is_set() and not sharing.leaves(self.name):
                self.turn()
                self._told = ""
                self._faults.reset()
                self._note_recovery()
            self.finish()
        except (OwnershipLost, *UNAVAILABLE, *MOVED):
            raise
        except Exception as error:
            if not refusal(error):  # what Redis refuses is no fault of an entry
                self._note_fault(error)
            raise
        finally:
            self.checkpoint.release()

    def _note_fault(self, error: Exception) -> None:
        """Write down what failed, for the watchdog; without that the stage tries again all the
        same.
        """
        try:
            now_ms = server_ms(self.client)
        except redis.RedisError:
            now_ms = 0
        fault = self.attempts.failed(error, now_ms)
        with suppress(redis.RedisError, DriftgaugeError):
            self.checkpoint.note(FAULT, msgspec.json.encode(fault))

    def _note_recovery(self) -> None:
        recovered = self.attempts.recovered()
        if recovered is not None:
            self.checkpoint.later[FAULT] = msgspec.json.encode(recovered)

    def close(self) -> None:
        """Give the lease back and close the connections."""
        self.checkpoint.release()
        self.client.close()

    def check_types(self, wanted: str, *keys: str, client: redis.Redis | None = None) -> None:
        """Refuse keys of another type before a transaction, in which their error would not undo the
        other commands.
        """
        for key in keys:
            kind: bytes = (client or self.client).type(key)  # type: ignore[assignment]  # bytes, not str
            if kind.decode() not in {wanted, "none"}:
                raise BadData(
                    f"{key} is a {kind.decode()} in Redis, not a {wanted}. Move it away, or use "
                    f"another key prefix."
                )


def read_streams(
    client: redis.Redis, positions: dict[str, str], block_ms: int | None, count: int = READ_COUNT
) -> list[tuple[bytes, list[Entry]]]:
    """Read the next raw entries of some streams after the given ids, at most `count` of each;
    return (stream, entries).

    With `block_ms` None it does not wait.
    """
    wait = () if block_ms is None else ("BLOCK", block_bounds(block_ms))
    reply: Any = client.execute_command(
        "XREAD", "COUNT", count, *wait, "STREAMS", *positions, *positions.values()
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

    def __init__(self, lease_ms: int) -> None:
        self._seconds = lease_ms / 8000
        self.entries = PACE_START

    def slow_down(self) -> None:
        """Reduce the batch size after a reload."""
        self.entries = max(1, self.entries // 8)

    def took(self, entries: int, seconds: float) -> None:
        """Adapt the batch size to the duration of a step."""
        if seconds > self._seconds:
            self.entries = max(1, self.entries // 2)
        elif seconds < self._seconds / 4 and entries >= self.entries:
            self.entries = min(2 * self.entries, READ_COUNT)


class CommitClock:
    """Decides when a commit is due: after a time or a number of events, whichever comes first."""

    def __init__(self, commit_ms: int, lease_ms: int, events: int) -> None:
        self._seconds = min(commit_ms, lease_ms / 3) / 1000
        self._renew_seconds = lease_ms / 3000
        self._events = events
        self._last = time.monotonic()
        self.pending = 0

    def reset(self) -> None:
        self._last = time.monotonic()
        self.pending = 0

    @property
    def left_ms(self) -> int:
        """Return the time (ms) until the next commit or renewal."""
        return int((self._last + self._seconds - time.monotonic()) * 1000)

    @property
    def due(self) -> bool:
        return self.pending > 0 and (self.pending >= self._events or self.left_ms <= 0)

    @property
    def renewal_due(self) -> bool:
        return time.monotonic() - self._last >= self._renew_seconds
