"""Waits for entries in the streams of all idle stages, with one blocking read for all of them.

The read only wakes stages: each then reads its own streams from its own position. So nothing is
kept here that could be lost, and a stage that did not come to its turn is waked up again.

A read of thousands of streams costs some milliseconds here and at the server, so it must not be
sent at each event. Two threads wait: one for the stages that ran a moment ago, which are few, with
short reads; one for the many others, with long ones. And after each read that found something there
is a pause in proportion to its cost.

Each server is waited for on a connection that is held, since one out of a pool is opened again
without a word. A new connection may be to a server that restarted, and has lost what idle stages
had read: those are loaded again.

On a cluster a command can read the streams of one slot only. There, and where a key spoils the read
of all, the streams are read one by one without waiting, in one round trip to each server.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.connection import Connection

from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.roster import Roster
from driftgauge.consumer.stages.checkpoint import server_id
from driftgauge.consumer.stages.stage import Backoff
from driftgauge.consumer.stages.stage import Connection as ConnectionState
from driftgauge.shared.connections.bulk import Command, ask_on
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.contract.entry_id import EntryId

log = logging.getLogger("driftgauge.worker")

PAUSE_PER_COST: Final = 10
"""Pause after a read that found something, in multiples of what it took of the processor."""
WAIT_PER_COST: Final = 150
LONGEST_REST_S: Final = 0.2
"""Pause (s) while no stage is there to wait for."""
SOON_MS: Final = 10
"""Longest wait of a short read that began while a stage ran: it is waited for by the next one."""
AFTER_ERROR_S: Final = (0.1, 2.0)


@dataclass(frozen=True)
class Reach:
    """Which stages a thread waits for, and how.

    Parameters
    ----------
    ran_after_s, ran_before_s
        Bounds of the time (s) since the stage ran last. The two threads' overlap, so that no stage
        is missed by both while the other one's read is still under way.
    block_ms
        Shortest and longest wait of one read; between them it is in proportion to its cost.
    pause_s
        Least pause (s) after a read that found something.
    poll_s
        Pause between reads that do not wait.
    """

    ran_after_s: float
    ran_before_s: float
    block_ms: tuple[int, int]
    pause_s: float
    poll_s: float


NEAR: Final = Reach(0.0, 2.5, (50, 50), 0.02, 0.05)
FAR: Final = Reach(1.0, float("inf"), (100, 1000), 0.05, 0.5)


class Waiter:
    """Wakes stages up when something arrives in their streams.

    Parameters
    ----------
    roster
        The stages.
    nodes
        The way to the server of a stream.
    stop
        The worker's stop event.
    """

    def __init__(
        self,
        reach: Reach,
        roster: Roster,
        nodes: Nodes,
        state: ConnectionState,
        stop: threading.Event,
    ) -> None:
        self._reach = reach
        self._roster = roster
        self._nodes = nodes
        self._state = state
        self._stop = stop
        self._away = Backoff(*AFTER_ERROR_S)
        self._singly = nodes.is_cluster
        self._held: dict[redis.Redis, Connection] = {}
        self._cost_s = 0.0

    def run(self) -> None:
        """Wait and wake until stopped. Whatever a server answers, it goes on."""
        while not self._stop.is_set():
            try:
                pause_s = self._look()
                self._away.reset()
            except (*UNAVAILABLE, *MOVED) as error:
                if isinstance(error, UNAVAILABLE):
                    self._state.lost(error)
                self._let_go()
                self._nodes.forget()
                pause_s = self._away.next()
            except redis.RedisError as error:
                if refusal(error):  # the server has become another's replica
                    self._state.refused(refusal(error), error)
                    self._let_go()
                    self._doubt_all("Redis has become a replica.")
                    pause_s = self._away.next()
                else:
                    self._singly, pause_s = True, 0.0
            except Exception:
                log.exception("Waiting for entries failed; trying again")
                self._let_go()
                pause_s = self._away.next()
            self._stop.wait(pause_s)
        self._let_go()

    def _look(self) -> float:
        """Wait once; return the pause until the next time."""
        begun_s, now, reach = time.thread_time(), time.monotonic(), self._reach
        streams: dict[bytes, list[tuple[Duty, str]]] = {}
        for duty in self._roster.idle():
            if reach.ran_after_s <= now - duty.ran_at < reach.ran_before_s:
                for stream, position in duty.positions.items():
                    streams.setdefault(stream, []).append((duty, position))
        if not streams:
            if reach.ran_after_s:
                return LONGEST_REST_S
            self._roster.active.wait(LONGEST_REST_S)
            self._roster.active.clear()
            return reach.pause_s
        found = self._poll(streams) if self._singly else self._wait(streams)
        for name in found:
            for duty, _ in streams.get(name, ()):
                self._roster.wake(duty)
        self._cost_s = time.thread_time() - begun_s
        if self._singly:
            self._singly = self._nodes.is_cluster  # the stage with the bad key says so itself
            return max(reach.poll_s, PAUSE_PER_COST * self._cost_s)
        return max(reach.pause_s, PAUSE_PER_COST * self._cost_s) if found else 0.0

    def _wait(self, streams: Mapping[bytes, Sequence[tuple[Duty, str]]]) -> list[bytes]:
        """Wait for an entry in any of the streams; return those that have one."""
        positions = [_first(found) for found in streams.values()]
        shortest, longest = self._reach.block_ms
        if shortest == longest and self._roster.works():
            shortest = longest = SOON_MS
        wait_ms = min(longest, max(shortest, int(1000 * WAIT_PER_COST * self._cost_s)))
        (reply,) = self._ask(
            self._nodes.shared(""),
            [("XREAD", "COUNT", 1, "BLOCK", wait_ms, "STREAMS", *streams, *positions)],
        )
        if isinstance(reply, Exception):
            raise reply
        return [stream for stream, _ in reply or ()]

    def _poll(self, streams: Mapping[bytes, Sequence[tuple[Duty, str]]]) -> list[bytes]:
        """Return the streams that have an entry now, and those that cannot be read, whose stages
        find out why.
        """
        servers: dict[redis.Redis, list[bytes]] = {}
        for stream in streams:
            servers.setdefault(self._nodes.shared(stream.decode()), []).append(stream)
        found = []
        for client, names in servers.items():
            replies = self._ask(
                client,
                [("XREAD", "COUNT", 1, "STREAMS", name, _first(streams[name])) for name in names],
            )
            found += [name for name, reply in zip(names, replies, strict=True) if reply]
        return found

    def _ask(self, client: redis.Redis, commands: list[Command]) -> list[Any]:
        """Ask a server on the connection that is held to it."""
        if client not in self._held:
            self._held[client] = client.connection_pool.get_connection()
            self._doubt_another(client)
        return ask_on(self._held[client], commands)

    def _let_go(self) -> None:
        """Close the connections that are held."""
        for client, connection in self._held.items():
            connection.disconnect()
            client.connection_pool.release(connection)
        self._held = {}

    def _doubt_another(self, client: redis.Redis) -> None:
        """Let stages load again whose server is another one than before."""
        server = server_id(client)
        for duty in self._roster.duties:
            stage = duty.stage
            if duty.owned and stage is not None and stage.client is client:
                known = stage.checkpoint.server
                if known and server != known:
                    self._doubt(duty, f"{stage.checkpoint.key} is on another server than before.")

    def _doubt_all(self, why: str) -> None:
        for duty in self._roster.duties:
            if duty.owned:
                self._doubt(duty, why)

    def _doubt(self, duty: Duty, why: str) -> None:
        duty.doubt = why
        self._roster.wake(duty)


def _first(found: Sequence[tuple[Duty, str]]) -> str:
    """Return the first of the positions in a stream."""
    if len(found) == 1:
        return found[0][1]
    return min((position for _, position in found), key=EntryId.parse)
