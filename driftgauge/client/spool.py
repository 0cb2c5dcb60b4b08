"""The spool: events and labels on disk until the API has them, so that they outlive the process.

A file belongs to the process that has its lock (flock), which the kernel frees however the process
ends; the next process that finds it sends what is in it, under its old numbers. The API may have
some of it already: what it has, it drops.

A file is written by `log` itself, so that what was accepted is there when the process is killed,
and forced to the disk by the sender within a second. It is removed when all of it is settled. Its
frames (shared/framing.py) are a header, and records of kind, partition, number and JSON.

Paths are plain texts here: importing `pathlib` takes a fifth of the client's time.
"""

import json
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final
from zlib import crc32

from driftgauge.client.unit import (
    AT_ONCE,
    EVENT,
    LABEL,
    MOST,
    Numbered,
    Numbers,
    Unit,
    batches_of,
    give_way,
)
from driftgauge.shared.framing import Frames, framed, read

SUFFIX: Final = ".monitor"
HEADER: Final = b"h"
KINDS: Final = (EVENT, LABEL)
RECORD: Final = struct.Struct("<cHQ")
FILE_BYTES: Final = 8 << 20
"""Size at which a file is not appended to any more."""
SMALL_BYTES: Final = 1 << 20
"""Size below which a file is appended to though all of it is settled."""
PIECE: Final = 1 << 18
"""Bytes that are read at a time."""
RETRY_S: Final = 1.0
"""Pause after a write that failed."""
ODD: Final = (OSError, ValueError, LookupError, TypeError)
"""What a file raises that is none of ours."""
ADOPT_S: Final = 5.0
"""Pause between two looks for files of processes that have ended."""


