"""The files of the registry in a backup: those of a folder. A registry in object storage is not
part of it; its bucket has versions and copies of its own.

Version folders never change, and what does change is replaced as a whole. The changing files are
read first: they may name no version that is not there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from driftgauge.shared.backup.form import REGISTRY, is_registry_path
from driftgauge.shared.backup.reading import Reader
from driftgauge.shared.backup.writing import Writer
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.stages_file import STAGES_FILE
from driftgauge.shared.regular_files import open_regular
from driftgauge.shared.storage.atomic import sync

CHANGING: Final = frozenset({STAGES_FILE, "calibrations", "references"})
"""What the first part of a path below a model's folder is called, of a file that changes."""
PIECE: Final = 1 << 20


def save(folder: Path, writer: Writer) -> int:
    """Add the files of a registry folder to a backup; return their number. What is no file of a
    registry, such as a link or a lock, is left out.
    """
    found = sorted(_paths(folder), key=lambda path: (path.split("/")[1] not in CHANGING, path))
    saved = 0
    for path in found:
        try:
            file = os.fdopen(open_regular(folder / path), "rb")
        except FileNotFoundError:  # a version that was purged meanwhile
            continue
        except OSError as error:
            raise BadData(f"{folder / path} cannot be read: {error.strerror}.") from error
        with file:
            writer.copy(f"{REGISTRY}{path}", file, os.fstat(file.fileno()).st_size)
        saved += 1
    return saved


def _paths(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = (Path(place) / name).relative_to(folder).as_posix()
            if is_registry_path(path) and not (folder / path).is_symlink():
                yield path


def require_room(folder: Path) -> None:
    """Raise BadData if a folder holds models already."""
    there = sorted({path.split("/")[0] for path in _paths(folder)})
    if there:
        raise BadData(
            f"The registry {folder} has models already ({', '.join(there[:5])}). Name an empty "
            f"folder by DRIFTGAUGE_REGISTRY_DIR, leave the registry as it is with --no-registry, "
            f"or give --replace: then they are deleted."
        )


def restore(reader: Reader, folder: Path) -> int:
    """Write the registry's files of a backup into a folder; return their number. They are written
    aside, and each model takes its place when all are there; one of the same name is deleted then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as aside:
            return _restore(reader, folder, Path(aside))
    except OSError as error:
        raise BadData(f"The registry {folder} cannot be written: {error}.") from error


def _restore(reader: Reader, folder: Path, aside: Path) -> int:
    restored = 0
    for name, file in reader.members(REGISTRY):
        _write(aside / name.removeprefix(REGISTRY), file)
        restored += 1
    for old in {path.split("/")[0] for path in _paths(folder)}:
        (folder / old).rename(aside / f".{old}")
    for model in sorted(one for one in aside.iterdir() if not one.name.startswith(".")):
        model.rename(folder / model.name)
    sync(folder)
    return restored


def _write(path: Path, file: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as new:
        shutil.copyfileobj(file, new, PIECE)
    sync(path)
