"""Segments: the rows of a version, divided by the values of a categorical feature.

A schema names up to three such features. Each of them divides the rows into one segment for each of
its most frequent values in the reference, and OTHER for all other rows: those with rarer, new or
missing values, and with a value that is itself called OTHER. The segments of all features are
numbered consecutively, at most 63; every row is in one segment of each feature.

For each segment only the rows in the PSI bins of each column are counted, which are about ten times
fewer than the cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.profile import ColumnReference, ReferenceProfile, SegmentCounts

TOP_VALUES: Final = 20
"""Most values of a feature that are segments of their own."""
OTHER: Final = "OTHER"
"""Name of a feature's last segment, which has all other rows."""


@dataclass(frozen=True)
class SegmentLayout:
    """The numbering of a version's segments, and of the bins in which their rows are counted.

    Parameters
    ----------
    features, values
        Names of the segments' features, and for each the values that are segments, without OTHER.
    places
        Position of each of these features among the columns of the profile.
    segment_of_cell
        Segment of each cell of the column, for each of these features.
    cell_starts
        First cell of each column in the vector of all cells, and last the number of all cells.
    bin_of_cell
        Bin of each cell in the vector of all bins.
    bin_starts
        First bin of each column in the vector of all bins, and last the number of all bins.
    """

    features: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    places: tuple[int, ...]
    segment_of_cell: tuple[Ints, ...]
    cell_starts: Ints
    bin_of_cell: Ints
    bin_starts: Ints

    @classmethod
    def of(cls, profile: ReferenceProfile) -> "SegmentLayout | None":
        """Return the layout of a profile; None if its version has no segments.

        Examples
        --------
        >>> from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
        >>> region = CategoricalReference.build("region", ["north", "south", "north"])
        >>> rows = (2, 0, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 0, 0, 0)
        >>> held = SegmentCounts("region", ("north", "south"), rows)
        >>> layout = SegmentLayout.of(ReferenceProfile(3, (region,), (held,)))
        >>> layout.size, layout.name(2), layout.codes(np.array([[1, 0, 3]])).tolist()
        (3, ('region', 'OTHER'), [[1, 0, 2]])
        >>> layout.counts(np.array([[1, 0, 3]])).reshape(3, -1).tolist()
        [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
        """
        if not profile.segments:
            return None
        place = {column.name: at for at, column in enumerate(profile.columns)}
        names = tuple(held.feature for held in profile.segments)
        values = tuple(held.values for held in profile.segments)
        return cls._of(profile, names, values, tuple(place[name] for name in names))

    @classmethod
    def planned(cls, profile: ReferenceProfile, features: tuple[str, ...]) -> "SegmentLayout":
        """Return the layout for a profile whose segments have not been counted yet.

        Parameters
        ----------
        features
            Names of the features that divide the rows; each is categorical.
        """
        place = {column.name: at for at, column in enumerate(profile.columns)}
        columns = [profile.columns[place[name]] for name in features]
        known = [
            [name for name in getattr(column, "categories", ()) if name != OTHER]
            for column in columns
        ]
        values = tuple(tuple(names[:TOP_VALUES]) for names in known)
        return cls._of(profile, features, values, tuple(place[name] for name in features))

    @classmethod
    def _of(
        cls,
        profile: ReferenceProfile,
        features: tuple[str, ...],
        values: tuple[tuple[str, ...], ...],
        places: tuple[int, ...],
    ) -> "SegmentLayout":
        own = [np.array(column.bin_of_cell, dtype=np.int64) for column in profile.columns]
        starts = np.cumsum([0, *(int(bins.max()) + 1 for bins in own)])
        shifted = np.concatenate([bins + start for bins, start in zip(own, starts, strict=False)])
        first, segment_of_cell = 0, []
        for place, names in zip(places, values, strict=True):
            segment_of_cell.append(_segment_of_cell(profile.columns[place], names, first))
            first += len(names) + 1
        return cls(
            features, values, places, tuple(segment_of_cell), profile.offsets, shifted, starts
        )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First segment of each feature, and last the number of all segments."""
        return (0, *np.cumsum([len(values) + 1 for values in self.values]).tolist())

    @property
    def size(self) -> int:
        """Number of the segments of all features."""
        return self.starts[-1]

    @property
    def bins(self) -> int:
        """Number of the bins of all columns."""
        return int(self.bin_starts[-1])

    def name(self, segment: int) -> tuple[str, str]:
        """Return the feature and the value of a segment."""
        feature = int(np.searchsorted(self.starts, segment, side="right")) - 1
        place = segment - self.starts[feature]
        values = self.values[feature]
        return self.features[feature], values[place] if place < len(values) else OTHER

    def codes(self, cells: Ints) -> Ints:
        """Return the segment of each row under each feature.

        Parameters
        ----------
        cells
            Cells of the rows as positions in the vector of all cells, shape (columns, rows).

        Returns
        -------
        codes
            Numbers of segments, shape (features, rows).
        """
        codes = np.empty((len(self.features), cells.shape[1]), dtype=np.int64)
        for at, (place, segments) in enumerate(zip(self.places, self.segment_of_cell, strict=True)):
            codes[at] = segments[cells[place] - self.cell_starts[place]]
        return codes

    def packed(self, cells: Ints) -> list[bytes]:
        r"""Return the segments of each row as bytes, one byte for each feature.

        Examples
        --------
        >>> from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
        >>> columns = tuple(CategoricalReference.build(name, ["a", "b", "a"]) for name in "xy")
        >>> layout = SegmentLayout.planned(ReferenceProfile(3, columns), ("x", "y"))
        >>> packed = layout.packed(np.array([[0, 1], [5, 9]]))
        >>> packed, layout.unpacked(packed).tolist()
        ([b'\x00\x03', b'\x01\x05'], [[0, 1], [3, 5]])
        """
        codes = self.codes(cells).astype(np.uint8)
        return np.ascontiguousarray(codes.T).view(f"V{len(codes)}").ravel().tolist()

    def unpacked(self, packed: Sequence[bytes]) -> Ints:
        """Unpack what `packed` returned to what `codes` returns."""
        return (
            np.frombuffer(b"".join(packed), dtype=np.uint8)
            .reshape(-1, len(self.features))
            .T.astype(np.int64)
        )

    def counts(self, cells: Ints) -> Ints:
        """Count rows by segment and bin.

        Parameters
        ----------
        cells
            Cells of the rows as positions in the vector of all cells, shape (columns, rows).

        Returns
        -------
        counts
            All bins of the first segment, then all bins of the second, …: shape (size * bins,).
        """
        return self.count(cells, self.no_counts())

    def no_counts(self) -> Ints:
        """Return counts of 0, shape (size * bins,)."""
        return np.zeros(self.size * self.bins, dtype=np.int64)

    def count(self, cells: Ints, total: Ints) -> Ints:
        """Add rows to counts, as `counts` returns them, in place, and return the counts.

        Allocating memory for each batch of rows would take longer than counting.
        """
        bins, width = self.bin_of_cell[cells], self.bins
        for code, (first, last) in zip(self.codes(cells), pairwise(self.starts), strict=True):
            found = np.bincount(
                ((code - first) * width + bins).ravel(), minlength=(last - first) * width
            )
            total[first * width : last * width] += found
        return total

    def reference(self, counts: Ints) -> tuple[SegmentCounts, ...]:
        """Convert counts, as `counts` returns them, to the form that a profile holds."""
        rows = counts.reshape(self.size, self.bins).tolist()
        return tuple(
            SegmentCounts(name, values, tuple(map(tuple, rows[start : start + len(values) + 1])))
            for name, values, start in zip(self.features, self.values, self.starts, strict=False)
        )


def _segment_of_cell(column: ColumnReference, values: tuple[str, ...], first: int) -> Ints:
    """Return the segment of each cell of a feature whose first segment is `first`."""
    other = first + len(values)
    segments = np.full(len(column.counts), other, dtype=np.int64)
    code = {name: place for place, name in enumerate(getattr(column, "categories", ()))}
    segments[[code[name] for name in values]] = range(first, other)
    return segments
