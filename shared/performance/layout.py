"""What of a version's joined rows is summed up, and where in the sums it stands."""

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
"""Classes that are told apart; further ones, and labels that the model does not know, are OTHER
together.
"""
SCORE_BINS = 256
"""Bins of a binary model's score, for the ROC curve."""
CALIBRATION_BINS = 10
"""Bins of equal width of the calibration error, as usual (Guo et al. 2017, arXiv 1706.04599, use
15).
"""
REGRESSION_TOTALS = ("e", "abs_e", "e2", "e4", "y", "y2", "ratio", "ratio2")


class Layout(msgspec.Struct, frozen=True, dict=True):
    """The form of a version's sums.

    Parameters
    ----------
    kind
        Of prediction and label.
    classes
        Of a classifier: the classes that are told apart.
    scored
        Whether probabilities of exactly these classes are published.

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
        """Give the layout of a version; None if it predicts nothing.

        Without declared classes they are the most frequent predictions of the reference.
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
        """Whether there is a score of the positive class, which is the second one, as in
        scikit-learn.
        """
        return self.scored and len(self.classes) == 2

    @property
    def side(self) -> int:
        """Rows of the confusion matrix: the classes and OTHER."""
        return len(self.classes) + 1

    @cached_property
    def counts(self) -> dict[str, slice]:
        """Where each kind of count stands in the vector of counts."""
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
        """Where each kind of exact sum stands among the sums."""
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
        """Give the place of each class in the confusion matrix; an unknown one is OTHER, the
        last.
        """
        other = len(self.classes)
        return np.fromiter(
            (self._codes.get(value, other) for value in values), np.int64, count=len(values)
        )


def score_bins(scores: Floats) -> Ints:
    """Map scores in [0, 1] to SCORE_BINS bins with dense tails: bin j ends at (1 - cos(pi
    (j+1)/SCORE_BINS))/2.

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
