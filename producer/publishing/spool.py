"""The spool: events on disk while Redis is away, and with `spool_first` always until Redis has kept
them long enough.

It is a row of files (producer/publishing/spool_file.py), each bounded, the last one appended to.
Theory of operation:

- A group is written and synced before any of its events counts as spooled. A group that fails stays
  in memory.
- A file is removed when Redis has acknowledged all its events and the same server has lived on for
  `KEEP_S`: so what was spooled survives a server that loses its last second, without the ring.
- A file without an owner is adopted, and sent with its old publishers and numbers. Sending a file
  again is harmless, since the worker skips numbers that it has seen.
- File operations run one at a time on a thread of their own; all else is touched by the event loop
  only.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

from driftgauge.producer.publishing.lane import Batch, Entry
from driftgauge.producer.publishing.ring import KEEP_S
from driftgauge.producer.publishing.spool_file import SUFFIX, Mark, Segment, adopt, create
from driftgauge.producer.publishing.spool_records import Contents, Record, frame, frame_bytes

SEGMENT_BYTES: Final = 8 << 20
"""A file that has reached this is not appended to any more."""
SEGMENTS: Final = 8
"""Least files that the bound is shared by: room comes back file by file."""

_T = TypeVar("_T")

logger = logging.getLogger("driftgauge.producer")


class Spool:
    """The files of one process.

    Parameters
    ----------
    folder
        Where they are, together with those of other processes; made when it is needed.
    max_bytes
        Bound of all files of this process.

    Attributes
    ----------
    fault
        Why the last group could not be written: `full` is the bound, `error` the disk.
    damaged, adopted
        Stretches of damage that were found, files that were adopted.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.fault: Literal["full", "error"] | None = None
        self.damaged = 0
        self.adopted = 0
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(1, max_bytes // SEGMENTS))
        self._segments: list[Segment] = []
        self._active: Segment | None = None
        self._thread = ThreadPoolExecutor(1, "spool")

    @property
    def events(self) -> int:
        """Events on disk that Redis has not acknowledged."""
        return sum(segment.outstanding for segment in self._segments)

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(segment.size for segment in self._segments)

    @property
    def empty(self) -> bool:
        """Whether there is no file."""
        return not self._segments

    async def write(self, batch: Batch) -> int:
        """Write a group; gives how many of its first events are on disk. Why the rest is not is in
        `fault`.
        """
        fitting = self._fitting(batch)
        if not fitting:
            self.fault = "full"
            return 0
        try:
            segment = await self._open()
            offset, lengths = await self._run(lambda: _append(segment, fitting))
        except OSError as error:  # the events stay with the caller, in memory
            self._break(error)
            return 0
        segment.events += len(fitting)
        for (_, entry), length in zip(fitting, lengths, strict=True):
            entry.segment, entry.offset = segment, offset
            offset += length
        self.fault = None if len(fitting) == len(batch) else "full"
        return len(fitting)

    def keep(self, entry: Entry, *, in_memory: bool) -> None:
        """Note whether an event that was written stays in memory too; else it is read when its turn
        comes.
        """
        if entry.segment is None:
            return
        if in_memory:
            entry.segment.marks[entry.offset] = Mark.MEMORY
        else:
            entry.segment.unread = True
            if entry.again:
                entry.segment.marks[entry.offset] = Mark.AGAIN

    async def read(self) -> list[tuple[Segment, Record]]:
        """Read the oldest file that has events only on disk; what is in memory too is among
        them.
        """
        segment = next((segment for segment in self._segments if segment.unread), None)
        if segment is None:
            return []
        segment.unread = False
        written = segment.events
        try:
            contents = await self._run(segment.read)
        except OSError as error:  # tried again at the next look for orphans; its lock is free then
            self._forget(segment, error)
            return []
        self._judge(segment, contents, written)
        return [(segment, record) for record in contents.records]

    def doubt(self) -> int:
        """Note that the server may have lost its last seconds; gives how many events will be sent
        again.
        """
        return sum(segment.doubt() for segment in self._segments)

    async def sweep(self, now: float) -> None:
        """Remove the files whose events Redis has kept long enough; it answered now."""
        done = [one for one in self._segments if not one.outstanding and not one.unread]
        done = [one for one in done if one.acknowledged_at + KEEP_S <= now]
        for segment in done:
            self._segments.remove(segment)
            if segment is self._active:
                self._active = None
            try:
                await self._run(segment.discard)
            # it is unlocked now; whoever adopts it sends it again, and tries to remove it
            except OSError as error:
                logger.warning("The spool file %s cannot be removed (%s).", segment.path, error)

    async def adopt(self) -> None:
        """Take over the files of processes that have ended."""
        known = {segment.path for segment in self._segments}
        for path in await self._run(lambda: sorted(self._folder.glob(f"*{SUFFIX}"))):
            if path in known:
                continue
            try:
                await self._take_over(path)
            except OSError as error:  # tried again next time
                logger.warning("The spool file %s cannot be read (%s).", path, error)

    async def close(self) -> None:
        """Free all files; the next process sends what is in them."""
        self._active = None
        for segment in self._segments:
            with suppress(OSError):  # an empty file that stays harms nobody
                await self._run(
                    segment.release
                    if segment.outstanding or segment.acknowledged
                    else segment.discard
                )
        self._segments.clear()
        self._thread.shutdown()

    async def _take_over(self, path: Path) -> None:
        segment = await self._run(lambda: adopt(path))
        if segment is None:
            return
        try:
            contents = await self._run(segment.read)
        except OSError:
            segment.release()
            raise
        segment.events = len(contents.records)
        segment.unread = True
        self._judge(segment, contents, segment.events)
        self._segments.append(segment)
        self.adopted += 1
        logger.info("Adopted %s with %d events of a process that has ended.", path, segment.events)

    def _judge(self, segment: Segment, contents: Contents, written: int) -> None:
        """Report damage, once, and expect no more events than there are."""
        segment.events -= max(0, written - len(contents.records))
        if not contents.damage or segment.damaged:
            return
        segment.damaged = True
        self.damaged += len(contents.damage)
        logger.error(
            "The spool file %s is damaged at (byte, length) %s; its other %d events are sent, and "
            "it is kept as .damaged.",
            segment.path,
            contents.damage[:5],
            len(contents.records),
        )

    def _fitting(self, batch: Batch) -> Batch:
        """Return the first events that the bound has room for."""
        room = self._max_bytes - self.bytes
        for number, (lane, entry) in enumerate(batch):
            room -= frame_bytes(lane.publisher, lane.model, lane.log, entry.payload)
            if room < 0:
                return batch[:number]
        return batch

    async def _open(self) -> Segment:
        """Return the file that is appended to."""
        if self._active is None or self._active.size >= self._segment_bytes:
            self._active = await self._run(lambda: create(self._folder))
            self._segments.append(self._active)
        return self._active

    def _break(self, error: OSError) -> None:
        """After a failed write the file is not appended to any more."""
        self._active = None
        if self.fault != "error":
            logger.error(
                "The spool in %s cannot be written (%s); events are kept in memory only.",
                self._folder,
                error,
            )
        self.fault = "error"

    def _forget(self, segment: Segment, error: OSError) -> None:
        logger.error(
            "The spool file %s cannot be read (%s); it is tried again.", segment.path, error
        )
        self._segments.remove(segment)
        if segment is self._active:
            self._active = None
        segment.release()

    async def _run(self, operation: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, operation)


def _append(segment: Segment, batch: Batch) -> tuple[int, list[int]]:
    """Write a group; gives where it begins and the lengths of its records."""
    framed = [
        frame(lane.publisher, lane.model, lane.log, entry.sequence, entry.payload, entry.kind)
        for lane, entry in batch
    ]
    return segment.append(b"".join(framed)), [len(one) for one in framed]
