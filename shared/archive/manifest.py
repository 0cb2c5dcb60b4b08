"""The manifest of a day: which files hold its rows, with their checksums. Pure.

    predictions/model=MODEL/date=2025-11-20/_manifest.json
    predictions/model=MODEL/date=2025-11-20/1.0.0-p0-1763640000000-4-1763640060000-0-g0.parquet
    labels/model=MODEL/date=2025-11-20/…
    refused/model=MODEL/date=2025-11-20/…
    incidents/model=MODEL/date=2025-11-20/…
    panes/model=MODEL/date=2025-11-20/…
    _state/MODEL/p0.json

A file holds the rows of one version and one partition whose entries, of its log, its panes or the
model's incidents, lie behind its `start` and up to its `end`. Files of a manifest never overlap, so
no row is there twice: what is written late, by a process that had lost its lease, is refused by
that.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import msgspec

from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.errors import BadData
from driftgauge.shared.unpacking import UNREADABLE

LogKind = Literal["predictions", "labels", "refused"]
Kind = Literal[LogKind, "incidents", "panes"]
LOG_KINDS: Final[tuple[LogKind, ...]] = get_args(LogKind)
"""Kinds of rows that are made of the entries of a log."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAME: Final = "_manifest.json"


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a day.

    Parameters
    ----------
    name
        Its name in the folder of the day.
    version
        Version of the predictions; of other rows, what the names of their files begin with.
    start, end
        Ids of entries: the rows are of entries behind `start`, up to `end`.
    rows, bytes
        Its size.
    sha256
        Checksum of its content (hex).
    first, last
        Earliest and latest time of its rows, in Unix ms.
    generation
        How often its rows were written anew: they were joined with others, or some were erased.
    """

    name: str
    version: str
    partition: int
    start: str
    end: str
    rows: int
    bytes: int
    sha256: str
    first: int
    last: int
    generation: int = 0

    @property
    def span(self) -> tuple[EntryId, EntryId]:
        """The ids between which its entries are: the first is outside."""
        return EntryId.parse(self.start), EntryId.parse(self.end)

    def overlaps(self, other: "FileEntry") -> bool:
        """Tell whether both could hold the same rows.

        Examples
        --------
        >>> one = FileEntry("a", "1.0.0", 0, "1-0", "5-0", 1, 1, "", 0, 0)
        >>> two = msgspec.structs.replace(one, name="b", start="5-0", end="9-0")
        >>> one.overlaps(two), one.overlaps(msgspec.structs.replace(two, start="4-0"))
        (False, True)
        """
        if (self.version, self.partition) != (other.version, other.partition):
            return False
        (start, end), (begin, stop) = self.span, other.span
        return start < stop and begin < end


class Erasure(msgspec.Struct, frozen=True):
    """Rows that were erased: when (Unix ms), how many, why, and what chose them.

    `chosen_by` names no value: it is `ids`, or the columns of a condition.
    """

    at: int
    rows: int
    reason: str
    chosen_by: str


class Retired(msgspec.Struct, frozen=True):
    """A file whose rows are in others by now, or too old: no reader begins with it any more.

    `at` is since when (Unix ms). It is removed some time after that, so that who reads it goes on.
    """

    name: str
    at: int


class Expiry(msgspec.Struct, frozen=True):
    """Rows that were removed since they were too old: when the last time (Unix ms), how many."""

    at: int
    rows: int


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """All files of a day of one kind, and what was erased and removed of them."""

    files: tuple[FileEntry, ...] = ()
    erasures: tuple[Erasure, ...] = ()
    retired: tuple[Retired, ...] = ()
    expired: Expiry | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of all files of the day, retired ones too."""
        return frozenset([file.name for file in self.files] + [one.name for one in self.retired])

    def retiring(self, files: Iterable[FileEntry], at: int) -> "Manifest":
        """Return it with a note that some files, which it has no more, are still there.

        Examples
        --------
        >>> one = FileEntry("a", "1.0.0", 0, "1-0", "5-0", 1, 1, "", 0, 0)
        >>> Manifest().retiring([one], 7).retired
        (Retired(name='a', at=7),)
        """
        new = tuple(Retired(file.name, at) for file in files)
        return msgspec.structs.replace(self, retired=(*self.retired, *new))

    def expire(self, at: int) -> "Manifest":
        """Return it without its rows; the files are retired.

        Examples
        --------
        >>> one = FileEntry("a", "1.0.0", 0, "1-0", "5-0", 3, 1, "", 0, 0)
        >>> Manifest((one,)).expire(7)
        Manifest(files=(), erasures=(), retired=(Retired(name='a', at=7),), \
expired=Expiry(at=7, rows=3))
        """
        before = 0 if self.expired is None else self.expired.rows
        rows = before + sum(file.rows for file in self.files)
        gone = msgspec.structs.replace(self, files=(), expired=Expiry(at, rows))
        return gone.retiring(self.files, at)

    def with_file(self, added: FileEntry) -> "Manifest":
        """Return it with a file, unless its rows are in it already."""
        if any(added.overlaps(file) for file in self.files):
            return self
        retired = tuple(one for one in self.retired if one.name != added.name)
        return msgspec.structs.replace(self, files=(*self.files, added), retired=retired)

    def replaced(self, old: Iterable[FileEntry], new: Sequence[FileEntry]) -> "Manifest | None":
        """Return it with files instead of others; None if any of those is not there any more."""
        names = {file.name for file in old}
        left = tuple(file for file in self.files if file.name not in names)
        if len(left) + len(names) != len(self.files):
            return None
        return msgspec.structs.replace(self, files=(*left, *new))

    def pack(self) -> bytes:
        """Encode it, indented, so that people can read it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def manifest_of(packed: bytes | None, where: str) -> Manifest:
    """Decode a manifest; an empty one without a file.

    Raises
    ------
    BadData
        If it is none; the message names it.
    """
    if packed is None:
        return Manifest()
    try:
        return msgspec.json.decode(packed, type=Manifest)
    except UNREADABLE as error:
        raise BadData(f"{where} is no manifest of an archive ({error}); restore it.") from error


def day_folder(kind: Kind, model: str, date: str) -> str:
    """Return the folder of a day.

    >>> day_folder("labels", "steel", "2025-11-20")
    'labels/model=steel/date=2025-11-20'
    """
    return f"{kind}/model={model}/date={date}"


def date_of(path: str) -> str:
    """Return the date that a path of the archive names; empty if it names none.

    >>> date_of("labels/model=steel/date=2025-11-20/_manifest.json")
    '2025-11-20'
    """
    return next((part[5:] for part in path.split("/") if part.startswith("date=")), "")
