"""One file of the spool: locked by its process, appended to in groups, removed whole.

The lock (flock) belongs to the open file, so the kernel frees it when the process ends, however it
ends: a file whose lock is free has no owner, and whoever takes the lock owns it.
"""

import errno
import fcntl
import os
import secrets
import stat
import sys
import time
from enum import IntEnum
from pathlib import Path

from driftgauge.producer.publishing.spool_records import Contents, read
from driftgauge.shared.regular_files import check_size, open_regular

SUFFIX = ".spool"
DAMAGED = ".damaged"

Numbered = tuple[str, bytes, bytes]
"""Model, log and publisher: what numbers count within."""

_sync = os.fsync if sys.platform == "darwin" else os.fdatasync


class Mark(IntEnum):
    """State of a record's event; without a mark the event is only on disk."""

    MEMORY = 1
    """It is in its lane, or on its way to Redis."""
    ACKNOWLEDGED = 2
    AGAIN = 3
    """It was acknowledged by a server that may have lost it."""


class SpoolFile:
    """A file of the spool, and what has become of its records.

    Parameters
    ----------
    path
        Path of the file.
    descriptor
        Descriptor of the open file, whose lock is held.
    size
        Bytes that are synced to disk.

    Attributes
    ----------
    events
        Number of records in the file.
    marks
        Mark of each record that has one, by its offset.
    unread
        Whether some records may be only on disk, so that the file must be read.
    numbers
        First and last number of each model, log and publisher in it.
    """

    def __init__(self, path: Path, descriptor: int, size: int = 0) -> None:
        self.path = path
        self.size = size
        self.events = 0
        self.acknowledged = 0
        self.acknowledged_at = float("-inf")
        self.marks: dict[int, Mark] = {}
        self.unread = False
        self.damaged = False
        self.numbers: dict[Numbered, tuple[int, int]] = {}
        self._descriptor = descriptor

    @property
    def outstanding(self) -> int:
        """Number of events that Redis has not acknowledged."""
        return max(0, self.events - self.acknowledged)

    def note(self, model: str, log: bytes, publisher: bytes, number: int) -> None:
        """Note that a record of the file has a number."""
        first, last = self.numbers.get((model, log, publisher), (number, number))
        self.numbers[model, log, publisher] = min(first, number), max(last, number)

    def acknowledge(self, offset: int, now: float) -> None:
        """Note that Redis has an event."""
        if self.marks.get(offset) is not Mark.ACKNOWLEDGED:
            self.marks[offset] = Mark.ACKNOWLEDGED
            self.acknowledged += 1
        self.acknowledged_at = now

    def doubt(self) -> int:
        """Note that the server may have lost what it acknowledged; return the number of these
        events.
        """
        doubtful = [offset for offset, mark in self.marks.items() if mark is Mark.ACKNOWLEDGED]
        self.marks.update(dict.fromkeys(doubtful, Mark.AGAIN))
        self.acknowledged -= len(doubtful)
        self.unread = self.unread or bool(doubtful)
        return len(doubtful)

    def append(self, group: bytes) -> int:
        """Write a group and sync it; return the offset where it begins.

        Raises
        ------
        OSError
            If the write or the sync fails. The file is cut to its old end and must not be appended
            to again: after a failed sync nobody knows what is on the disk.
        """
        start = self.size
        try:
            _write(self._descriptor, group)
            _sync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise
        self.size += len(group)
        return start

    def read(self) -> Contents:
        """Read what is synced."""
        return read(os.pread(self._descriptor, self.size, 0))

    def discard(self) -> None:
        """Remove the file, or put it aside if it is damaged, and free its lock."""
        try:
            if self.damaged:
                self.path.rename(self.path.with_suffix(DAMAGED))
            else:
                self.path.unlink(missing_ok=True)
        finally:
            self.release()

    def release(self) -> None:
        """Free the lock; whoever takes it next sends what is here."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def create(folder: Path) -> SpoolFile:
    """Make an empty file that this process owns.

    Raises
    ------
    OSError
        If the file cannot be made, or others own the folder or may write to it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_owner(folder, folder.stat())
    while True:
        path = folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}{SUFFIX}"
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if _lock(
            path, descriptor
        ):  # else another process took it for an orphan before we had the lock
            _sync_folder(folder)
            return SpoolFile(path, descriptor)


def try_out(folder: Path, size: int) -> None:
    """Write and sync a file of a size in bytes, and remove it again.

    Raises
    ------
    OSError
        If the disk does not take it.
    """
    file = create(folder)
    try:
        file.append(bytes(size))
    finally:
        file.discard()


def adopt(path: Path, most: int) -> SpoolFile | None:
    """Take over a file whose process has ended; None if it has an owner, or is gone.

    Parameters
    ----------
    most
        Bytes that a file may have.

    Raises
    ------
    OSError
        If it cannot be opened, is no regular file, is larger, or belongs to another user, who
        could have made up its events.
    """
    try:
        descriptor = open_regular(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    status = os.fstat(descriptor)
    try:
        check_owner(path, status)
        check_size(path, status.st_size, most)
    except OSError:
        os.close(descriptor)
        raise
    if not _lock(path, descriptor):
        return None
    return SpoolFile(path, descriptor, status.st_size)


def check_owner(path: Path, status: os.stat_result) -> None:
    """Raise OSError if another user owns a file or folder, or everybody may write to it. The group
    may, since Kubernetes lets a volume's group.
    """
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"it belongs to another user ({status.st_uid})", str(path))
    if status.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, "others may write to it: say chmod o-w", str(path))


def _lock(path: Path, descriptor: int) -> bool:
    """Take the lock if it is free and the file is still there; else close the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return True
    except (
        BlockingIOError,
        FileNotFoundError,
    ):  # it has an owner; or its owner has just removed it
        pass
    os.close(descriptor)
    return False


def _write(descriptor: int, group: bytes) -> None:
    """Write all of it: a disk that is nearly full takes only a part, without an error."""
    rest = memoryview(group)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content will be."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
