"""Performance by segment: a few whole numbers of the joined rows of each segment, which add and can be taken away exactly.

A version's own sums (sums.py) are exact and rich; of up to 63 segments a few are enough. Numbers are summed in fixed point:
an absolute error and its square in steps of 2^-16 of a unit, which is about the reference's mean error, and of its square.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.performance.layout import Layout
from shared.reference import Column, Ints, NumericReference, ReferenceProfile

if TYPE_CHECKING:
    from shared.performance.baseline import PerformanceReference

STEPS: Final = 2**16
"""Of a unit."""
LARGEST: Final = 2048.0
"""Units: a larger error counts as this one, so that no sum of 2^25 rows overflows."""
MOST_CLASSES: Final = 20
"""With more classes only the accuracy of a segment is known."""


@dataclass(frozen=True)
class Measures:
    """What is summed of each segment's joined rows: their number, their errors, and the errors' squares (of numbers) or how
    often each class was true, predicted, and both (of up to 20 classes, and OTHER).

    Parameters
    ----------
    layout
        Of the version's sums.
    unit
        Of errors of numbers; 1 for classes, whose error is 0 or 1.

    Examples
    --------
    >>> measures = Measures(Layout("categorical", ("no", "yes")), 1.0)
    >>> measures.of(["no", "yes"], ["no", "no"], np.array([[0, 1]]), 2).reshape(2, -1).tolist()
    [[1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0], [1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]]
    """

    layout: Layout
    unit: float

    @classmethod
    def of_version(cls, layout: Layout, profile: ReferenceProfile, performance: "PerformanceReference | None") -> "Measures":
        """Choose the unit of a version: a power of two that is near its reference's mean absolute error.

        Without labelled reference rows it is a sixteenth of the range of its predictions. An accepted reference has the
        same cells, so it has the same unit.
        """
        if layout.kind == "categorical":
            return cls(layout, 1.0)
        mean = performance.errors.mean if performance is not None and performance.errors is not None else None
        last = profile.columns[-1]
        cuts = last.cuts if isinstance(last, NumericReference) else []
        size = mean or ((cuts[-1] - cuts[0]) / 16 if cuts else 0.0)
        return cls(layout, 2.0 ** np.floor(np.log2(size)) if size and np.isfinite(size) else 1.0)

    @property
    def by_class(self) -> bool:
        """Whether classes are told apart."""
        return self.layout.kind == "categorical" and len(self.layout.classes) <= MOST_CLASSES

    @property
    def size(self) -> int:
        """Numbers of one segment."""
        if self.layout.kind == "numeric":
            return 3
        return 2 + (3 * self.layout.side if self.by_class else 0)

    def of(self, predictions: Column, labels: Column, codes: Ints, segments: int) -> Ints:
        """Sum up joined rows.

        Parameters
        ----------
        predictions, labels
            Of the same rows, none missing: finite floats, or lists of classes.
        codes
            Shape (features, rows): the segments of each row.
        segments
            How many there are.

        Returns
        -------
        sums
            Flat: `size` numbers of the first segment, then those of the second, ….
        """
        rows = self._rows(predictions, labels)
        total = np.zeros((segments, self.size), dtype=np.int64)
        for code in codes:
            np.add.at(total, code, rows)
        return total.ravel()

    def _rows(self, predictions: Column, labels: Column) -> Ints:
        """Give the numbers of each row, shape (rows, size)."""
        rows = np.zeros((len(labels), self.size), dtype=np.int64)
        rows[:, 0] = 1
        if self.layout.kind == "numeric":
            errors = np.abs(np.asarray(predictions, np.float64) - np.asarray(labels, np.float64)) / self.unit
            errors = np.minimum(errors, LARGEST)
            rows[:, 1] = np.rint(errors * STEPS)
            rows[:, 2] = np.rint(errors * errors * STEPS)
            return rows
        rows[:, 1] = [one != other for one, other in zip(predictions, labels, strict=True)]
        if self.by_class:
            side, every = self.layout.side, np.arange(len(labels))
            truth, said = self.layout.codes(labels), self.layout.codes(predictions)
            rows[every, 2 + truth] = 1
            rows[every, 2 + side + said] = 1
            rows[every, 2 + 2 * side + truth] = (truth == said) & (rows[:, 1] == 0)
        return rows
