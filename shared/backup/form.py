"""The file of a backup: a tar in gzip.

    driftgauge.json      the format, and what it is a backup of; first
    keys/NNNNNNNN        records of keys (records.py)
    registry/…           the files of the registry
    manifest.json        size and SHA-256 of every member before it; last, so a file that was cut
                         off is no backup

It is written beside its place under another name, for its user only, and takes its place when it is
whole.
"""

import hashlib
import re
from typing import IO, Final

import msgspec

BACKUP_FORMAT: Final = 1
HEADER, MANIFEST = "driftgauge.json", "manifest.json"
KEYS, REGISTRY = "keys/", "registry/"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]{0,199}")


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


class Digesting:
    """A file that is read once, and its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def is_registry_path(path: str) -> bool:
    """Tell whether a path is one that a registry's file has: below the folder of a model.

    Examples
    --------
    >>> [is_registry_path(path) for path in ("steel/1.0.0/schema.json", "../a", "/etc/x", "a/.b")]
    [True, False, False, False]
    """
    parts = path.split("/")
    return 2 <= len(parts) <= 5 and all(_NAME.fullmatch(part) for part in parts)
