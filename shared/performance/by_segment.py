"""Metrics of every segment at once, from their measures: with the intervals of the version's own
metrics where these follow from so few numbers, and wider ones where they do not. Pure.
"""

from dataclasses import dataclass
from math import isnan
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Flags, Floats, Ints
from driftgauge.shared.performance.classification import F1, NO_ROWS, ClassShares
from driftgauge.shared.performance.measures import STEPS, Measures
from driftgauge.shared.performance.metric import Confidence, Metric, variance_of_mean

NO_INTERVAL: Final = "no interval is known for a segment"
ONE_ROW: Final = "one row has no interval"


@dataclass(frozen=True)
class SegmentMetric:
    """A metric of every segment: NaN where it is not defined, or where its interval is not known.

    Parameters
    ----------
    value, low, high
        Shape (segments,).
    n
        Rows of each segment.
    note
        Why no segment has an interval; empty if they have.
    """

    value: Floats
    low: Floats
    high: Floats
    n: Ints
    note: str = ""

    def of(self, segment: int) -> Metric:
        """Return the metric of one segment."""
        n = int(self.n[segment])
        value, low, high = (float(found[segment]) for found in (self.value, self.low, self.high))
        if isnan(value):
            return Metric(None, None, None, n, note=NO_ROWS)
        if isnan(low) or isnan(high):
            return Metric(value, None, None, n, note=self.note or ONE_ROW)
        return Metric(value, low, high, n)


def by_segment(
    measures: Measures, sums: Ints, confidence: float = 0.95
) -> dict[str, SegmentMetric]:
    """Compute accuracy and macro F1 (of up to 20 classes), or MAE and RMSE, of every segment.

    Parameters
    ----------
    sums
        Sums as `Measures.of` returns them, or sums of such.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> measures = Measures(Layout("categorical", ("no", "yes")), 1.0)
    >>> sums = measures.of(["no", "yes", "yes"], ["no", "no", "yes"], np.array([[0, 0, 1]]), 3)
    >>> found = by_segment(measures, sums)
    >>> found["accuracy"].value.tolist(), found["f1_macro"].of(2).note
    ([0.5, 1.0, nan], 'no rows')
    """
    sure = Confidence(confidence)
    if measures.numeric:
        return _of_numbers(*mean_errors(measures, sums), sure)
    rows = sums.reshape(-1, measures.size)
    n = _known(rows[:, 0])
    right = rows[:, 0] - rows[:, 1]
    found = {"accuracy": SegmentMetric(right / n, *sure.wilson(right, n), rows[:, 0])}
    if measures.by_class:
        macro_f1 = F1.averaged(_shares(n, rows[:, 2:], measures.layout.side), "macro", sure)
        found["f1_macro"] = SegmentMetric(*macro_f1, rows[:, 0])
    return found


def mean_errors(measures: Measures, sums: Ints) -> tuple[Ints, Floats, Floats]:
    """Return rows, sum of the errors and sum of their squares of every segment; of classes an error
    is 0 or 1.
    """
    rows = sums.reshape(-1, measures.size)
    if measures.numeric:
        steps = rows[:, 1:].astype(np.float64) / STEPS
        return rows[:, 0], steps[:, 0] * measures.unit, steps[:, 1] * measures.unit**2
    wrong = rows[:, 1].astype(np.float64)
    return rows[:, 0], wrong, wrong


def _of_numbers(
    rows: Ints, total: Floats, squares: Floats, sure: Confidence
) -> dict[str, SegmentMetric]:
    """Compute MAE with its normal interval, and RMSE; an interval of RMSE needs fourth powers,
    which are not summed by segment.
    """
    n, nothing = _known(rows), np.full(len(rows), np.nan)
    variance = np.full(len(rows), np.nan)
    many = rows > 1
    variance[many] = variance_of_mean(total[many], squares[many], n[many])
    mae, error = total / n, np.sqrt(np.maximum(variance, 0.0))
    return {
        "mae": SegmentMetric(mae, *sure.normal(mae, error, least=0.0), rows),
        "rmse": SegmentMetric(np.sqrt(squares / n), nothing, nothing, rows, NO_INTERVAL),
    }


def _shares(n: Floats, counts: Ints, side: int) -> ClassShares:
    """Take the shares of labels, predictions and both in each segment.

    How often label i was taken for j is known for two classes only, where it is the share of wrong
    rows. With more, 2 b_i b_j is taken as b_i^2 + b_j^2, which is not less: so the interval of F1,
    of which b and c are equal, is never too narrow.
    """
    true, said, right = np.split(counts / n[:, None], [side, 2 * side], axis=1)
    present, missed = true + said > 0, true + said - 2 * right

    def crossed(b: Floats, _: Floats) -> Floats:
        most = (b**2 * missed).sum(axis=1) / 2
        pair = _product(b, present) * missed.sum(axis=1) / 2
        return np.asarray(np.where(present.sum(axis=1) <= 2, pair, most))

    return ClassShares(n, true, said, right, crossed)


def _product(values: Floats, present: Flags) -> Floats:
    """Multiply the values of the classes that are present."""
    return np.asarray(np.where(present, values, 1.0).prod(axis=1))


def _known(rows: Ints) -> Floats:
    """Return the numbers of rows, NaN for none: what is divided by it is not defined."""
    return np.where(rows > 0, rows, np.nan)
