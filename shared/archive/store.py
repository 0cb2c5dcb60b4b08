"""Where an archive's files are: a folder, or object storage (`s3://`, `gs://`, `az://`).

Files are written whole or not at all. A file of rows is never changed: `create` keeps the one that
is there. What changes is a manifest, by `change`, which loses nothing that another process writes
at the same time.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol
from urllib.parse import unquote, urlsplit

from driftgauge.shared.errors import BadData, ConfigurationError
from driftgauge.shared.extras import needs
from driftgauge.shared.regular_files import SMALL, open_regular, read_regular
from driftgauge.shared.storage.answers import CLIENT, translated
from driftgauge.shared.storage.atomic import FolderLock, replace, sync

SCHEMES: Final = ("s3", "gs", "az")
ATTEMPTS: Final = 50
"""Most attempts of a change that others win again and again."""
BUFFER: Final = 1 << 20
"""Bytes of an object that are asked for at once."""
LOCK: Final = "_state/.lock"
Reading = Callable[[], AbstractContextManager[None]]
"""A context in which the errors of object storage become those of Python."""
ASIDE: Final = ".retired"
"""End of the name of a retired file, which begins with `_`: pandas and pyarrow leave out what
begins so, and patterns name what ends with `.parquet`.
"""


class Store(Protocol):
    """A place for the files of an archive. Paths are parts joined by `/`.

    Every method raises OSError if the place does not answer, refuses, or is full.
    """

    def where(self, path: str = "") -> str:
        """Return the address of a file, for messages."""
        ...

    def find(self, prefix: str) -> Iterator[str]:
        """Yield the paths of all files below a folder; none if there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """Read a manifest; FileNotFoundError if there is none."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file of rows to read parts of it; FileNotFoundError if there is none."""
        ...

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless it is there; return whether it was written."""
        ...

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content of a file by a function of it, which gets None without a file.

        The function may be called more than once.
        """
        ...

    def retire(self, path: str) -> None:
        """Give a file, if it is there, a name that tools do not read: `open` and `remove` find it,
        and `find` names it as before.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it is there, retired or not."""
        ...


def open_store(url: str) -> Store:
    """Open the place that an address names: a folder's path, `file://`, `s3://`, `gs://`, `az://`.

    Raises
    ------
    ConfigurationError
        If the address cannot be one.
    NotInstalled
        If object storage is named, and its package is absent.

    Examples
    --------
    >>> open_store("file:///var/archive").where("x"), open_store("ftp://host")
    Traceback (most recent call last):
    driftgauge.shared.errors.ConfigurationError: An archive cannot be at ftp://host: give the path \
of a folder, or an address that begins with s3://, gs://, az:// or file://.
    """
    scheme, mark, _ = url.partition("://")
    if not mark:
        return FolderStore(Path(url))
    if scheme == "file" and not urlsplit(url).netloc:
        return FolderStore(Path(unquote(urlsplit(url).path)))
    if scheme in SCHEMES and urlsplit(url).netloc:
        return ObjectStore(url)
    raise ConfigurationError(
        f"An archive cannot be at {url}: give the path of a folder, or an address that begins with "
        f"s3://, gs://, az:// or file://."
    )


def aside(path: str) -> str:
    """Return the name that a file gets when it is retired.

    >>> aside("labels/date=2025-11-20/a.parquet")
    'labels/date=2025-11-20/_a.parquet.retired'
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}_{name}{ASIDE}"


def named(path: str) -> str:
    """Return the name of a file before it was retired.

    >>> named(aside("labels/a.parquet")), named("labels/a.parquet")
    ('labels/a.parquet', 'labels/a.parquet')
    """
    folder, slash, name = path.rpartition("/")
    retired = name.startswith("_") and name.endswith(ASIDE)
    return f"{folder}{slash}{name[1 : -len(ASIDE)]}" if retired else path


class FolderStore:
    """A folder, which need not exist yet: a file gets its name when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def where(self, path: str = "") -> str:
        return str((self._path / path).absolute())

    def find(self, prefix: str) -> Iterator[str]:
        for folder, folders, names in os.walk(self._path / prefix):
            folders.sort()
            for name in sorted({named(name) for name in names}):
                yield (Path(folder) / name).relative_to(self._path).as_posix()

    def read(self, path: str) -> bytes:
        return read_regular(self._path / path, SMALL)

    def open(self, path: str) -> BinaryIO:
        try:
            descriptor = open_regular(self._path / path)
        except FileNotFoundError:
            descriptor = open_regular(self._path / aside(path))
        return os.fdopen(descriptor, "rb")

    def create(self, path: str, content: bytes) -> bool:
        place = self._path / path
        if place.exists():
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=place.parent)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.chmod(0o644)
            sync(new)
            try:
                os.link(new, place)  # unlike a rename it fails if somebody was faster
            except FileExistsError:
                return False
            except OSError:  # the file system has no links
                new.rename(place)
        finally:
            new.unlink(missing_ok=True)
        sync(place.parent)
        return True

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        place = self._path / path
        with FolderLock(self._path / LOCK):
            changed = change(self.read(path) if place.is_file() else None)
            place.parent.mkdir(parents=True, exist_ok=True)
            replace(place, changed)

    def retire(self, path: str) -> None:
        with suppress(FileNotFoundError):
            (self._path / path).rename(self._path / aside(path))

    def remove(self, path: str) -> None:
        for name in (path, aside(path)):
            (self._path / name).unlink(missing_ok=True)


