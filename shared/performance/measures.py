"""The sums of joined rows by segment: a few whole numbers for each segment, which add, and can be
taken away again, exactly.

They are fewer than those of the whole version (sums.py), since there can be 63 segments. Errors of
numbers are summed in fixed point: the absolute error in steps of 2^-16 of a unit, its square in
steps of 2^-16 of the unit's square. The unit is about the mean error of the reference.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.reference.profile import Column, NumericReference, ReferenceProfile

STEPS: Final = 2**16
"""Steps of a unit, in which errors are summed."""
LARGEST: Final = 2048.0
"""Largest error, in units: a larger one counts as this one, so that no sum of fewer than 2^25 rows
overflows.
"""
MOST_CLASSES: Final = 20
"""Most classes of which F1 is known by segment; with more only the accuracy is."""


@dataclass(frozen=True)
class Measures:
    """The definition of the sums over the joined rows of each segment.

    For numbers: rows, absolute errors, and their squares. For classes: rows, wrong rows, and, of up
    to 20 classes and OTHER, the rows with the label, with the prediction, and with both.

    Parameters
    ----------
    layout
        The layout of the version's own sums.
    unit
        The unit of errors of numbers; 1 for classes, whose error is 0 or 1.

    Examples
    --------
    >>> measures = Measures(Layout("categorical", ("no", "yes")), 1.0)
    >>> measures.of(["no", "yes"], ["no", "no"], np.array([[0, 1]]), 2).reshape(2, -1).tolist()
    [[1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0], [1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]]
    """

    layout: Layout
    unit: float

    @classmethod
    def of_version(
        cls, layout: Layout, profile: ReferenceProfile, mean_error: float | None
    ) -> "Measures":
        """Choose the unit of a version: the power of two just below its reference's mean absolute
        error.

        Without labelled reference rows a sixteenth of the range of its predictions takes the place
        of the mean error. An accepted reference has the same cells, and so the same unit.
        """
        if layout.kind == "categorical":
            return cls(layout, 1.0)
        last = profile.columns[-1]
        cuts = last.cuts if isinstance(last, NumericReference) else []
        size = mean_error or ((cuts[-1] - cuts[0]) / 16 if cuts else 0.0)
        return cls(layout, 2.0 ** np.floor(np.log2(size)) if size and np.isfinite(size) else 1.0)

    @property
    def numeric(self) -> bool:
        """Whether numbers are predicted, not classes."""
        return self.layout.kind == "numeric"

    @property
    def by_class(self) -> bool:
        """Whether rows are summed by class too."""
        return not self.numeric and len(self.layout.classes) <= MOST_CLASSES

    @property
    def size(self) -> int:
        """Number of sums of one segment."""
        if self.numeric:
            return 3
        return 2 + (3 * self.layout.side if self.by_class else 0)

    def of(self, predictions: Column, labels: Column, codes: Ints, segments: int) -> Ints:
        """Sum up joined rows.

        Parameters
        ----------
        predictions, labels
            One value a row, none missing: finite floats, or lists of classes.
        codes
            The segments of each row, shape (features, rows).
        segments
            Number of segments.

        Returns
        -------
        sums
            Flat: `size` numbers of the first segment, then those of the second, ….
        """
        places, numbers = (
            self._of_numbers(predictions, labels)
            if self.numeric
            else self._of_classes(predictions, labels)
        )
        total = np.zeros(segments * self.size, dtype=np.int64)
        for code in codes:
            np.add.at(total, code * self.size + places, numbers)
        return total

    def _of_numbers(self, predictions: Column, labels: Column) -> tuple[Ints, Ints]:
        """Return the places among a segment's numbers that a row adds to, and what it adds there:
        shape (numbers, rows).
        """
        with np.errstate(over="ignore"):  # what is no float any more counts as the largest error
            errors = (
                np.abs(np.asarray(predictions, np.float64) - np.asarray(labels, np.float64))
                / self.unit
            )
        errors = np.minimum(errors, LARGEST)
        numbers = np.rint(
            [np.full(len(errors), 1.0), errors * STEPS, errors * errors * STEPS]
        ).astype(np.int64)
        return np.arange(3)[:, None], numbers

    def _of_classes(self, predictions: Column, labels: Column) -> tuple[Ints, Ints]:
        wrong = np.array(
            [one != other for one, other in zip(predictions, labels, strict=True)], dtype=np.int64
        )
        every = np.ones(len(wrong), dtype=np.int64)
        if not self.by_class:
            return np.arange(2)[:, None], np.array([every, wrong])
        side, truth, said = (
            self.layout.side,
            self.layout.codes(labels),
            self.layout.codes(predictions),
        )
        places = np.array([0 * every, every, 2 + truth, 2 + side + said, 2 + 2 * side + truth])
        return places, np.array([every, wrong, every, every, 1 - wrong])
