"""The layout of a version's performance sums: what is summed of joined rows, and in which order."""

from functools import cached_property

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.feature import Kind
from driftgauge.shared.reference.profile import (
    PREDICTION,
    CategoricalReference,
    Column,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema

MAX_CLASSES = 50
"""Most classes that are counted separately. Further ones, and labels that the model does not know,
count together as OTHER.
"""
SCORE_BINS = 256
"""Bins of the score of a model with two classes, for the ROC curve."""
CALIBRATION_BINS = 10
"""Bins of equal width for the calibration error: 10 is usual (Guo et al. 2017, arXiv 1706.04599,
take 15).
"""
REGRESSION_TOTALS = ("e", "abs_e", "e2", "e4", "y", "y2", "ratio", "ratio2")
"""Sums for numbers: the error e, its absolute value, square and fourth power, the label y and its
square, and the absolute value of e / y and its square.
"""


class Layout(msgspec.Struct, frozen=True, dict=True):
    """The form of a version's sums.

    Parameters
    ----------
    kind
        Whether prediction and label are numbers or classes.
    classes
        Classes that are counted separately; empty for numbers.
    scored
        Whether a probability of each of these classes is published.

    Examples
    --------
    >>> layout = Layout("categorical", ("no", "yes"), scored=True)
    >>> layout.codes(["yes", "no", "perhaps"]).tolist(), layout.binary
    ([1, 0, 2], True)
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    scored: bool = False

    @classmethod
    def of(cls, schema: Schema, reference: ReferenceProfile) -> "Layout | None":
        """Choose the layout of a version; None if it predicts nothing.

        If the schema declares no classes, they are the most frequent predictions of the reference.
        """
        if schema.prediction is None:
            return None
        if schema.prediction == "numeric":
            return cls("numeric")
        last = reference.columns[-1]
        seen = (
            last.categories
            if isinstance(last, CategoricalReference) and last.name == PREDICTION
            else []
        )
        classes = schema.classes or tuple(sorted(seen))
        return cls(
            "categorical", classes[:MAX_CLASSES], scored=0 < len(schema.classes) <= MAX_CLASSES
        )

    @property
    def binary(self) -> bool:
        """Whether there is a score: the probability of the positive one of two classes, which is
        the second, as in scikit-learn.
        """
        return self.scored and len(self.classes) == 2

    @property
    def side(self) -> int:
        """Rows of the confusion matrix: the classes and OTHER."""
        return len(self.classes) + 1

    @cached_property
    def counts(self) -> dict[str, slice]:
        """Range of each kind of count in the vector of counts."""
        if self.kind == "numeric":
            return _places({"rows": 1, "nonzero": 1})
        sizes = {"matrix": self.side**2, "other_wrong": 1, "scored": 1}
        if self.binary:
            sizes |= {"positives": SCORE_BINS, "negatives": SCORE_BINS}
            sizes |= {
                "calibration_rows": CALIBRATION_BINS,
                "calibration_positives": CALIBRATION_BINS,
            }
        return _places(sizes)

    @cached_property
    def totals(self) -> dict[str, slice]:
        """Range of each kind of exact sum in the list of sums."""
        if self.kind == "numeric":
            return _places(dict.fromkeys(REGRESSION_TOTALS, 1))
        if not self.scored:
            return {}
        sizes = dict.fromkeys(("log_loss", "log_loss2", "brier", "brier2"), 1)
        return _places(sizes | ({"calibration_scores": CALIBRATION_BINS} if self.binary else {}))

    @cached_property
    def _codes(self) -> dict[object, int]:
        return {name: code for code, name in enumerate(self.classes)}

    def codes(self, values: Column) -> Ints:
        """Return the place of each value in the confusion matrix; an unknown one is OTHER, the last
        place.
        """
        other = len(self.classes)
        return np.fromiter(
            (self._codes.get(value, other) for value in values), np.int64, count=len(values)
        )


def score_bins(scores: Floats) -> Ints:
    """Sort scores in [0, 1] into SCORE_BINS bins, narrow near 0 and 1: bin j ends at
    (1 - cos(pi (j + 1) / SCORE_BINS)) / 2.

    Rare positives crowd near 0, where bins of equal width would hide their order.

    Examples
    --------
    >>> score_bins(np.array([0.0, 1e-4, 0.5, 1.0])).tolist()
    [0, 1, 128, 255]
    """
    angle = np.arccos(np.clip(1 - 2 * scores, -1, 1)) / np.pi
    return np.minimum((angle * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)


def _places(sizes: dict[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(sizes.values())).tolist()
    return {
        name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)
    }