class File:
    """An open file whose lock is ours.

    Parameters
    ----------
    size
        Bytes that are written.

    Attributes
    ----------
    settled
        Bytes that need not be sent any more.
    """

    def __init__(self, path: str, descriptor: int, size: int, header: dict[str, Any]) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = size
        self.settled = 0
        self.publisher = str(header["publisher"])
        self.partitions = int(header["partitions"])
        self.dirty = False

    def append(self, kind: bytes, item: Numbered) -> None:
        """Write a record; OSError if the disk does not take all of it."""
        partition, number, payload = item
        record = framed(RECORD.pack(kind, partition, number) + payload)
        _write(self.descriptor, record, self.size)
        self.size += len(record)
        self.dirty = True

    def next(self) -> tuple[Frames, int]:
        """Read the next frames; return them, and the offset after them."""
        piece = PIECE
        while True:
            content = os.pread(self.descriptor, min(piece, self.size - self.settled), self.settled)
            found = _read(content)
            if found.end:
                return found, self.settled + found.end
            if not content or len(content) >= self.size - self.settled:
                return found, self.size  # the end cuts it off: it was never accepted
            piece *= 4  # a record is longer than this piece

    def settle(self, offset: int) -> None:
        """Note that nothing before an offset need be sent any more."""
        self.settled = offset

    def sync(self) -> None:
        """Force to the disk what was written."""
        if self.dirty:
            self.dirty = False
            os.fsync(self.descriptor)

    def remove(self) -> None:
        """Remove the file."""
        _unlink(self.path)
        self.close()

    def close(self) -> None:
        """Free the lock: whoever takes it next sends what is there."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Spool:
    """The files of one process, and those that it has adopted.

    Parameters
    ----------
    folder
        Folder of the files, shared with other processes; it is made.
    model
        Model of the events; files of other models are left alone.
    most_bytes
        Most bytes of the files of this process.

    Attributes
    ----------
    damaged
        Damaged stretches that were found.
    """

    def __init__(self, folder: str, model: str, most_bytes: int) -> None:
        self.damaged = 0
        self._folder = folder
        self._model = model
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._numbers = Numbers(1)
        self._active: File | None = None
        self._own: deque[File] = deque()
        self._adopted: deque[File] = deque()
        self._turn = False
        self._look_at = self._retry_at = 0.0
        self._failed = ""

    @property
    def failed(self) -> str:
        """Why the disk took nothing lately; empty if it does."""
        return self._failed

    @property
    def size(self) -> int:
        """Bytes that are not settled."""
        return sum(file.size - file.settled for file in self._files())

    @property
    def waits(self) -> bool:
        """Whether something is not settled."""
        return any(file.settled < file.size for file in self._files())

    def _files(self) -> Iterator[File]:
        yield from list(self._own)
        yield from list(self._adopted)

    # -- writing, by the application's threads -----------------------------------------------------

    def put(self, kind: bytes, crc: int, payload: bytes) -> bool:
        """Write an event or label; return whether there was room, and the disk took it."""
        with self._lock:
            if self._failed and time.monotonic() < self._retry_at:
                return False
            try:
                file = self._open()
                if file is None:
                    return False
                file.append(kind, (*self._numbers.give(kind, crc), payload))
            except OSError as error:  # the caller keeps it in memory; its number is used by none
                self._failed, self._retry_at = str(error), time.monotonic() + RETRY_S
                self._begin_anew(self._numbers.partitions)
                return False
            self._failed = ""
        return True

    def _open(self) -> File | None:
        """Return the file that is appended to; None if there is no room for another one."""
        file = self._active
        if file is not None and (
            file.size >= FILE_BYTES or (file.settled == file.size >= SMALL_BYTES)
        ):
            file = self._active = None
        if file is None:
            if sum(one.size for one in self._own) >= self._most_bytes:
                return None
            self._active = file = self._create(self._numbers)
            self._own.append(file)
        return file

    def _begin_anew(self, partitions: int) -> None:
        """Number from 1, under a new name and in another file."""
        self._numbers = Numbers(partitions)
        self._active = None

    def _create(self, numbers: Numbers) -> File:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        while True:
            name = f"{time.time_ns():020d}-{os.urandom(4).hex()}{SUFFIX}"
            path = os.path.join(self._folder, name)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            descriptor = os.open(path, flags, 0o600)
            if _lock(path, descriptor):  # else another process took it for one without an owner
                break
        header = {
            "model": self._model,
            "publisher": numbers.publisher,
            "partitions": numbers.partitions,
        }
        packed = framed(HEADER + json.dumps(header).encode())
        try:
            _write(descriptor, packed, 0)
        except OSError:
            os.close(descriptor)
            _unlink(path)
            raise
        return File(path, descriptor, len(packed), header)

    # -- sending, by the sender's thread -----------------------------------------------------------

    def take(self) -> Unit | None:
        """Return what is to be sent next; None if nothing waits. What is not settled is given
        again. Files of processes that have ended have every second turn.
        """
        self._turn = not self._turn
        queues = (self._own, self._adopted) if self._turn else (self._adopted, self._own)
        for queue in queues:
            while queue:
                found = self._next(queue[0])
                if found is not None:
                    return found
                if queue[0] is self._active:
                    break
                queue.popleft().remove()
        return None

    def _next(self, file: File) -> Unit | None:
        """Return the next records of a file; None if all of it is settled."""
        while True:
            if file.settled < file.size:
                found, after = file.next()
                self.damaged += len(found.damage)
                items = _items(found)
                if any(items.values()):
                    batches = batches_of(file.publisher, file.partitions, items)
                    return Unit(batches, partial(file.settle, after))
                file.settled = after
                continue
            with self._lock:  # nobody appends meanwhile
                if file.settled == file.size:
                    if file is self._active and file.size >= SMALL_BYTES:
                        self._active = None
                    return None

    def sync(self) -> None:
        """Force to the disk what was written."""
        for file in list(self._own):
            with suppress(OSError):  # it stays dirty for the system; what is lost is lost with it
                file.sync()

    def renumber(self, partitions: int) -> None:
        """Number by another number of partitions, under a new name. Files that are numbered
        otherwise are written anew, each in one step.
        """
        with self._lock:
            self._begin_anew(partitions)
        for queue in (self._own, self._adopted):
            for place, file in enumerate(queue):
                if file.partitions != partitions:
                    queue[place] = self._renumbered(file, partitions)

    def _renumbered(self, file: File, partitions: int) -> File:
        """Write what is not settled of a file to a new one, which takes its place."""
        numbers = Numbers(partitions)
        new = self._create(numbers)
        while file.settled < file.size:
            found, file.settled = file.next()
            for kind, items in _items(found).items():
                for _, _, payload in items:
                    new.append(kind, (*numbers.give(kind, _crc_of(kind, payload)), payload))
        new.sync()
        os.replace(new.path, file.path)
        new.path = file.path
        file.close()
        return new

    def adopt(self) -> None:
        """Take over the files of processes that have ended, every few seconds."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + ADOPT_S
        known = {file.path for file in self._files()}
        names = os.listdir(self._folder) if os.path.isdir(self._folder) else []
        for path in (os.path.join(self._folder, name) for name in sorted(names)):
            if path.endswith(SUFFIX) and path not in known:
                with suppress(*ODD):  # it is left alone
                    self._take_over(path)

    def _take_over(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        if not _lock(path, descriptor):
            return
        size = os.fstat(descriptor).st_size
        try:
            content = os.pread(descriptor, PIECE, 0)
            bodies = read(content, least=1, most=1).bodies
            if not size:
                _unlink(path)
            self._adopted.append(File(path, descriptor, size, self._header(bodies[0][1])))
        except BaseException:
            os.close(descriptor)
            raise

    def _header(self, body: bytes) -> dict[str, Any]:
        """Read a header; ValueError if it is none of this model."""
        header: dict[str, Any] = json.loads(body[1:])
        if body[:1] != HEADER or header["model"] != self._model:
            raise ValueError("it is of another model")
        return header

    def close(self, *, keep: bool = False) -> None:
        """Free all files; those that are settled are removed, unless they are another process's
        (`keep`).
        """
        for file in self._files():
            with suppress(OSError):
                if file.settled == file.size and not keep:
                    file.remove()
                else:
                    file.close()
        self._own.clear()
        self._adopted.clear()
        self._active = None


def _read(content: bytes) -> Frames:
    """Read the next frames, some at a time."""
    found = Frames([], [], 0)
    while len(found.bodies) < MOST:
        part = read(content[found.end :], least=1, most=AT_ONCE)
        if not part.end:
            break
        found.bodies.extend(part.bodies)
        found.damage.extend(part.damage)
        found = found._replace(end=found.end + part.end)
        give_way()
    return found


def _items(found: Frames) -> dict[bytes, list[Numbered]]:
    """Return the records of frames, by their kind; a header is none."""
    items: dict[bytes, list[Numbered]] = {EVENT: [], LABEL: []}
    for _, body in found.bodies:
        if body[:1] in KINDS and len(body) >= RECORD.size:
            kind, partition, number = RECORD.unpack_from(body)
            items[kind].append((partition, number, body[RECORD.size :]))
    return items


def _crc_of(kind: bytes, payload: bytes) -> int:
    content = json.loads(payload)
    return crc32(content["id" if kind == EVENT else "prediction_id"].encode())


def _write(descriptor: int, packed: bytes, start: int) -> None:
    """Append to a file that ends at `start`, all of it or nothing.

    Raises
    ------
    OSError
        If the disk does not take all of it.
    """
    written = os.write(descriptor, packed)
    if written < len(packed):  # a disk that is nearly full takes a part without an error
        os.ftruncate(descriptor, start)
        raise OSError(f"only {written} of {len(packed)} bytes were taken")


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _lock(path: str, descriptor: int) -> bool:
    """Take the lock if it is free and the file is still there; else close the file."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return True
    except (BlockingIOError, FileNotFoundError):  # it has an owner, or was just removed
        pass
    os.close(descriptor)
    return False
