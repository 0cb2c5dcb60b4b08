"""Object storage (`s3://BUCKET/PREFIX`, by obstore, extra `s3`), so that hosts share no disk.

    live/…                      files that change, each by a conditional write; and what belongs to
                                them. One listing tells what has changed.
    fixed/FOLDER/NAME@DIGEST    files that were added with a folder, by their content
    fixed/FOLDER/LAST           the last file of a folder: written only if there is none, so that it
                                decides which of two writers has added the folder

Whoever is killed before the last file leaves objects that nobody finds. Who writes a folder of this
name later uses its own objects. Address, keys and region are those of the environment, as of
Amazon's tools: AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, ….
"""

import fnmatch
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs
from driftgauge.shared.regular_files import SMALL, check_size
from driftgauge.shared.storage.answers import CLIENT, translated
from driftgauge.shared.storage.storage import Mark

LIVE: Final = frozenset({"stages.json", "calibrations", "references", ".tried"})
"""What the first or second part of a path that changes is called."""
SHORT: Final = 16
"""Characters of a digest in the name of an object."""
PATIENCE_S: Final = 30.0
"""Longest time of a change that others win again and again."""


class Objects:
    """Files in object storage.

    Parameters
    ----------
    url
        `s3://BUCKET`, or with a prefix.
    """

    def __init__(self, url: str) -> None:
        with needs("s3"):
            import obstore
            from obstore.store import S3Store
        self._obstore: Any = obstore
        self._url = url.rstrip("/")
        self._store: Any = S3Store.from_url(self._url, client_options=CLIENT)

    def where(self, path: str = "") -> str:
        """Return the address of a file."""
        return f"{self._url}/{_key(path)}" if path else self._url

    def find(self, pattern: str) -> Sequence[str]:
        """Return the files that fit a pattern."""
        literal = pattern.partition("*")[0].rpartition("/")[0]
        top = _key(pattern).partition("/")[0]
        prefix = f"{top}/{literal}" if literal else top
        depth = pattern.count("/")
        paths = (_path(one["path"]) for one in self._listed(prefix))
        return sorted(
            {
                path
                for path in paths
                if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern)
            }
        )

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file."""
        try:
            with self._translated():
                self._obstore.head(self._store, _key(path))
        except FileNotFoundError:
            return False
        return True

    def read(self, path: str, most: int = SMALL, digest: str = "") -> bytes:
        """Read a file."""
        return self._read(path, most, digest)[0]

    def keep(self, path: str, content: bytes) -> str:
        """Store a file by its content: one that another process keeps under this name is another
        object.
        """
        digest = hashlib.sha256(content).hexdigest()
        with self._translated():
            self._obstore.put(self._store, _named(path, digest), content)
        return digest

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content of a file by conditional writes: again, if another one was faster."""
        end = time.monotonic() + PATIENCE_S
        while True:
            content, tag = self._read_if_there(path)
            changed = change(content)
            mode: Any = "create" if tag is None else {"e_tag": tag}
            try:
                with self._translated():
                    self._obstore.put(self._store, _key(path), changed, mode=mode)
            except FileExistsError:
                # it may be our own, sent twice since its answer was lost
                if self._read_if_there(path)[0] == changed:
                    return
                if time.monotonic() > end:
                    raise BadData(
                        f"{self.where(path)} is changed by others all the time; try again."
                    ) from None
                time.sleep(random.uniform(0.01, 0.2))
            else:
                return

    def add(self, folder: str, files: Mapping[str, bytes | Path], last: tuple[str, bytes]) -> None:
        """Add a folder; its last file decides."""
        name, content = last
        if self.is_file(f"{folder}/{name}"):
            raise FileExistsError(f"{self.where(folder)} is there already")
        for each, given in files.items():
            if isinstance(given, Path):
                with given.open("rb") as file, self._translated():
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    self._obstore.put(self._store, _named(f"{folder}/{each}", digest), given)
            else:
                self.keep(f"{folder}/{each}", given)
        try:
            with self._translated():
                self._obstore.put(self._store, _key(f"{folder}/{name}"), content, mode="create")
        except FileExistsError:
            if self.read(f"{folder}/{name}", len(content) + SMALL) != content:
                raise

    def remove(self, path: str) -> None:
        """Remove a file or folder: first what it is found by."""
        found = [one["path"] for one in self._listed(_key(path))]
        for key in sorted({*found, _key(path)}, key=lambda key: "@" in key):
            with self._translated(gone=True):
                self._obstore.delete(self._store, key)

    def exclusive(self, model: str) -> AbstractContextManager[None]:  # noqa: ARG002  nobody can be kept off
        """Return a context that keeps nobody off."""
        return nullcontext()

    def look(self) -> "ObjectsLook":
        """Look at all files that can change, by one listing."""
        return ObjectsLook(
            {_path(one["path"]): Mark(one["e_tag"], settled=True) for one in self._listed("live")}
        )

    def _read_if_there(self, path: str) -> tuple[bytes | None, str | None]:
        try:
            return self._read(path, SMALL, "")
        except FileNotFoundError:
            return None, None

    def _read(self, path: str, most: int, digest: str) -> tuple[bytes, str]:
        key = _named(path, digest) if digest else _key(path)
        with self._translated():
            found = self._obstore.get(self._store, key)
            check_size(Path(key), found.meta["size"], most)
            return bytes(found.bytes()), found.meta["e_tag"]

    def _listed(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        with self._translated():
            for page in self._obstore.list(self._store, prefix):
                yield from page

    def _translated(self, *, gone: bool = False) -> AbstractContextManager[None]:
        return translated(self._obstore, self._url, gone=gone)


class ObjectsLook:
    """The objects that can change, by their tags, as of one listing."""

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self._marks = marks

    def stages(self, name: str) -> Mapping[str, Mark]:
        """Return the mark of this file of each model."""
        parted = ((path.split("/"), mark) for path, mark in self._marks.items())
        return {parts[0]: mark for parts, mark in parted if len(parts) == 2 and parts[1] == name}

    def mark(self, path: str) -> Mark | None:
        """Return the mark of a file."""
        return self._marks.get(path)


def _key(path: str) -> str:
    """Return the key of a file, or of a folder of files.

    >>> _key("plant/stages.json"), _key("plant/1.0.0/manifest.json"), _key(".tried/x")
    ('live/plant/stages.json', 'fixed/plant/1.0.0/manifest.json', 'live/.tried/x')
    """
    live = not LIVE.isdisjoint(path.split("/")[:2])
    return f"{'live' if live else 'fixed'}/{path}"


def _named(path: str, digest: str) -> str:
    return f"{_key(path)}@{digest[:SHORT]}"


def _path(key: str) -> str:
    """Return the path of an object."""
    return key.partition("/")[2].partition("@")[0]
