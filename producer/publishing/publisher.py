"""Publishing: the way of an event from a request to its log.

                      ┌─ published ◄── sender ──XADD──► Redis
    publish ──► lane ─┤                  ▲                 │ ring: the last seconds, sent again if Redis restarts
                      └─ spooled ◄── spooler ◄──► spool    ▼

Theory of operation:

- An event gets its number when it enters a lane, and dropped events get none: so a missing number
  in the log means a lost event.
- An accepted event is in memory, on disk or both until Redis has kept it for some seconds. A
  request is answered when its events are in Redis or on disk (`spool_first`: on disk).
- A request waits at most `ack_timeout_ms`. Once one has waited in vain, Redis counts as away until
  it answers, and events go to disk. If the disk fails too, requests do not wait and events stay in
  memory, up to `queue_events`.
"""  # noqa: E501  a table, or what an example prints

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from driftgauge.producer.publishing.holding import held
from driftgauge.producer.publishing.lane import Lanes
from driftgauge.producer.publishing.masters import ClusterSender
from driftgauge.producer.publishing.receipts import Outcome, Receipts
from driftgauge.producer.publishing.sender import Sender, Way
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spooler import Spooler
from driftgauge.producer.publishing.versions import Versions
from driftgauge.producer.supervision import Supervisor
from driftgauge.shared.connections.cluster import is_cluster
from driftgauge.shared.contract.events import (
    WRITTEN,
    Event,
    Prediction,
    Void,
    encode,
    partition_of,
)
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.losses import Held
from driftgauge.shared.otel.steps import step
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.registry import Manifest
from driftgauge.shared.settings import Settings

Placed = tuple[int, Event | Void, tuple[bytes, int] | None]
"""Partition, event, and its publisher and number if it has them already."""
PUBLISH = "publish"
"""The step of a trace: until the events are safe, or no longer waited for."""
TURN = 200
"""Events that are queued before other requests get a turn."""
DRAIN_S = 5.0
"""Longest wait for the queue at shutdown."""

logger = logging.getLogger("driftgauge.producer")

DropReason = Literal["queue_full", "spool_full", "spool_error", "shutting_down"]
"""Why an event is not taken: the queue is full; so is the spool, or its disk fails, which keeps the
queue full; the process ends.
"""


