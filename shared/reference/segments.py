"""Segments: the predictions of a version, parted by the value of a categorical feature. Pure.

A schema names up to three such features. Each parts the rows into its most frequent values of the
reference and OTHER, which takes all other rows: rarer values, new ones, missing ones, and a value
that is itself called OTHER. All segments of a version are numbered through, feature by feature;
every row is in one segment of each feature.

What is counted of a segment is coarse: its rows in the PSI bins of each column. That is about a
tenth of the cells, and there are up to 63 segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.profile import ColumnReference, ReferenceProfile, SegmentReference

TOP_VALUES: Final = 20
"""Values of a feature that are segments of their own."""
OTHER: Final = "OTHER"
"""Name of the segment of all other rows; it is the last of its feature."""


@dataclass(frozen=True)
class SegmentLayout:
    """Where the segments of a version stand, and the bins in which their rows are counted.

    Parameters
    ----------
    features, values
        Names of the features, and the values of each, without OTHER.
    places
        Place of each of the features among the columns.
    segment_of_cell
        For each of the features, the segment of each cell of its column.
    cell_starts, bin_of_cell, bin_starts
        Of the profile: where each column's cells start, the bin of each cell, where each column's
        bins start. The last of the starts are the numbers of cells and of bins.
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
        """Give the layout of a profile; None if its version has no segments.

        Examples
        --------
        >>> from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
        >>> region = CategoricalReference.build("region", ["north", "south", "north"])
        >>> held = SegmentReference("region", ("north", "south"), ((2, 0, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 0, 0, 0)))
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
        """Give the layout that a profile will have whose segments have not been counted yet."""
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
        """The first segment of each feature, and the number of segments."""
        return (0, *np.cumsum([len(values) + 1 for values in self.values]).tolist())

    @property
    def size(self) -> int:
        """Segments of all features."""
        return self.starts[-1]

    @property
    def bins(self) -> int:
        """Bins of all columns."""
        return int(self.bin_starts[-1])

    def name(self, segment: int) -> tuple[str, str]:
        """Give feature and value of a segment."""
        feature = int(np.searchsorted(self.starts, segment, side="right")) - 1
        place = segment - self.starts[feature]
        values = self.values[feature]
        return self.features[feature], values[place] if place < len(values) else OTHER

    def codes(self, cells: Ints) -> Ints:
        """Give the segment of each row under each feature.

        Parameters
        ----------
        cells
            Shape (columns, rows), as places in the vector of all cells.

        Returns
        -------
        codes
            Shape (features, rows).
        """
        codes = np.empty((len(self.features), cells.shape[1]), dtype=np.int64)
        for at, (place, segments) in enumerate(zip(self.places, self.segment_of_cell, strict=True)):
            codes[at] = segments[cells[place] - self.cell_starts[place]]
        return codes

    def packed(self, cells: Ints) -> list[bytes]:
        r"""Give the segments of each row, one byte each.

        Examples
        --------
        >>> from driftgauge.shared.reference.profile import CategoricalReference, ReferenceProfile
        >>> profile = ReferenceProfile(3, tuple(CategoricalReference.build(name, ["a", "b", "a"]) for name in "xy"))
        >>> layout = SegmentLayout.planned(profile, ("x", "y"))
        >>> packed = layout.packed(np.array([[0, 1], [5, 9]]))
        >>> packed, layout.unpacked(packed).tolist()
        ([b'\x00\x03', b'\x01\x05'], [[0, 1], [3, 5]])
        """
        codes = self.codes(cells).astype(np.uint8)
        return np.ascontiguousarray(codes.T).view(f"V{len(codes)}").ravel().tolist()

    def unpacked(self, packed: Sequence[bytes]) -> Ints:
        """Read what `packed` gave, as `codes` gives it."""
        return (
            np.frombuffer(b"".join(packed), dtype=np.uint8)
            .reshape(-1, len(self.features))
            .T.astype(np.int64)
        )

    def counts(self, cells: Ints) -> Ints:
        """Count rows by segment and bin, flat: the bins of the first segment, those of the second,
        ….

        Parameters
        ----------
        cells
            Shape (columns, rows), as places in the vector of all cells.
        """
        return self.count(cells, self.no_counts())

    def no_counts(self) -> Ints:
        """Give the counts of no row."""
        return np.zeros(self.size * self.bins, dtype=np.int64)

    def count(self, cells: Ints, total: Ints) -> Ints:
        """Add rows to counts, in their place: new memory for a pane of each batch would take longer
        than counting.
        """
        bins, width = self.bin_of_cell[cells], self.bins
        for code, (first, last) in zip(self.codes(cells), pairwise(self.starts), strict=True):
            found = np.bincount(
                ((code - first) * width + bins).ravel(), minlength=(last - first) * width
            )
            total[first * width : last * width] += found
        return total

    def reference(self, counts: Ints) -> tuple[SegmentReference, ...]:
        """Give what a profile holds, from counts as `counts` gives them."""
        rows = counts.reshape(self.size, self.bins).tolist()
        return tuple(
            SegmentReference(name, values, tuple(map(tuple, rows[start : start + len(values) + 1])))
            for name, values, start in zip(self.features, self.values, self.starts, strict=False)
        )


def _segment_of_cell(column: ColumnReference, values: tuple[str, ...], first: int) -> Ints:
    """Give the segment of each cell of a feature whose segments begin with the first one."""
    other = first + len(values)
    segments = np.full(len(column.counts), other, dtype=np.int64)
    code = {name: place for place, name in enumerate(getattr(column, "categories", ()))}
    segments[[code[name] for name in values]] = range(first, other)
    return segments
