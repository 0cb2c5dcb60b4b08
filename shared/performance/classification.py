"""Metrics of classes, each a function of the confusion matrix: labels down, predictions across,
OTHER last.

Averages are over the classes that a row has or was predicted to have, as in scikit-learn; a class
without any counts 0 where a ratio has no denominator.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums

OTHER: Final = "OTHER"
NO_ROWS: Final = "no rows"

Average = Literal["macro", "weighted", "labelled"]
"""Over all classes alike, by the frequency of their labels, or over those with a label alike."""
Compute = Callable[[Sums, Confidence], Metric]
ComputeEach = Callable[[Sums, Confidence], dict[str, Metric]]


@dataclass(frozen=True, slots=True)
class ClassShares:
    """Shares of rows by class, of one confusion matrix or of many at once.

    Parameters
    ----------
    rows
        Number of rows, shape (...); NaN for none.
    true, said, right
        Share of the rows with the label, with the prediction, and with both, of each class: shape
        (..., classes).
    crossed
        Sums share_ij b_i c_j over all rows of label i and prediction j that differ, for two vectors
        b and c by class.
    """

    rows: float | Floats
    true: Floats
    said: Floats
    right: Floats
    crossed: Callable[[Floats, Floats], Floats]

    @classmethod
    def of(cls, matrix: Ints) -> "ClassShares":
        """Take the shares of a matrix that is not empty."""
        rows = float(matrix.sum())
        shares = matrix / rows
        right = np.diag(shares)
        return cls(
            rows,
            shares.sum(axis=1),
            shares.sum(axis=0),
            right,
            lambda b, c: np.asarray(b @ shares @ c - (right * b * c).sum()),
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric of a class: the share of right rows over a weighted sum of the share of rows with
    the label and of those with the prediction.
    """

    label: float
    prediction: float

    def averaged(
        self, shares: ClassShares, average: Average, sure: Confidence
    ) -> tuple[Floats, Floats, Floats]:
        """Average the ratio over the classes, with the interval of the multinomial delta method:
        value, low and high, each of the shape of `shares.rows`.

        Takahashi, Yamamoto, Kuchiba, Koyama 2022 (Applied Intelligence 52, 4961-4972) for F1. With
        the ratio f_k = p_kk / d_k and weight w_k, the derivative by the share p_ij of label i and
        prediction j is w_i / d_i [i = j] - b_i - c_j, where b_k = label w_k f_k / d_k and c_k =
        prediction w_k f_k / d_k, less f_k in b_k where the weight is the frequency of label k. The
        variance is that of this derivative over the rows, divided by their number.
        """
        true, said, right = shares.true, shares.said, shares.right
        denominators = self.label * true + self.prediction * said
        denominators = denominators + (denominators == 0)  # then nothing is right, and 0 is 0 / 1
        present = true > 0 if average == "labelled" else true + said > 0
        classes = present.sum(axis=-1)
        weighted = average == "weighted"
        weights = true if weighted else present / np.maximum(classes, 1)[..., None]
        values, scale = right / denominators, weights / denominators
        b = self.label * scale * values - (values if weighted else 0.0)
        c = self.prediction * scale * values
        hit, missed, mistaken = scale - b - c, true - right, said - right
        mean = (hit * right - b * missed - c * mistaken).sum(axis=-1)
        squares = (hit**2 * right + b**2 * missed + c**2 * mistaken).sum(axis=-1)
        variance = squares + 2 * shares.crossed(b, c) - mean**2
        value = np.where(classes > 0, (weights * values).sum(axis=-1), np.nan)
        error = np.sqrt(np.maximum(variance, 0.0) / shares.rows)
        return value, *sure.normal(value, error, least=0.0, most=1.0)


F1: Final = Ratio(0.5, 0.5)
PRECISION: Final = Ratio(0.0, 1.0)
RECALL: Final = Ratio(1.0, 0.0)


def accuracy(sums: Sums, sure: Confidence) -> Metric:
    """Compute the share of right rows, with Wilson's interval.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> layout = Layout("categorical", ("a", "b"))
    >>> sums = Sums.of(layout, ["a", "b", "b", "a"], ["a", "b", "b", "b"])
    >>> accuracy(sums, Confidence()).value, f1_of_each(sums, Confidence())["b"].value
    (0.75, 0.8)
    """
    right = int(np.trace(sums.matrix)) - int(sums.count("other_wrong")[0])
    return sure.share(right, sums.rows, NO_ROWS)


