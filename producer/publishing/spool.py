"""The spool: events on disk while Redis is away, and with `spool_first` always until Redis has kept
them long enough.

It consists of files of bounded size (producer/publishing/spool_file.py), the last of which is
appended to. Theory of operation:

- A group is written and synced before any of its events counts as spooled. A group that fails stays
  in memory. The fault ends by the next group that is written, or, where nothing is to be written,
  by a probe of as many bytes: so an outage finds the spool as it is, and not as it was.
- A file is removed when Redis has acknowledged all its events and they are safe there (kept.py): so
  spooled events survive a server that loses its last seconds, without the ring.
- A file without an owner is adopted, and sent with its old publishers and numbers. Sending a file
  again is harmless, since the worker skips numbers that it has seen.
- File operations run one at a time on a thread of their own; everything else runs on the event
  loop.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

from driftgauge.producer.publishing.lane import Batch, Entry, Lane
from driftgauge.producer.publishing.spool_file import (
    SUFFIX,
    Mark,
    Numbered,
    SpoolFile,
    adopt,
    create,
    try_out,
)
from driftgauge.producer.publishing.spool_records import Contents, Record, frame, frame_bytes
from driftgauge.shared.contract.events import WRITTEN

FILE_BYTES: Final = 8 << 20
"""Size in bytes at which a file is not appended to any more."""
PROBE_BYTES: Final = 1 << 20
"""Most bytes that are written to try out a disk that failed."""
LEAST_FILES: Final = 8
"""Least number of files that share `max_bytes`, since space is freed file by file."""

_T = TypeVar("_T")

logger = logging.getLogger("driftgauge.producer")


class Spool:
    """The files of one process.

    Parameters
    ----------
    folder
        Folder of the files, shared with other processes; made when it is needed.
    max_bytes
        Most bytes in all files of this process.
    is_log
        Tells whether a key is a log of a model; a record that names another key is damage, for
        else a file could write anywhere in Redis.

    Attributes
    ----------
    fault
        Why the last group could not be written: `full` is the bound, `error` the disk.
    damaged, adopted
        Number of damaged stretches found, and of files adopted from ended processes.
    """

    def __init__(self, folder: Path, max_bytes: int, is_log: Callable[[str, bytes], bool]) -> None:
        self.fault: Literal["full", "error"] | None = None
        self.damaged = 0
        self.adopted = 0
        self._folder = folder
        self._max_bytes = max_bytes
        self._is_log = is_log
        self._passed_over: set[Path] = set()
        self._refused_bytes = 0
        self._file_bytes = min(FILE_BYTES, max(1, max_bytes // LEAST_FILES))
        self._files: list[SpoolFile] = []
        self._active: SpoolFile | None = None
        self._thread = ThreadPoolExecutor(1, "spool")

    @property
    def events(self) -> int:
        """Events on disk that Redis has not acknowledged."""
        return sum(file.outstanding for file in self._files)

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(file.size for file in self._files)

    @property
    def empty(self) -> bool:
        """Whether there is no file."""
        return not self._files

    async def write(self, batch: Batch) -> int:
        """Write a group; return how many of its first events are on disk. `fault` says why the rest
        is not.
        """
        fitting = self._fitting(batch)
        if not fitting:
            self._refuse(batch, "full")
            return 0
        try:
            file = await self._open()
            offset, lengths = await self._run(lambda: _append(file, fitting))
        except OSError as error:  # the events stay with the caller, in memory
            self._break(error)
            self._refuse(fitting, "error")
            return 0
        file.events += len(fitting)
        for (lane, entry), length in zip(fitting, lengths, strict=True):
            entry.file, entry.offset = file, offset
            file.note(lane.model, lane.log, entry.publisher, entry.sequence)
            offset += length
        self.fault = None
        if len(fitting) < len(batch):
            self._refuse(batch[len(fitting) :], "full")
        return len(fitting)

    async def probe(self) -> bool:
        """Look whether what was refused would be written now; return whether it would, which ends
        the fault.
        """
        if self.bytes + self._refused_bytes > self._max_bytes:
            return False
        size = min(self._refused_bytes, PROBE_BYTES)
        try:
            await self._run(lambda: try_out(self._folder, size))
        except OSError as error:
            self._break(error)
            self.fault = "error"
            return False
        logger.info("The spool in %s can be written again.", self._folder)
        self.fault = None
        return True

    def keep(self, entry: Entry, *, in_memory: bool) -> None:
        """Note whether an event that was written stays in memory too; if not, it is read again when
        its turn comes.
        """
        if entry.file is None:
            return
        if in_memory:
            entry.file.marks[entry.offset] = Mark.MEMORY
        else:
            entry.file.unread = True
            if entry.again:
                entry.file.marks[entry.offset] = Mark.AGAIN

    async def read(self) -> list[tuple[SpoolFile, Record]]:
        """Read the oldest file with events that are only on disk; the result has all its events."""
        file = next((file for file in self._files if file.unread), None)
        if file is None:
            return []
        file.unread = False
        written = file.events
        try:
            contents = self._sound(await self._run(file.read))
        except OSError as error:  # tried again at the next look for orphans; its lock is free then
            self._forget(file, error)
            return []
        self._judge(file, contents, written)
        return [(file, record) for record in contents.records]

    def numbers(self) -> Iterator[tuple[Numbered, tuple[int, int]]]:
        """Yield the first and last number of each model, log and publisher in each file of which
        Redis may lack some.
        """
        for file in self._files:
            if file.outstanding or file.unread:
                yield from file.numbers.items()

    def doubt(self, lanes: Collection[Lane] | None = None) -> int:
        """Note that the server of some lanes, or of all, may have lost its last seconds; return how
        many events will be sent again: all of the files that have some of these lanes.
        """
        logs = None if lanes is None else {lane.log for lane in lanes}
        return sum(
            file.doubt()
            for file in self._files
            if logs is None or any(log in logs for _, log, _ in file.numbers)
        )

    async def sweep(self, until: float) -> None:
        """Remove the files whose events are all safe: Redis acknowledged them up to a moment."""
        done = [one for one in self._files if not one.outstanding and not one.unread]
        done = [one for one in done if one.acknowledged_at <= until]
        for file in done:
            self._files.remove(file)
            if file is self._active:
                self._active = None
            try:
                await self._run(file.discard)
            # it is unlocked now; whoever adopts it sends it again, and tries to remove it
            except OSError as error:
                logger.warning("The spool file %s cannot be removed (%s).", file.path, error)

    async def adopt(self) -> None:
        """Take over the files of processes that have ended."""
        known = {file.path for file in self._files}
        for path in await self._run(lambda: sorted(self._folder.glob(f"*{SUFFIX}"))):
            if path in known:
                continue
            try:
                await self._take_over(path)
            except Exception as error:  # noqa: BLE001  one odd file; it is tried again next time
                self._pass_over(path, error)

    async def close(self) -> None:
        """Free all files; the next process sends what is in them."""
        self._active = None
        for file in self._files:
            with suppress(OSError):  # an empty file that stays harms nobody
                await self._run(
                    file.release if file.outstanding or file.acknowledged else file.discard
                )
        self._files.clear()
        self._thread.shutdown()

    async def _take_over(self, path: Path) -> None:
        file = await self._run(lambda: adopt(path, self._max_bytes))
        if file is None:
            return
        try:
            contents = self._sound(await self._run(file.read))
        except BaseException:
            file.release()
            raise
        file.events = len(contents.records)
        for record in contents.records:
            file.note(record.model, record.log, record.publisher, record.sequence)
        file.unread = True
        self._judge(file, contents, file.events)
        self._files.append(file)
        self.adopted += 1
        logger.info("Adopted %s with %d events of a process that has ended.", path, file.events)

    def _pass_over(self, path: Path, error: Exception) -> None:
        """Say once that a file is not sent, and why."""
        if path not in self._passed_over:
            self._passed_over.add(path)
            logger.warning("The spool file %s is not sent: %s.", path, error)

    def _sound(self, contents: Contents) -> Contents:
        """Count records as damage that are no event for a log of their own model."""
        foreign = [
            record
            for record in contents.records
            if record.kind not in WRITTEN.values() or not self._is_log(record.model, record.log)
        ]
        if not foreign:
            return contents
        return Contents(
            [record for record in contents.records if record not in foreign],
            contents.damage + [(record.offset, len(record.payload)) for record in foreign],
        )

    def _judge(self, file: SpoolFile, contents: Contents, written: int) -> None:
        """Report damage once, and count only the events that can be read."""
        file.events -= max(0, written - len(contents.records))
        if not contents.damage or file.damaged:
            return
        file.damaged = True
        self.damaged += len(contents.damage)
        logger.error(
            "The spool file %s is damaged at (byte, length) %s; its other %d events are sent, and "
            "it is kept as .damaged.",
            file.path,
            contents.damage[:5],
            len(contents.records),
        )

    def _fitting(self, batch: Batch) -> Batch:
        """Return the first events that the bound has room for."""
        room = self._max_bytes - self.bytes
        for number, pair in enumerate(batch):
            room -= _bytes_of(pair)
            if room < 0:
                return batch[:number]
        return batch

    async def _open(self) -> SpoolFile:
        """Return the file that is appended to."""
        if self._active is None or self._active.size >= self._file_bytes:
            self._active = await self._run(lambda: create(self._folder))
            self._files.append(self._active)
        return self._active

    def _break(self, error: OSError) -> None:
        """Note that a write failed: the file is not appended to any more."""
        self._active = None
        if self.fault != "error":
            logger.error(
                "The spool in %s cannot be written (%s); events are kept in memory only.",
                self._folder,
                error,
            )

    def _refuse(self, batch: Batch, fault: Literal["full", "error"]) -> None:
        """Note a group that was not written, and how many bytes must find room for another try: one
        event's in a spool that is full, the whole group's on a disk that fails.
        """
        self.fault = fault
        group = batch[:1] if fault == "full" else batch
        self._refused_bytes = sum(_bytes_of(pair) for pair in group)

    def _forget(self, file: SpoolFile, error: OSError) -> None:
        logger.error("The spool file %s cannot be read (%s); it is tried again.", file.path, error)
        self._files.remove(file)
        if file is self._active:
            self._active = None
        file.release()

    async def _run(self, operation: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, operation)


def _bytes_of(pair: tuple[Lane, Entry]) -> int:
    """Return how many bytes an event takes in a file."""
    lane, entry = pair
    return frame_bytes(entry.publisher, lane.model, lane.log, entry.payload)


def _append(file: SpoolFile, batch: Batch) -> tuple[int, list[int]]:
    """Write a group; return the offset where it begins and the lengths of its records."""
    framed = [
        frame(entry.publisher, lane.model, lane.log, entry.sequence, entry.payload, entry.kind)
        for lane, entry in batch
    ]
    return file.append(b"".join(framed)), [len(one) for one in framed]