class _Object(io.RawIOBase):
    """An object as a file that is read in parts.

    Parameters
    ----------
    reader
        obstore's reader of it.
    retired
        Function that returns a reader of the object that it becomes when it is retired.
    """

    def __init__(self, reader: Any, retired: Callable[[], Any], reading: Reading) -> None:
        self._reader, self._retired, self._reading = reader, retired, reading

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._reader.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        place: int = self._reader.tell()
        return place

    def readinto(self, into: Any) -> int:
        try:
            found = self._read(len(into))
        except FileNotFoundError:  # it was retired since it was opened
            place, self._reader = self.tell(), self._retired()
            self._reader.seek(place)
            found = self._read(len(into))
        into[: len(found)] = found
        return len(found)

    def _read(self, most: int) -> memoryview:
        with self._reading():
            return memoryview(self._reader.read(most))


class ObjectStore:
    """Object storage, by obstore (extra `s3`); address, keys and region are of the environment."""

    def __init__(self, url: str) -> None:
        with needs("s3"):
            import obstore
            from obstore.store import from_url
        self._obstore: Any = obstore
        self._url = url.rstrip("/")
        self._store: Any = from_url(self._url, client_options=CLIENT)

    def where(self, path: str = "") -> str:
        return f"{self._url}/{path}" if path else self._url

    def find(self, prefix: str) -> Iterator[str]:
        with translated(self._obstore, self._url):
            found = [
                one["path"] for page in self._obstore.list(self._store, prefix) for one in page
            ]
        yield from sorted({named(path) for path in found})

    def read(self, path: str) -> bytes:
        return self._read(path)[0]

    def open(self, path: str) -> BinaryIO:
        retired = partial(self._reader, aside(path))
        try:
            found = self._reader(path)
        except FileNotFoundError:
            found = retired()
        reading = partial(translated, self._obstore, self._url)
        return io.BufferedReader(_Object(found, retired, reading), BUFFER)

    def create(self, path: str, content: bytes) -> bool:
        try:
            with translated(self._obstore, self._url):
                self._obstore.put(self._store, path, content, mode="create")
        except FileExistsError:
            return False
        return True

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        for _ in range(ATTEMPTS):
            try:
                content, tag = self._read(path)
            except FileNotFoundError:
                content, tag = None, None
            changed = change(content)
            mode: Any = "create" if tag is None else {"e_tag": tag}
            if changed == content:  # or our own write, whose answer was lost
                return
            try:
                with translated(self._obstore, self._url):
                    self._obstore.put(self._store, path, changed, mode=mode)
            except FileExistsError:
                continue
            return
        raise BadData(f"{self.where(path)} is changed by others all the time; try again.")

    def retire(self, path: str) -> None:
        with suppress(FileNotFoundError), translated(self._obstore, self._url):
            self._obstore.rename(self._store, path, aside(path))

    def remove(self, path: str) -> None:
        for name in (path, aside(path)):
            with translated(self._obstore, self._url, gone=True):
                self._obstore.delete(self._store, name)

    def _reader(self, path: str) -> Any:
        with translated(self._obstore, self._url):
            return self._obstore.open_reader(self._store, path)

    def _read(self, path: str) -> tuple[bytes, str]:
        with translated(self._obstore, self._url):
            found = self._obstore.get(self._store, path)
            if found.meta["size"] > SMALL:
                raise BadData(f"{self.where(path)} is too large for a manifest.")
            return bytes(found.bytes()), found.meta["e_tag"]
