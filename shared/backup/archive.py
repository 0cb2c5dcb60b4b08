"""The file of a backup: a tar in gzip.

    driftgauge.json      the format, and what it is a backup of; first
    keys/NNNNNNNN        records of keys (records.py)
    registry/…           the files of the registry
    manifest.json        size and SHA-256 of every member before it; last, so a file that was cut
                         off is no backup

It is written beside its place under another name, for its user only, and takes its place when it is
whole.
"""

import gzip
import hashlib
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec

from driftgauge.shared.backup.records import CHUNK_BYTES, Record, packed, size_of
from driftgauge.shared.contract.keys import FORMAT
from driftgauge.shared.errors import BadData
from driftgauge.shared.regular_files import LARGE, SMALL, open_regular
from driftgauge.shared.storage.atomic import sync
from driftgauge.shared.unpacking import UNREADABLE

BACKUP_FORMAT: Final = 1
HEADER, MANIFEST = "driftgauge.json", "manifest.json"
KEYS, REGISTRY = "keys/", "registry/"
MOST_RECORDS: Final = 512 << 20
"""Most bytes of a member with records: a value in Redis has at most so many."""
SPOOLED_BYTES: Final = 8 << 20
"""Bytes of an attempt that are kept in memory; more go to a temporary file."""
PIECE: Final = 1 << 20
LEVEL: Final = 3
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,199}")
_KEYS = re.compile(rf"{KEYS}\d{{8}}")


class Header(msgspec.Struct, frozen=True):
    """What a file is a backup of.

    Parameters
    ----------
    format
        Format of the file.
    release
        Release of Driftgauge that made it.
    made
        When it was begun (ISO 8601, UTC).
    prefix
        Prefix of its keys.
    checkpoints
        Highest format of checkpoints that this release knows.
    server
        Kind and version of the server.
    whole_logs
        Whether it has events that were counted already.
    """

    format: int
    release: str
    made: str
    prefix: str
    checkpoints: int
    server: str
    whole_logs: bool


class Manifest(msgspec.Struct, frozen=True):
    """What a file holds.

    Parameters
    ----------
    members
        Name, size in bytes and SHA-256 (hex) of each member before this one, in their order.
    keys, entries
        Number of keys, and of entries of streams.
    """

    members: list[tuple[str, int, str]]
    keys: int
    entries: int


class _Digesting:
    """A file that is read once, and its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


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
        told, digesting = tarfile.TarInfo(name), _Digesting(file)
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


class Reader:
    """A backup that is read. It is read from the beginning by each of its methods.

    Raises
    ------
    BadData
        If the file cannot be opened, or a method finds that it is damaged, was cut off, is of a
        newer release, or is no backup.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: IO[bytes] = os.fdopen(open_regular(path), "rb")
        except OSError as error:
            raise BadData(f"{path} cannot be read: {error.strerror or error}.") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def check(self, look: Callable[[str, bytes], None]) -> tuple[Header, Manifest]:
        """Read the whole file, and compare every member with the manifest.

        Parameters
        ----------
        look
            Function that gets name and content of each member with records.
        """
        with self._reading():
            return self._checked(look)

    def _checked(self, look: Callable[[str, bytes], None]) -> tuple[Header, Manifest]:
        found: list[tuple[str, int, str]] = []
        header: Header | None = None
        for name, size, file in self._members():
            if name == MANIFEST:
                manifest = self._decoded(file.read(), Manifest, name)
                if header is None or manifest.members != found:
                    raise self._damaged("its content does not have the checksums of its manifest")
                return header, manifest
            digesting = _Digesting(file)
            if header is None:
                header = self._header(name, digesting.read(SMALL))
            elif name.startswith(KEYS):
                look(name, digesting.read())
            while digesting.read(PIECE):
                pass
            found.append((name, size, digesting.digest.hexdigest()))
        raise self._damaged("it was cut off: it has no manifest")

    def members(self, beginning: str) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield name and content of the members whose names begin so."""
        for name, _, file in self._members():
            if name.startswith(beginning):
                yield name, file

    def _header(self, name: str, content: bytes) -> Header:
        if name != HEADER:
            raise BadData(f"{self._path} is no backup of Driftgauge.")
        told: _Told = self._decoded(content, _Told, name)
        if told.format > BACKUP_FORMAT or told.checkpoints > int(FORMAT):
            raise BadData(
                f"{self._path} was made by a newer release of Driftgauge ({told.release}): it has "
                f"format {told.format} with checkpoints of format {told.checkpoints}, this release "
                f"reads {BACKUP_FORMAT} and {FORMAT.decode()}. Restore it by that release or a "
                f"later one."
            )
        header: Header = self._decoded(content, Header, name)
        return header

    def _members(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        """Yield name, size and content of each member."""
        self._file.seek(0)
        with (
            self._reading(),
            gzip.GzipFile(fileobj=self._file) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            for member in tar:
                self._require_usual(member)
                file: Any = tar.extractfile(member)
                yield member.name, member.size, file

    def _require_usual(self, member: tarfile.TarInfo) -> None:
        """Refuse a member that no backup has: a link, a device, a path that leads elsewhere."""
        name = member.name
        inside = name.startswith(REGISTRY) and is_registry_path(name.removeprefix(REGISTRY))
        known = name in {HEADER, MANIFEST} or _KEYS.fullmatch(name) or inside
        most = LARGE if inside else MOST_RECORDS if name.startswith(KEYS) else SMALL
        if not known or not member.isreg() or member.size > most:
            raise BadData(
                f"{self._path} has a member {name[:200]!r} that no backup has. Nothing of it was "
                f"used."
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, OSError, EOFError, *UNREADABLE) as error:
            if isinstance(error, BadData):
                raise
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def _decoded(self, content: bytes, kind: type[Any], name: str) -> Any:
        try:
            return msgspec.json.decode(content, type=kind)
        except UNREADABLE as error:
            raise self._damaged(f"{name}: {error}") from error

    def _damaged(self, why: str) -> BadData:
        return BadData(f"{self._path} is damaged, or no backup of Driftgauge: {why}.")


class _Told(msgspec.Struct, frozen=True):
    """What any format says in its header."""

    format: int
    release: str
    checkpoints: int


def is_registry_path(path: str) -> bool:
    """Tell whether a path is one that a registry's file has: below the folder of a model.

    Examples
    --------
    >>> [is_registry_path(path) for path in ("steel/1.0.0/schema.json", "../a", "/etc/x", "a/.b")]
    [True, False, False, False]
    """
    parts = path.split("/")
    return 2 <= len(parts) <= 5 and all(_NAME.fullmatch(part) for part in parts)
