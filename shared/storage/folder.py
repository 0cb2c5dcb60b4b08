"""A folder of this machine, or of storage that its machines share as a file system."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from driftgauge.shared.regular_files import SMALL, read_regular
from driftgauge.shared.storage.atomic import FolderLock, replace, sync
from driftgauge.shared.storage.storage import Mark

SETTLED_S: Final = 2.0
"""Age (s) from which a file's time tells whether it was changed: some file systems tell the time in
steps.
"""
LOCK: Final = ".lock"


class Folder:
    """Files in a folder, which need not exist yet.

    A new folder is written under a temporary name and renamed, a file is replaced by a rename: so
    that neither a crash nor a reader meets a half-written one. A lock in the folder of each model
    keeps processes apart.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def where(self, path: str = "") -> str:
        """Return the absolute path."""
        return str((self.path / path).absolute())

    def find(self, pattern: str) -> Sequence[str]:
        """Return the files that fit a pattern."""
        found = (path for path in self.path.glob(pattern) if path.is_file())
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file."""
        return (self.path / path).is_file()

    def read(self, path: str, most: int = SMALL, digest: str = "") -> bytes:  # noqa: ARG002  the path finds it
        """Read a file."""
        return read_regular(self.path / path, most)

    def keep(self, path: str, content: bytes) -> str:
        """Store a file under the model's lock, which the caller holds."""
        place = self.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(place, content)
        return hashlib.sha256(content).hexdigest()

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content of a file under the model's lock."""
        place = self.path / path
        with self.exclusive(path.split("/", maxsplit=1)[0]):
            changed = change(self.read(path) if place.is_file() else None)
            place.parent.mkdir(parents=True, exist_ok=True)
            replace(place, changed)

    def add(self, folder: str, files: Mapping[str, bytes | Path], last: tuple[str, bytes]) -> None:
        """Add a folder under the model's lock, which the caller holds."""
        place = self.path / folder
        if place.exists():
            raise FileExistsError(f"{place} is there already")
        for abandoned in place.parent.glob(".new-*"):  # by a process that was killed
            shutil.rmtree(abandoned, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        try:
            for name, content in (*files.items(), last):
                if isinstance(content, Path):
                    shutil.copyfile(content, new / name)
                else:
                    (new / name).write_bytes(content)
            new.chmod(0o755)
            for path in (*new.iterdir(), new):
                sync(path)
            new.rename(place)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        sync(place.parent)

    def remove(self, path: str) -> None:
        """Remove a file or folder."""
        place = self.path / path
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def exclusive(self, model: str) -> FolderLock:
        """Lock a model; who holds it in this thread already goes on."""
        return FolderLock(self.path / model / LOCK)

    def look(self) -> "FolderLook":
        """Look at the files; each is looked at when it is asked for."""
        return FolderLook(self.path)


class FolderLook:
    """The files of a folder, by a `stat` of each: one that is replaced as a whole is another file.

    Its time of change tells of one that is written in place.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def stages(self, name: str) -> Mapping[str, Mark]:
        """Return the mark of this file of each model."""
        try:
            models = sorted(os.listdir(self._path))  # noqa: PTH208  pathlib takes ten times as long
        except FileNotFoundError:  # nothing was registered yet
            return {}
        marks = ((model, self.mark(f"{model}/{name}")) for model in models)
        return {model: mark for model, mark in marks if mark is not None}

    def mark(self, path: str) -> Mark | None:
        """Return the mark of a file; one that cannot be looked at may have changed."""
        try:
            found = os.stat(f"{self._path}/{path}")  # noqa: PTH116  pathlib takes ten times as long
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return Mark(time.time_ns(), settled=False)
        settled = time.time_ns() - found.st_mtime_ns > SETTLED_S * 1e9
        return Mark((found.st_ino, found.st_size, found.st_mtime_ns), settled)