def averaged(ratio: Ratio, average: Average) -> Compute:
    """Make the function that averages a ratio over the classes."""

    def compute(sums: Sums, sure: Confidence) -> Metric:
        if not sums.rows:
            return undefined(NO_ROWS)
        value, low, high = ratio.averaged(ClassShares.of(sums.matrix), average, sure)
        return Metric(float(value), float(low), float(high), sums.rows)

    return compute


def f1_of_each(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute F1 of each class that there is.

    With t right rows and w wrong ones of the class it is 2 t / (2 t + w) = 2 s / (1 + s) with the
    share s = t / (t + w), so its interval is that of the share, transformed.
    """
    true, said, right = _totals(sums)
    return _of_each(sums, true + said - right, NO_ROWS, sure, lambda share: 2 * share / (1 + share))


def precision_of_each(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute the share of right rows among those predicted as a class, of each class that there
    is.
    """
    return _of_each(sums, _totals(sums)[1], "never predicted", sure)


def recall_of_each(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute the share of right rows among those with a label, of each class that there is."""
    return _of_each(sums, _totals(sums)[0], "no such label", sure)


def specificity_of_each(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute the share of rows not predicted as a class among those with another label, of each
    class that there is: the recall of all others taken together.
    """
    true, said, right = _totals(sums)
    others = sums.rows - true
    return _of_each(sums, others, "no other label", sure, hits=others - (said - right))


def lift_of_each(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute how many times more frequent a class is among the rows predicted as it than among
    all, of each class that there is: its precision by its share of the labels.

    The interval is that of the multinomial delta method for its logarithm, as Katz et al. 1978
    (Biometrics 34, 469-474) have it of a ratio of independent shares; it needs a right row.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> layout = Layout("categorical", ("a", "b"))
    >>> sums = Sums.of(layout, ["a", "b", "b", "a"], ["a", "b", "b", "b"])
    >>> lift_of_each(sums, Confidence())["a"].value
    2.0
    """
    numbers = zip(*(counts.tolist() for counts in _totals(sums)), strict=True)
    return {
        name: _lift(sums.rows, true, said, right, sure)
        for name, (true, said, right) in zip([*sums.layout.classes, OTHER], numbers, strict=True)
        if true + said
    }


def _lift(rows: int, true: int, said: int, right: int, sure: Confidence) -> Metric:
    if not true or not said:
        return undefined("no such label" if said else "never predicted")
    value = right * rows / (true * said)
    if not right:
        return Metric(value, None, None, rows, note="no right row, so no interval")
    both = 1 / right - 1 / true - 1 / said
    variance = right * both**2 + (true - right) / true**2 + (said - right) / said**2 - 1 / rows
    half = sure.z * math.sqrt(max(variance, 0.0))
    return Metric(value, value * math.exp(-half), value * math.exp(half), rows)


def confusion(sums: Sums) -> tuple[list[str], list[list[int]]]:
    """Return the classes and the confusion matrix as they are shown: OTHER only if a row has it."""
    matrix, classes = sums.matrix, list(sums.layout.classes)
    if matrix[-1].any() or matrix[:, -1].any():
        return [*classes, OTHER], matrix.tolist()
    return classes, matrix[:-1, :-1].tolist()


def _totals(sums: Sums) -> tuple[Ints, Ints, Ints]:
    """Return the rows with the label, with the prediction, and with both, of each class."""
    matrix = sums.matrix
    return matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)


def _of_each(
    sums: Sums,
    rows: Ints,
    nothing: str,
    sure: Confidence,
    curve: Callable[[Floats], Floats] = np.asarray,
    hits: Ints | None = None,
) -> dict[str, Metric]:
    """Compute a rising function of the share of hits among some rows, of each class that there is,
    with Wilson's interval.

    Parameters
    ----------
    rows
        Rows of each class of which the share is taken.
    nothing
        Why a class without such rows has no value.
    hits
        Those that are counted; None for the right ones.
    """
    true, said, right = _totals(sums)
    hits = right if hits is None else hits
    n = np.where(rows > 0, rows, np.nan)
    low, high = sure.wilson(hits, n)
    found = [curve(numbers).tolist() for numbers in (hits / n, low, high)]
    metrics = map(Metric, *found, rows.tolist())
    return {
        name: metric if metric.n else undefined(nothing)
        for name, metric, there in zip(
            [*sums.layout.classes, OTHER], metrics, true + said > 0, strict=True
        )
        if there
    }