class Publisher:
    """Publishes events of all models from one process.

    Parameters
    ----------
    settings
        Redis, prefix, bounds of queue, spool and ring, and longest wait for an acknowledgement.
    supervisor
        Keeps the tasks running, whatever one of them meets.

    Attributes
    ----------
    dropped
        Events that were not taken, by reason.
    spool, sender
        The spool and the sender, which have counters of their own.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        keys = Keys(settings.key_prefix)
        self.dropped: Counter[str] = Counter()
        self._queue_events = settings.queue_events
        self._spool_first = settings.publish_mode == "spool_first"
        self._partitions: dict[str, int] = {}
        self._lanes = Lanes(keys)
        self._versions = Versions(keys, self._lanes, registry_of(settings))
        self._receipts = Receipts(settings.ack_timeout_ms / 1000, self._late)
        self.spool = Spool(settings.data_dir / "spool", settings.spool_max_bytes, keys.is_log_of)
        self._spooler = Spooler(
            self._lanes, self.spool, self._receipts, spool_first=self._spool_first
        )
        self._supervisor = supervisor
        way = Way(settings, self._lanes, self._versions, self.spool, self._spooler, self._receipts)
        self.sender: Sender | ClusterSender = (
            ClusterSender(way, supervisor)
            if is_cluster(settings.redis_url)
            else Sender(way, self._lanes.homes[0])
        )
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        """Whether Redis answers."""
        return self.sender.connected

    @property
    def silent(self) -> str:
        """What does not answer, in words; empty if all does."""
        return self.sender.silent

    @property
    def left(self) -> str:
        """Code of why events are spooled although Redis answers (shared/connections/refusals.py);
        empty if they are not.
        """
        return self.sender.left

    @property
    def evicts(self) -> str:
        """Policy by which Redis may evict keys; empty if it evicts none."""
        return self.sender.evicts

    @property
    def refused(self) -> bool:
        """Whether Redis answers, but does not take what is written."""
        return self._lanes.refused

    @property
    def refused_with(self) -> str:
        """Code with which Redis last refused what was written (shared/connections/refusals.py);
        empty for another error.
        """
        return self.sender.refused_with

    @property
    def published(self) -> int:
        """Events that Redis has acknowledged."""
        return self.sender.published

    @property
    def queued(self) -> int:
        """Events that are in memory only, and not acknowledged."""
        return self._lanes.queued

    def held(self) -> dict[str, list[Held]]:
        """Return what this process holds of each model's events, which may not be in Redis."""
        return held(self._lanes, self.spool)

    def start(self) -> None:
        """Start moving events; needs no Redis yet."""
        self._tasks = [
            self._supervisor.keep(
                name, partial(run, self._supervisor.watched(name).succeed), pause_s=None
            )
            for name, run in (("sender", self.sender.run), ("spooler", self._spooler.run))
        ]

    async def close(self) -> None:
        """Send or spool what is queued, for a few seconds, then stop."""
        self._closing = True
        if self.queued:
            self._lanes.drained.clear()
            with suppress(TimeoutError):  # the last group below, then what is left is counted
                await asyncio.wait_for(self._lanes.drained.wait(), DRAIN_S)
        if self._tasks:
            self.sender.stop()
            self._spooler.stop()
            self._tasks[0].cancel()
            await asyncio.wait(self._tasks)
        self._lanes.leave_all()
        while await self._spooler.spill():
            pass
        await self.spool.close()
        if self.queued:
            logger.error(
                "%d queued events are lost: neither Redis nor the disk took them.", self.queued
            )
        self._receipts.give_up()

    def announce(self, manifest: Manifest, packed: bytes) -> None:
        """Make a version known; it is published before its first event, and again after every
        reconnect.
        """
        self._partitions[manifest.model] = manifest.partitions
        self._lanes.salt(manifest.model, manifest.salts)
        self._versions.add(manifest.model, manifest.version, packed)
        self.sender.announced()

    async def publish(self, model: str, event: Prediction) -> Outcome:
        """Publish an event, and wait until it is safe while Redis or the disk is prompt."""
        return await self.publish_many(model, (event,))

    async def publish_many(self, model: str, events: Sequence[Event]) -> Outcome:
        """Publish events of a model: all are queued, with turns for others between
        them, or all are dropped.
        """
        partitions = self._partitions[model]
        placed = (
            (partition_of(event.id, partitions) if partitions > 1 else 0, event, None)
            for event in events
        )
        return await self._publish(model, placed, len(events))

    async def publish_numbered(
        self,
        model: str,
        publisher: bytes,
        numbered: Sequence[tuple[int, int, Event | Void]],
    ) -> Outcome:
        """Publish entries under the numbers of another publisher, as `publish_many`: each with its
        partition and its number there.
        """
        placed = ((partition, event, (publisher, number)) for partition, number, event in numbered)
        return await self._publish(model, placed, len(numbered))

    async def _publish(self, model: str, placed: Iterable[Placed], events: int) -> Outcome:
        with step(PUBLISH) as span:
            outcome = await self._queue(model, placed, events)
            if span is not None:
                span.note(model=model, events=events, outcome=outcome)
            return outcome

    async def _queue(self, model: str, placed: Iterable[Placed], events: int) -> Outcome:
        if not self.has_room(events):
            self.drop(events)
            return "dropped"
        receipt = self._receipts.make(events) if events else None
        blocked, left = False, events
        self._lanes.queued += left  # their room is taken before others have a turn
        try:
            for partition, event, numbered in placed:
                lane = self._lanes.ours(model, partition)
                lane.append(encode(event), receipt, WRITTEN[type(event)], numbered)
                blocked = blocked or self._lanes.blocked(lane)
                left -= 1
                if left and left % TURN == 0:
                    await asyncio.sleep(0)
        finally:
            if left:  # the request was cancelled
                self._lanes.leave(left)
        if receipt is not None and blocked and self.spool.fault is not None:
            receipt.give_up()
        if blocked or self._spool_first:
            self._spooler.wake.set()
        return await receipt.future if receipt is not None else "queued"

    def has_room(self, events: int) -> bool:
        """Tell whether so many events can be queued."""
        waiting = self.queued - self._lanes.again
        return not self._closing and waiting + events <= self._queue_events

    def drop(self, events: int) -> None:
        """Count events that are not taken; they get no number."""
        reasons: dict[str | None, DropReason] = {
            None: "queue_full",
            "full": "spool_full",
            "error": "spool_error",
        }
        reason = "shutting_down" if self._closing else reasons[self.spool.fault]
        self.dropped[reason] += events

    def _late(self) -> None:
        """Use the disk until Redis answers again: a request has waited for it in vain. Of several
        masters those are meant for which events wait.
        """
        for home in [one for one in self._lanes.homes if one.owes] or self._lanes.homes:
            home.away = True
        self._spooler.wake.set()
