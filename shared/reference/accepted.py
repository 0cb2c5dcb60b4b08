"""References that people accepted after a version was registered: counts of production data.

An accepted reference has the cells of the version's registered reference with other counts. So
panes, which hold counts of these cells, stay valid whichever reference they are compared with.
"""

import gzip

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import (
    ColumnReference,
    NumericReference,
    ReferenceProfile,
    SegmentCounts,
)
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.unpacking import gunzip


class AcceptedReference(msgspec.Struct, frozen=True):
    """A reference that was counted in production.

    Parameters
    ----------
    number
        Number of the reference, from 1, counted per version and never used twice.
    profile
        The cells of the version's registered reference with the new counts.
    calibration
        The version's calibration with the days of the new reference; None if the version has none.
    start, end
        Logical times, in ms, of the panes that were summed up.
    resolution
        Kind of pane to how many of them were summed up: panes, hours, days.
    """

    version: str
    number: int
    profile: ReferenceProfile
    calibration: Calibration | None
    start: int
    end: int
    resolution: dict[str, int] = {}

    def pack(self) -> bytes:
        """Encode it as gzip-compressed JSON."""
        return gzip.compress(msgspec.json.encode(self), compresslevel=6, mtime=0)

    @classmethod
    def unpack(cls, packed: bytes) -> "AcceptedReference":
        """Decode what `pack` returned; one of `UNREADABLE` if it is something else."""
        return msgspec.json.decode(gunzip(packed), type=cls)


def recounted(
    profile: ReferenceProfile, cells: Ints, segments: Ints | None = None
) -> ReferenceProfile:
    """Return a profile with the same cells, bins and segments, but other counts.

    Parameters
    ----------
    cells
        Counts of all cells, column after column; every column has the same number of rows.
    segments
        Counts by segment and bin, as from `SegmentLayout.counts`; needed if the profile has
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
    rows = max((sum(column.counts) for column in columns), default=0)
    layout = SegmentLayout.of(profile)
    held = layout.reference(segments) if layout and segments is not None else ()
    return ReferenceProfile(rows, columns, held)


def _recounted(column: ColumnReference, counts: list[int]) -> ColumnReference:
    """Return a column with other counts.

    Categories that were unseen before are counted together, so each such row is taken for a
    category that occurs once. Mean and deviation of values that were only counted are unknown.
    """
    if isinstance(column, NumericReference):
        return msgspec.structs.replace(column, counts=counts, mean=None, sd=None)
    top, pairs = len(column.categories), list[int]()
    for bucket, known_pairs in enumerate(column.pairs):  # as many categories share it as before
        before = column.counts[top + bucket]
        now = counts[top + bucket] + counts[column.unseen + bucket]
        pairs.append(round(known_pairs * (now / before) ** 2) if before else 0)
    known = [*counts[: len(column.categories)], sum(counts[len(column.categories) : column.unseen])]
    return msgspec.structs.replace(
        column,
        counts=counts,
        singletons=sum(counts[column.unseen : -1]) + known.count(1),
        doubletons=None,
        pairs=pairs,
    )


def check_fits(accepted: AcceptedReference, registered: ReferenceProfile) -> None:
    """Raise ValueError unless a reference has the cells and segments of the registered one."""
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


def _values_of(held: SegmentCounts) -> tuple[object, ...]:
    return held.feature, held.values, [len(bins) for bins in held.counts]
