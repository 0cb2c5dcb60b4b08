"""References that were accepted after a version was registered, and the changes from one to
another.

Every version has reference 0, made from its training data. An accepted one has the same cells,
counted in production: so panes stay valid, whichever of them they are held against. A change is
written to the log of every partition, so that it has one place in the order of events; changes of a
version are numbered, and one that comes twice or too late changes nothing.

Pure: values in, values out.
"""

import gzip
from typing import Annotated, Final

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import (
    ColumnReference,
    NumericReference,
    ReferenceProfile,
    SegmentReference,
)
from driftgauge.shared.reference.segments import SegmentLayout

Words = Annotated[str, msgspec.Meta(max_length=500)]
FIELD: Final = b"e"
"""The field of a log entry that holds the change, as a prediction's holds the prediction."""


class ReferenceChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """From here on, a version is held against another of its references.

    Parameters
    ----------
    change
        Number of the change, from 1, per version.
    number
        Of the reference; 0 is the registered one.
    undo
        Whether it goes back to the reference before.
    created
        ISO 8601.
    """

    version: str
    change: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    number: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    who: Words
    reason: Words
    created: str = ""
    undo: bool = False


class AcceptedReference(msgspec.Struct, frozen=True):
    """A reference counted in production.

    Parameters
    ----------
    number
        From 1, per version; never given twice.
    profile
        The cells of the version's registered reference, with other counts.
    calibration
        That of the version, with the days of the new reference; None if it has none.
    start, end
        Logical times (ms) of the panes it was made of.
    resolution
        What they were: how many panes, hours, days.
    """

    version: str
    number: int
    profile: ReferenceProfile
    calibration: Calibration | None
    start: int
    end: int
    resolution: dict[str, int] = {}

    def pack(self) -> bytes:
        """Give it as compressed JSON."""
        return gzip.compress(msgspec.json.encode(self), compresslevel=6, mtime=0)

    @classmethod
    def unpack(cls, packed: bytes) -> "AcceptedReference":
        """Read what `pack` gave."""
        return msgspec.json.decode(gzip.decompress(packed), type=cls)


class ReferenceHistory(msgspec.Struct, frozen=True):
    """All changes of a version's reference, oldest first.

    Examples
    --------
    >>> history = ReferenceHistory().accepted("1.0.0", "ann", "new plant", "").accepted("1.0.0", "ann", "again", "")
    >>> history.number, history.undone("1.0.0", "bob", "too early", "").number, history.next_number
    (2, 1, 3)
    """

    changes: tuple[ReferenceChange, ...] = ()

    @property
    def number(self) -> int:
        """The reference in use."""
        return self.changes[-1].number if self.changes else 0

    @property
    def next_number(self) -> int:
        """The number of the next one to be accepted."""
        return max((change.number for change in self.changes), default=0) + 1

    def accepted(self, version: str, who: str, reason: str, created: str) -> "ReferenceHistory":
        """Add the acceptance of the next reference."""
        return self._with(
            ReferenceChange(version, len(self.changes) + 1, self.next_number, who, reason, created)
        )

    def undone(self, version: str, who: str, reason: str, created: str) -> "ReferenceHistory":
        """Go back to the reference that was in use before the one in use was accepted.

        Raises
        ------
        BadData
            If the registered one is in use.
        """
        if not self.number:
            raise BadData(
                f"{version} is judged by the reference that it was registered with; there is "
                f"nothing to undo."
            )
        before = self._before(self.number)
        return self._with(
            ReferenceChange(version, len(self.changes) + 1, before, who, reason, created, undo=True)
        )

    def _before(self, number: int) -> int:
        """Give the reference that was in use when another one was accepted."""
        place = next(
            at
            for at, change in enumerate(self.changes)
            if change.number == number and not change.undo
        )
        return self.changes[place - 1].number if place else 0

    def _with(self, change: ReferenceChange) -> "ReferenceHistory":
        return ReferenceHistory((*self.changes, change))


def reference_key(version: str, number: int) -> str:
    """Name a version with one of its references; with the registered one it is the version's name.

    Examples
    --------
    >>> reference_key("1.0.0", 0), reference_key("1.0.0", 2)
    ('1.0.0', '1.0.0#2')
    """
    return f"{version}#{number}" if number else version


_decoder = msgspec.json.Decoder(ReferenceChange)
encode_change = msgspec.json.Encoder().encode


def decode_change(packed: bytes) -> ReferenceChange:
    """Read a change, as it stands in a log.

    Raises
    ------
    ValueError
        Saying what is wrong with it.
    """
    try:
        return _decoder.decode(packed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"content cannot be read: {error}") from error


def recounted(
    profile: ReferenceProfile, cells: Ints, segments: Ints | None = None
) -> ReferenceProfile:
    """Give a profile with the same cells, bins and segments, and other counts.

    Parameters
    ----------
    cells
        Counts over all cells; every column has the same number of rows.
    segments
        Counts by segment and bin, as `SegmentLayout.counts` gives them; needed if the profile has
        segments.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import CategoricalReference
    >>> before = ReferenceProfile(3, (CategoricalReference.build("c", ["a", "b", "a"]),))
    >>> after = recounted(before, np.array([4, 1, 0, 2, 3]))
    >>> after.rows, after.columns[0].counts, after.columns[0].singletons
    (10, [4, 1, 0, 2, 3], 3)
    """
    parts = np.split(cells, profile.offsets[1:-1])
    columns = tuple(
        _recounted(column, part.tolist())
        for column, part in zip(profile.columns, parts, strict=True)
    )
    rows, layout = (
        max((sum(column.counts) for column in columns), default=0),
        SegmentLayout.of(profile),
    )
    return ReferenceProfile(
        rows, columns, layout.reference(segments) if layout and segments is not None else ()
    )


def _recounted(column: ColumnReference, counts: list[int]) -> ColumnReference:
    """Values that were unseen are no news any more: they count with the categories seen once, the
    estimate of new ones.

    Mean and deviation of values that were only counted are not known.
    """
    if isinstance(column, NumericReference):
        return msgspec.structs.replace(column, counts=counts, mean=None, sd=None)
    return msgspec.structs.replace(
        column, counts=counts, singletons=counts[column.unseen] + counts[:-2].count(1)
    )


def check_fits(accepted: AcceptedReference, registered: ReferenceProfile) -> None:
    """Check that a reference has the cells and segments of the registered one; ValueError if
    not.
    """
    if [_cells_of(column) for column in accepted.profile.columns] != [
        _cells_of(column) for column in registered.columns
    ]:
        raise ValueError(
            f"reference {accepted.number} has other cells than the one that {accepted.version} was "
            f"registered with"
        )
    if [_values_of(held) for held in accepted.profile.segments] != [
        _values_of(held) for held in registered.segments
    ]:
        raise ValueError(
            f"reference {accepted.number} has other segments than the one that {accepted.version} "
            f"was registered with"
        )


def _cells_of(column: ColumnReference) -> tuple[object, ...]:
    named = (
        column.cuts if isinstance(column, NumericReference) else (column.categories, column.other)
    )
    return column.name, column.kind, named, column.bin_of_cell, len(column.counts)


def _values_of(held: SegmentReference) -> tuple[object, ...]:
    return held.feature, held.values, [len(bins) for bins in held.counts]
