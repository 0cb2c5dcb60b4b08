"""Reading the file of a backup, of which nothing is believed before its checksums are right."""

import gzip
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from driftgauge.shared.backup.form import (
    BACKUP_FORMAT,
    HEADER,
    KEYS,
    MANIFEST,
    REGISTRY,
    Digesting,
    Header,
    Manifest,
    is_registry_path,
)
from driftgauge.shared.contract.keys import FORMAT
from driftgauge.shared.errors import BadData
from driftgauge.shared.regular_files import LARGE, SMALL, open_regular
from driftgauge.shared.unpacking import UNREADABLE

MOST_RECORDS: Final = 512 << 20
"""Most bytes of a member with records: a value in Redis has at most so many."""
PIECE: Final = 1 << 20
_KEYS = re.compile(rf"{KEYS}\d{{8}}")


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
            digesting = Digesting(file)
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
