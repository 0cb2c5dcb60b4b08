"""Waits for entries in the streams of all idle stages, with one blocking read for all of them.

The read only wakes stages: each then reads its own streams from its own position. So nothing is
kept here that could be lost, and a stage that did not come to its turn is waked up again.

A read of thousands of streams costs some milliseconds here and at the server, so it must not be
sent at each event. Two threads wait: one for the stages that ran a moment ago, which are few, with
short reads; one for the many others, with long ones. And after each read that found something there
is a pause in proportion to its cost.

On a cluster a command can read the streams of one slot only. There, and where a key spoils the read
of all, the streams are read one by one without waiting, in one round trip to each server.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.roster import Roster
from driftgauge.consumer.stages.checkpoint import server_id
from driftgauge.consumer.stages.stage import Backoff, Connection
from driftgauge.shared.connections.bulk import ask_all
from driftgauge.shared.connections.nodes import MOVED, Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import refusal
from driftgauge.shared.contract.entry_id import EntryId

PAUSE_PER_COST: Final = 10
"""Pause after a read that found something, in multiples of what it took of the processor."""
WAIT_PER_COST: Final = 100
LONGEST_REST_S: Final = 0.2
"""Pause (s) while no stage is there to wait for."""
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
        Shortest and longest wait of one read; between them it is a hundred times its cost.
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
        connection: Connection,
        stop: threading.Event,
    ) -> None:
        self._reach = reach
        self._roster = roster
        self._nodes = nodes
        self._connection = connection
        self._stop = stop
        self._away = Backoff(*AFTER_ERROR_S)
        self._singly = nodes.is_cluster
        self._doubtful = False
        self._cost_s = 0.0

    def run(self) -> None:
        """Wait and wake until stopped. Whatever a server answers, it goes on."""
        while not self._stop.is_set():
            try:
                pause_s = self._look()
                self._away.reset()
            except (*UNAVAILABLE, *MOVED) as error:
                if isinstance(error, UNAVAILABLE):
                    self._connection.lost(error)
                self._nodes.forget()
                self._doubtful, pause_s = True, self._away.next()
            except redis.RedisError as error:
                if refusal(error):  # the server has become another's replica
                    self._connection.refused(refusal(error), error)
                    self._doubt_all("Redis has become a replica.")
                    pause_s = self._away.next()
                else:
                    self._singly, pause_s = True, 0.0
            self._stop.wait(pause_s)

    def _look(self) -> float:
        """Wait once; return the pause until the next time."""
        if self._doubtful:
            self._doubt_what_moved()
            self._doubtful = False
        now, reach = time.monotonic(), self._reach
        streams: dict[bytes, list[tuple[Duty, str]]] = {}
        for duty in self._roster.idle():
            if reach.ran_after_s <= now - duty.ran_at < reach.ran_before_s:
                for stream, position in duty.positions.items():
                    streams.setdefault(stream.encode(), []).append((duty, position))
        if not streams:
            self._roster.active.wait(LONGEST_REST_S)
            self._roster.active.clear()
            return reach.pause_s
        begun_s = time.thread_time()
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
        client = self._nodes.shared("")
        positions = [_first(found) for found in streams.values()]
        shortest, longest = self._reach.block_ms
        wait_ms = min(longest, max(shortest, int(1000 * WAIT_PER_COST * self._cost_s)))
        (reply,) = ask_all(
            client,
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
            replies: list[Any] = ask_all(
                client,
                [("XREAD", "COUNT", 1, "STREAMS", name, _first(streams[name])) for name in names],
            )
            found += [name for name, reply in zip(names, replies, strict=True) if reply]
        return found

    def _doubt_what_moved(self) -> None:
        """Let stages load again whose server is another one than before: it may have lost what was
        read from it.
        """
        servers: dict[redis.Redis, str] = {}
        for duty in self._roster.duties:
            stage = duty.stage
            if not duty.owned or stage is None:
                continue
            if stage.client not in servers:
                servers[stage.client] = server_id(stage.client)
            known = servers[stage.client]
            if not known or known != stage.checkpoint.server:
                self._doubt(duty, f"{duty.name}'s server is another one than before.")

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
