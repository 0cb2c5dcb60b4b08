"""One stage of a worker: whether it is owned, when it is due, and what becomes of its errors.

A stage that is not owned does nothing until `Leases` finds its lease free. Then it takes the lease,
loads its checkpoint, and from then on works in spells: whenever something waits in its streams or
is due, until nothing is left to do or others want the thread. An error ends the ownership; the
state in memory is thrown away, and after a pause the stage is taken and loaded again.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

import msgspec
import redis

from driftgauge.consumer.running.tally import Failure, Tally
from driftgauge.consumer.stages.sharing import Sharing
from driftgauge.consumer.stages.stage import Backoff, Connection, Stage
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.one_server import Server, one_server
from driftgauge.shared.connections.redis_client import UNAVAILABLE, server_ms
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.fault import TRIES
from driftgauge.shared.errors import DriftgaugeError, OwnershipLost
from driftgauge.shared.otel.steps import NOTHING, Span

if TYPE_CHECKING:
    from driftgauge.shared.otel.sdk import Tracing

log = logging.getLogger("driftgauge.worker")

MOVED_S: Final = (0.1, 1.0)
"""Shortest and longest pause while a slot is moved."""
ELSEWHERE: Final = "the slot is elsewhere"
"""What was told of a stage last, while its slot is moved."""
BACKOFF_S: Final = (0.1, 5.0)
"""First and longest pause (s) while Redis does not answer."""

STILL_FAILS_S: Final = 60.0
"""How long after its last spell a stage is taken to fail still, if this worker does not own it."""


class Duty:
    """A stage, its lease and its place in the roster.

    Parameters
    ----------
    name
        Name of the stage.
    make
        Function that builds the stage; on a cluster it is called again when its slot may have
        moved.
    sharing
        The worker's part of the stages.
    stop
        The worker's stop event.
    tracing
        What traces the turns; None if nothing does.
    tally
        What is counted of the stage; None counts it under its name.

    Attributes
    ----------
    lock
        Lock of whoever works with the stage or its lease.
    due_at
        When there is something to do although nothing came, by the monotonic clock (s).
    ran_at
        End of the last spell.
    positions
        The streams that an idle stage waits for, each with the id behind which something must come.
    retry_at
        Time before which the stage is not taken.
    free_since
        Since when the lease is seen free; None if it is not.
    cramped
        Whether the stage is to make room in Redis before it goes on.
    doubt
        Why the state in memory may be wrong; empty if nothing says so.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Stage],
        sharing: Sharing,
        stop: threading.Event,
        connection: Connection,
        nodes: Nodes,
        tracing: "Tracing | None" = None,
        tally: Tally | None = None,
    ) -> None:
        self.name = name
        self.sharing = sharing
        self.lock = threading.Lock()
        self.stage: Stage | None = None
        self.owned = False
        self.due_at = math.inf
        self.ran_at = 0.0
        self.positions: Mapping[bytes, str] = {}
        self.renewed_at = 0.0
        self.retry_at = 0.0
        self.free_since: float | None = None
        self.cramped = False
        self.doubt = ""
        self._make = make
        self.tally = Tally(name) if tally is None else tally
        self._stop = stop
        self._connection = connection
        self._nodes = nodes
        self._tracing = tracing
        self._away, self._faults = Backoff(*BACKOFF_S), Backoff(*Stage.retry_s)
        self._moves = Backoff(*MOVED_S)
        self._loaded = False
        self._server = Server()
        self._told = ""

    def build(self) -> Stage:
        """Return the stage, built if it is not."""
        if self.stage is None:
            self.stage = self._make()
            self.stage.checkpoint.on_commit = self.tally.committed
            self._faults = Backoff(*self.stage.retry_s)
        return self.stage

    def look_elsewhere(self) -> bool:
        """Note that the stage's server is away, or has not its slot any more; return whether the
        stage is to run, to find that out. One that is not ours is built anew.
        """
        if not self._nodes.is_cluster:
            return False
        if self.owned:
            self.doubt = "Its server does not answer, or has not its slot any more."
            return True
        self.stage = None
        return False

    def renewed(self, asked_at: float) -> None:
        """Take note that the lease was renewed, by a command sent at a time."""
        self.renewed_at = asked_at
        if self.stage is not None:
            self.stage.renewed()

    def spell(self, over: Callable[[], bool]) -> None:
        """Work until nothing is left to do, or the spell is `over`. No error escapes."""
        with self.lock:
            self.due_at, begun = math.inf, time.monotonic()
            try:
                with self._one_server():
                    self._spell(self.build(), over)
                self._away.reset()
                self._moves.reset()
            except OwnershipLost as error:
                log.info("%s: %s Loading again.", self.name, error)
                self._lose("lease", BACKOFF_S[0])
            except UNAVAILABLE as error:
                self._connection.lost(error)
                self._lose("away", self._away.next(), moved=True)
            except MOVED as error:
                self._moved(error)
                self._lose("moved", self._moves.next(), moved=True)
            except Exception as error:  # noqa: BLE001  whatever it is, nothing was committed
                if refusal(error):
                    self._refused(error)
                    self._lose("refused", self._away.next(), moved=True)
                else:
                    self._failed(error)
                    self._lose("fault", self._faults.next())
            self.ran_at = time.monotonic()
            self.tally.rested(self.ran_at - begun)

    def _one_server(self) -> AbstractContextManager[None]:
        """Keep all reads and writes of an ownership on one server; on a cluster judging reads from
        several.
        """
        return nullcontext() if self._nodes.is_cluster else one_server(self._server)

    def _traced(self) -> AbstractContextManager[Span | None]:
        return NOTHING if self._tracing is None else self._tracing.turn(self.name)

    def _spell(self, stage: Stage, over: Callable[[], bool]) -> None:
        if not self.owned and not self._take(stage):
            return
        try:
            self._work(stage, over)
        except (OwnershipLost, *UNAVAILABLE, *MOVED):
            raise
        except Exception as error:
            if not refusal(error):  # what Redis refuses is no fault of an entry
                self._note_fault(stage, error)
            raise

    def _take(self, stage: Stage) -> bool:
        """Take the lease; return whether it was still free."""
        if self._stop.is_set() or not stage.checkpoint.acquire():
            self._leave(0.0)
            return False
        self.owned, self.free_since, self.doubt = True, None, ""
        self.renewed_at = time.monotonic()
        self.tally.takeovers += 1
        return True

    def _work(self, stage: Stage, over: Callable[[], bool]) -> None:
        if self.doubt:
            raise OwnershipLost(self.doubt)
        if self.cramped:  # before the load, since one that fails again and again has no turns
            self.cramped = False
            stage.make_room()
        if not self._loaded:
            stage.load()
            stage.attempts.adopt(stage.checkpoint.fault)
            self._loaded = True
            log.info("%s: owned", self.name)
        more = not self._stop.is_set()
        while more:
            begun = time.monotonic()
            with self._traced():
                more = stage.turn()
            self.tally.turned(time.monotonic() - begun, stage.reached_ms if more else None)
            self._told = ""
            self._faults.reset()
            self._note_recovery(stage)
            if self._stop.is_set() or self.sharing.leaves(self.name):
                break
            if more and over():
                break
        stage.rest()
        if self._stop.is_set() or self.sharing.leaves(self.name):
            stage.finish()
            self._leave(0.0)
            return
        if stage.checkpoint.later:
            stage.checkpoint.renew()
        self.due_at = time.monotonic() if more else stage.due_at
        self.positions = {name.encode(): place for name, place in stage.positions.items()}

    # -- the end of an ownership -------------------------------------------------------------------

    def _lose(self, why: Failure, pause_s: float, *, moved: bool = False) -> None:
        """Give the stage up after an error, and take it again after a pause."""
        self.tally.failed(why)
        if moved:
            self._nodes.forget()  # the other connections are dead too, or the primary is elsewhere
        self._leave(pause_s)
        if self._nodes.is_cluster and why != "fault":
            self.stage = None  # it is built anew, at the server that has its slot by then

    def _leave(self, pause_s: float) -> None:
        """Give the lease back, and forget what is in memory."""
        if self.stage is not None:
            self.stage.rest()
            self.stage.checkpoint.release()
        self.owned = self._loaded = False
        self._server = Server()
        self.doubt, self.free_since = "", None
        self.retry_at = time.monotonic() + pause_s
        self.sharing.dropped(self.name)

    @property
    def fails(self) -> bool:
        """Whether it failed again and again here, and does still."""
        stage = self.stage
        fault = None if stage is None else stage.attempts.fault
        if fault is None or fault.over or fault.tries < TRIES:
            return False
        return self.owned or time.monotonic() - self.ran_at < STILL_FAILS_S

    # -- what is told ------------------------------------------------------------------------------

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

    def _moved(self, error: Exception) -> None:
        """Say once that the slot is on its way to another node; it is tried again until it is
        there.
        """
        if not self._nodes.is_cluster:
            self._connection.refused("MOVED", error)
        elif self._told != ELSEWHERE:
            log.info("%s: the slot is elsewhere now (%s).", self.name, error)
            self._told = ELSEWHERE

    def _refused(self, error: Exception) -> None:
        """Log once that Redis refuses to write, and free memory if this stage can."""
        self._connection.refused(refusal(error), error)
        try:
            if self.stage is not None:
                self.stage.make_room()
        except redis.RedisError as failed:  # it is tried again at the next attempt
            log.debug("%s: no room could be made (%s)", self.name, failed)

    def _note_fault(self, stage: Stage, error: Exception) -> None:
        """Write down what failed, for the watchdog; without that the stage tries again all the
        same.
        """
        try:
            now_ms = server_ms(stage.client)
        except redis.RedisError:
            now_ms = 0
        fault = stage.attempts.failed(error, now_ms)
        with suppress(redis.RedisError, DriftgaugeError):
            stage.checkpoint.note(FAULT, msgspec.json.encode(fault))

    def _note_recovery(self, stage: Stage) -> None:
        recovered = stage.attempts.recovered()
        if recovered is not None:
            stage.checkpoint.later[FAULT] = msgspec.json.encode(recovered)
