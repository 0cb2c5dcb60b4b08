"""Atomic changes of files: no reader and no loss of power ever meets a half-written one."""

import os
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from driftgauge.shared.errors import BadData

LOCK_S: Final = 60
"""Longest wait for another process that changes the same model, in seconds."""


class FolderLock:
    """A context in which no other process changes the folder of a model.

    Entering raises BadData if another process holds the lock for `LOCK_S`, or the lock file cannot
    be written. The lock of a process that dies is released.

    Parameters
    ----------
    path
        The lock file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path, timeout=LOCK_S)

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise BadData(
                f"Another process has held {self._path} for {LOCK_S} s; nothing was changed. End "
                f"it, and try again."
            ) from None
        except OSError as error:
            raise BadData(
                f"{self._path} cannot be locked: {error.strerror}. Is the registry folder writable?"
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def replace(path: Path, content: bytes) -> None:
    """Write a file so that every reader sees the old content or the new one, never a part.

    Only one process may replace a file at a time: hold a lock.
    """
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    sync(new)
    new.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file or folder to the disk.

    Without it a loss of power could keep a rename but lose the content of the renamed file.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
