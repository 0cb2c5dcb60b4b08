"""Segments: the predictions of a version, parted by the value of a categorical feature. Pure.

A schema names up to three such features. Each parts the rows into its most frequent values of the reference and OTHER, which
takes all other rows: rarer values, new ones, missing ones. All segments of a version are numbered through, feature by
feature; every row is in one segment of each feature.

What is counted of a segment is coarse: its rows in the PSI bins of each column. That is about a tenth of the cells, and
there are up to 63 segments.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the profile holds segments, and a layout is that of a profile
    from shared.reference import ReferenceProfile

Ints = NDArray[np.int64]

MOST_FEATURES: Final = 3
TOP_VALUES: Final = 20
"""Values of a feature that are segments of their own."""
OTHER: Final = "OTHER"
"""Name of the segment of all other rows; it is the last of its feature."""


class SegmentReference(msgspec.Struct, frozen=True):
    """The segments of one feature in the reference.

    Parameters
    ----------
    values
        Most frequent first; OTHER follows them and is not among them.
    counts
        Reference rows of each segment, OTHER last, in each bin of all columns.
    """

    feature: str
    values: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class SegmentLayout:
    """Where the segments of a version stand, and the bins in which their rows are counted.

    Parameters
    ----------
    features, values
        Names of the features, and the values of each, without OTHER.
    places
        Place of each of the features among the columns.
    cell_starts, bin_of_cell, bin_starts
        Of the profile: where each column's cells start, the bin of each cell, where each column's bins start. The last of
        the starts are the numbers of cells and of bins.
    """

    features: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    places: tuple[int, ...]
    cell_starts: Ints
    bin_of_cell: Ints
    bin_starts: Ints

    @classmethod
    def of(cls, profile: "ReferenceProfile") -> "SegmentLayout | None":
        """Give the layout of a profile; None if its version has no segments.

        Examples
        --------
        >>> from shared.reference import CategoricalReference, ReferenceProfile
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
    def planned(cls, profile: "ReferenceProfile", features: tuple[str, ...]) -> "SegmentLayout":
        """Give the layout that a profile will have whose segments have not been counted yet."""
        place = {column.name: at for at, column in enumerate(profile.columns)}
        columns = [profile.columns[place[name]] for name in features]
        values = tuple(tuple(getattr(column, "categories", ())[:TOP_VALUES]) for column in columns)
        return cls._of(profile, features, values, tuple(place[name] for name in features))

    @classmethod
    def _of(
        cls, profile: "ReferenceProfile", features: tuple[str, ...], values: tuple[tuple[str, ...], ...],
        places: tuple[int, ...],
    ) -> "SegmentLayout":  # fmt: skip
        own = [np.array(column.bin_of_cell, dtype=np.int64) for column in profile.columns]
        starts = np.cumsum([0, *(int(bins.max()) + 1 for bins in own)])
        shifted = np.concatenate([bins + start for bins, start in zip(own, starts, strict=False)])
        return cls(features, values, places, profile.offsets, shifted, starts)

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
        for at, (place, values, start) in enumerate(zip(self.places, self.values, self.starts, strict=False)):
            np.minimum(cells[place] - self.cell_starts[place], len(values), out=codes[at])
            codes[at] += start
        return codes

    def counts(self, cells: Ints, codes: Ints | None = None) -> Ints:
        """Count rows by segment and bin, flat: the bins of the first segment, those of the second, ….

        Parameters
        ----------
        cells
            Shape (columns, rows), as places in the vector of all cells.
        codes
            What `codes` gave for them, if it was asked before.
        """
        bins = self.bin_of_cell[cells]
        total = np.zeros(self.size * self.bins, dtype=np.int64)
        for code in self.codes(cells) if codes is None else codes:
            total += np.bincount((code * self.bins + bins).ravel(), minlength=len(total))
        return total

    def reference(self, counts: Ints) -> tuple[SegmentReference, ...]:
        """Give what a profile holds, from counts as `counts` gives them."""
        rows = counts.reshape(self.size, self.bins).tolist()
        return tuple(
            SegmentReference(name, values, tuple(map(tuple, rows[start : start + len(values) + 1])))
            for name, values, start in zip(self.features, self.values, self.starts, strict=False)
        )
