"""Moves events between memory and disk: to the spool while Redis does not take them, back when it
does.

- Events of blocked lanes that are only in memory are written to disk; with `spool_first`, all
  events. The requests that wait for them are answered then. A lane keeps some of its spooled events
  in memory, so that it always has something to try Redis with.
- While the lanes have little to send, files are read back, the oldest first. A record of a blocked
  lane is skipped; its file is read again when the lane is free.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from driftgauge.producer.publishing.lane import Batch, Entry, Lanes, put_back
from driftgauge.producer.publishing.receipts import Receipts
from driftgauge.producer.publishing.spool import Spool
from driftgauge.producer.publishing.spool_file import Mark, SpoolFile
from driftgauge.producer.publishing.spool_records import Record

GROUP = 4096
"""Most events of one sync."""
WINDOW = 2000
"""Spooled events that are kept in memory to be sent next; of a blocked lane, or of all free lanes.
"""
ADOPT_S = 2.0
"""Interval (s) at which orphaned files are looked for."""
PAUSE_S = 1.0
"""Pause after a write that failed, and between rounds without work."""

logger = logging.getLogger("driftgauge.producer")


class Spooler:
    """The task between the lanes and the spool.

    Parameters
    ----------
    spool_first
        Whether events go to disk before they go to Redis.

    Attributes
    ----------
    wake
        Event that is set when there may be something to move.
    """

    def __init__(
        self, lanes: Lanes, spool: Spool, receipts: Receipts, *, spool_first: bool
    ) -> None:
        self.wake = asyncio.Event()
        self._lanes = lanes
        self._spool = spool
        self._receipts = receipts
        self._spool_first = spool_first
        self._read: deque[tuple[SpoolFile, Record]] = deque()
        self._passed_over: set[SpoolFile] = set()
        self._retry_at = float("-inf")
        self._look_at = float("-inf")
        self._stopped = False

    @property
    def direct(self) -> bool:
        """Whether events that are not on disk may be sent to Redis: always without `spool_first`,
        and for a while after a failed write.
        """
        return not self._spool_first or asyncio.get_running_loop().time() < self._retry_at

    async def run(self, succeed: Callable[[], None]) -> None:
        """Move events, until `stop`; `succeed` is told of each round."""
        while not self._stopped:
            succeed()
            await self._keep_house()
            wrote = await self.spill()
            fed = await self._feed()
            if not (wrote or fed):
                await self._pause()

    def stop(self) -> None:
        """End `run` after what it is doing."""
        self._stopped = True
        self.wake.set()

    async def spill(self) -> bool:
        """Write one group to disk; return whether anything was written. After a failure the disk is
        tried again although nothing is to be written.
        """
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:
            return False
        batch = self._take()
        if not batch:
            if self._spool.fault is not None and not await self._spool.probe():
                self._retry_at = now + PAUSE_S
            return False
        written = 0
        try:
            written = await self._spool.write(batch)
        finally:
            self._settle(batch[:written])
            self._return(batch[written:])
        return written > 0

    def free(self) -> None:
        """Note that lanes may be free again, so that skipped records are read again."""
        for file in self._passed_over:
            file.unread = True
        self._passed_over.clear()
        self.wake.set()

    def _take(self) -> Batch:
        """Take what is to be written from the lanes."""
        batch: Batch = []
        for lane in self._lanes:
            if lane.fresh and (self._spool_first or self._lanes.blocked(lane)):
                batch += [(lane, entry) for entry in lane.take_fresh(GROUP - len(batch))]
        return batch

    def _settle(self, written: Batch) -> None:
        """Answer the requests whose events are on disk."""
        for lane, entry in written:
            if entry.receipt is not None:
                entry.receipt.acknowledge("spooled")
                entry.receipt = None
            if len(lane.spooled) < WINDOW:
                lane.spooled.append(entry)
                self._spool.keep(entry, in_memory=True)
            else:
                self._spool.keep(entry, in_memory=False)
        if written:
            self._lanes.take_out(written)
            self._receipts.resume()
            self._lanes.wake()

    def _return(self, rest: Batch) -> None:
        """Keep events in memory that could not be written. If Redis does not take them either,
        requests do not wait for them.
        """
        if not rest:
            return
        put_back(rest)
        self._retry_at = asyncio.get_running_loop().time() + PAUSE_S
        if any(self._lanes.blocked(lane) for lane, _ in rest):
            self._receipts.give_up()
        self._lanes.wake()

    async def _feed(self) -> bool:
        """Bring events from disk to their lanes while Redis takes them; return whether there were
        any.
        """
        if self._lanes.away or self._waiting() >= WINDOW // 2:
            return False
        if not self._read:
            self._read.extend(await self._spool.read())
        fed = bool(self._read)
        for _ in range(min(len(self._read), WINDOW)):
            self._load(*self._read.popleft())
        if fed:
            self._lanes.wake()
        return fed

    def _waiting(self) -> int:
        return sum(len(lane.spooled) for lane in self._lanes if not self._lanes.blocked(lane))

    def _load(self, file: SpoolFile, record: Record) -> None:
        """Queue an event that is only on disk, unless its lane is blocked."""
        mark = file.marks.get(record.offset)
        if mark is Mark.MEMORY or mark is Mark.ACKNOWLEDGED:
            return
        lane = self._lanes.of(record)
        if self._lanes.blocked(lane):
            self._passed_over.add(file)
            return
        numbered = record.publisher, record.sequence
        entry = Entry(*numbered, record.payload, None, file, record.offset, record.kind)
        entry.again = mark is Mark.AGAIN
        lane.spooled.append(entry)
        self._spool.keep(entry, in_memory=True)

    async def _keep_house(self) -> None:
        """Remove files that are no longer needed, and adopt orphaned ones, every few seconds."""
        now = asyncio.get_running_loop().time()
        await self._spool.sweep(self._lanes.safe_until)
        if now >= self._look_at:
            self._look_at = now + ADOPT_S
            await self._spool.adopt()
        if self._spool.empty:
            self._lanes.forget_ended()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_S):
                await self.wake.wait()
        except TimeoutError:  # time to keep house
            pass
        self.wake.clear()
