"""Writing the file of a backup."""

import gzip
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from driftgauge.shared.backup.form import HEADER, KEYS, MANIFEST, Digesting, Header, Manifest
from driftgauge.shared.backup.records import CHUNK_BYTES, Record, packed, size_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.storage.atomic import sync

SPOOLED_BYTES: Final = 8 << 20
"""Bytes of an attempt that are kept in memory; more go to a temporary file."""
LEVEL: Final = 3
"""Level of compression."""


class Writer:
    """A context that writes a backup; it takes its place at the end, if nothing failed.

    Parameters
    ----------
    path
        Its place, where no file may be.

    Raises
    ------
    BadData
        If there is a file, or none can be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.new")
        self._header = header
        self._members: list[tuple[str, int, str]] = []
        self.size = 0
        """Size of the file in bytes, when it is whole."""

    def __enter__(self) -> Self:
        if self._path.exists():
            raise BadData(f"{self._path} is there already. Name another file.")
        with self.writing():
            self._new.unlink(missing_ok=True)  # of a process that was killed
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file: IO[bytes] = os.fdopen(os.open(self._new, flags, 0o600), "wb")
        self._zip = gzip.GzipFile("", "wb", LEVEL, self._file, mtime=0)
        self._tar = tarfile.open(fileobj=self._zip, mode="w|")
        self.add(HEADER, msgspec.json.encode(self._header))
        return self

    def add(self, name: str, content: bytes) -> None:
        """Add a member."""
        with tempfile.SpooledTemporaryFile(len(content) + 1) as file:
            file.write(content)
            file.seek(0)
            self.copy(name, file, len(content))

    def copy(self, name: str, file: IO[bytes], size: int) -> None:
        """Add a member from the next `size` bytes of a file."""
        told, digesting = tarfile.TarInfo(name), Digesting(file)
        told.size = size
        with self.writing():
            self._tar.addfile(told, digesting)
        self._members.append((name, size, digesting.digest.hexdigest()))

    def finish(self, *, keys: int, entries: int) -> None:
        """Add the last member."""
        manifest = Manifest(list(self._members), keys, entries)
        self.add(MANIFEST, msgspec.json.encode(manifest))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self.writing():
                self._tar.close()
                self._zip.close()
                self._file.flush()
                if error is None:
                    os.fsync(self._file.fileno())
                    self.size = self._file.tell()
                    self._new.rename(self._path)
                    sync(self._path.parent)
        finally:
            with suppress(OSError):  # what it could not write was told
                self._file.close()
            self._new.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Translate what a disk raises, such as one that is full, to BadData."""
        try:
            yield
        except OSError as error:
            raise BadData(f"{self._path} cannot be written: {error}.") from error


class Chunks:
    """A context that gathers records to members; those of an attempt are put aside until it is
    known whether they are kept.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._number = 0
        self._records: list[Record] = []
        self._bytes = 0
        self._sizes: list[int] = []

    def __enter__(self) -> Self:
        self._aside = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()

    def add(self, record: Record) -> None:
        """Take the next record."""
        self._records.append(record)
        self._bytes += size_of(record)
        if self._bytes >= CHUNK_BYTES:
            self._put_aside()

    def discard(self) -> None:
        """Forget the records since the last `keep`."""
        self._records, self._bytes, self._sizes = [], 0, []
        self._aside.seek(0)
        self._aside.truncate()

    def keep(self) -> None:
        """Write the records since the last time to the backup."""
        if self._records:
            self._put_aside()
        self._aside.seek(0)
        for size in self._sizes:
            self._writer.copy(f"{KEYS}{self._number:08d}", self._aside, size)
            self._number += 1
        self.discard()

    def _put_aside(self) -> None:
        content = packed(self._records)
        with self._writer.writing():
            self._aside.write(content)
        self._sizes.append(len(content))
        self._records, self._bytes = [], 0
