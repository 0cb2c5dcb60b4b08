"""Metrics of classes, from the confusion matrix: labels down, predictions across, OTHER last.

Averages are over the classes that a row has or was predicted to have, as in scikit-learn; a class
without any counts 0 where a ratio has no denominator.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums

OTHER = "OTHER"
NOTHING = "no rows"


def of_classes(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute accuracy, and precision, recall and F1: macro, weighted by the labels' frequency, and
    of each class.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> sums = Sums.of(Layout("categorical", ("a", "b")), ["a", "b", "b", "a"], ["a", "b", "b", "b"])
    >>> found = of_classes(sums, Confidence())
    >>> found["accuracy"].value, found["f1:b"].value
    (0.75, 0.8)
    """
    matrix, wrong = sums.matrix, int(sums.count("other_wrong")[0])
    rows = sums.rows
    if not rows:
        return {"accuracy": undefined(NOTHING)}
    found = {"accuracy": sure.share(int(np.trace(matrix)) - wrong, rows, NOTHING)}
    for name, ratio in (("f1", _F1), ("precision", _PRECISION), ("recall", _RECALL)):
        found |= {
            f"{name}_{average}": _averaged(matrix, ratio, average, sure)
            for average in ("macro", "weighted")
        }
    found["balanced_accuracy"] = _averaged(matrix, _RECALL, "labelled", sure)
    return found | dict(_each(sums, sure))


def confusion(sums: Sums) -> tuple[list[str], list[list[int]]]:
    """Give the classes and the matrix to be shown; OTHER only if a row has it."""
    matrix, classes = sums.matrix, list(sums.layout.classes)
    if matrix[-1].any() or matrix[:, -1].any():
        return [*classes, OTHER], matrix.tolist()
    return classes, matrix[:-1, :-1].tolist()


@dataclass(frozen=True, slots=True)
class _Ratio:
    """A metric of a class: hits over a denominator that counts each row with the label and each
    with the prediction.
    """

    label: float
    prediction: float

    def denominators(self, shares: Floats) -> Floats:
        labels: Floats = shares.sum(axis=1)
        said: Floats = shares.sum(axis=0)
        return self.label * labels + self.prediction * said


_F1, _PRECISION, _RECALL = _Ratio(0.5, 0.5), _Ratio(0, 1), _Ratio(1, 0)


def _averaged(matrix: Ints, ratio: _Ratio, average: str, sure: Confidence) -> Metric:
    """Average a ratio over the classes, with the interval of the multinomial delta method.

    Takahashi, Yamamoto, Kuchiba, Koyama 2022 (Applied Intelligence 52, 4961-4972) for F1. With the
    ratio f_k = p_kk / d_k and weight w_k, the derivative by the share p_ij of row i, column j is
    sum over k of w_k ([i = j = k] - f_k (label [i = k] + prediction [j = k])) / d_k, and f_i more
    where the weight is the frequency of label i. The variance is that of this derivative over the
    rows, divided by their number.
    """
    n = int(matrix.sum())
    shares = matrix / n
    labels, said = shares.sum(axis=1), shares.sum(axis=0)
    denominators = ratio.denominators(shares)
    defined = denominators > 0
    values = np.divide(np.diag(shares), denominators, out=np.zeros(len(matrix)), where=defined)
    present = labels > 0 if average == "labelled" else labels + said > 0
    weights = labels if average == "weighted" else present / present.sum()
    scale = np.divide(weights, denominators, out=np.zeros(len(matrix)), where=defined)
    slope = (
        np.diag(scale)
        - (ratio.label * scale * values)[:, None]
        - (ratio.prediction * scale * values)[None, :]
    )
    if average == "weighted":
        slope = slope + values[:, None]
    value = float(weights @ values)
    variance = float((shares * slope**2).sum() - (shares * slope).sum() ** 2) / n
    half = sure.z * max(variance, 0.0) ** 0.5
    return Metric(value, max(value - half, 0.0), min(value + half, 1.0), n)


def _each(sums: Sums, sure: Confidence) -> Iterator[tuple[str, Metric]]:
    """Give the metrics of each class that there is, with Wilson's intervals.

    F1 = 2 t / (2 t + w) with t rows right and w wrong ones of the class: 2 s / (1 + s) with the
    share s = t / (t + w).
    """
    matrix = sums.matrix
    names = [*sums.layout.classes, OTHER]
    both, said, labels = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    for name, right, predicted, true in zip(
        names, both.tolist(), said.tolist(), labels.tolist(), strict=True
    ):
        if not predicted + true:
            continue
        share = sure.share(right, predicted + true - right, NOTHING)
        yield (
            f"f1:{name}",
            Metric(_f1(share.value), _f1(share.low), _f1(share.high), predicted + true - right),
        )
        yield f"precision:{name}", sure.share(right, predicted, "never predicted")
        yield f"recall:{name}", sure.share(right, true, "no such label")


def _f1(share: float | None) -> float | None:
    return None if share is None else 2 * share / (1 + share)
