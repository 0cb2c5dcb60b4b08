"""Holding the files of an archive against its manifests: what was changed, is gone or does not
belong there.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from driftgauge.shared.archive.manifest import KINDS, NAME, manifest_of
from driftgauge.shared.archive.store import Store
from driftgauge.shared.errors import BadData

CHUNK: Final = 1 << 20


class Checked(NamedTuple):
    """What was found of one file.

    Parameters
    ----------
    path
        Path in the archive.
    rows
        Rows that its manifest says it has.
    fault
        What is wrong with it; empty if nothing is.
    """

    path: str
    rows: int
    fault: str = ""


def verify(store: Store, model: str) -> Iterator[Checked]:
    """Yield what is found of each file of a model.

    Raises
    ------
    OSError
        If the archive does not answer.
    """
    for kind in KINDS:
        folders: dict[str, set[str]] = defaultdict(set)
        for path in store.find(f"{kind}/model={model}"):
            folder, _, name = path.rpartition("/")
            folders[folder].add(name)
        for folder, names in folders.items():
            yield from _verify_day(store, folder, names)


def _verify_day(store: Store, folder: str, names: set[str]) -> Iterator[Checked]:
    path = f"{folder}/{NAME}"
    try:
        manifest = manifest_of(store.read(path) if NAME in names else None, store.where(path))
    except BadData:
        yield Checked(path, 0, "is no manifest")
        return
    for file in manifest.files:
        place = f"{folder}/{file.name}"
        if file.name not in names:
            yield Checked(place, file.rows, "is gone")
        elif _digest(store, place) != file.sha256:
            yield Checked(place, file.rows, "was changed: it does not have its checksum")
        else:
            yield Checked(place, file.rows)
    known = {NAME, *manifest.names}
    for name in sorted(names - known):
        yield Checked(f"{folder}/{name}", 0, "is in no manifest, so it is not read")


def _digest(store: Store, path: str) -> str:
    found = hashlib.sha256()
    with store.open(path) as file:
        while chunk := file.read(CHUNK):
            found.update(bytes(chunk))
    return found.hexdigest()
