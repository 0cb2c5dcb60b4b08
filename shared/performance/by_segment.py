"""Metrics of every segment at once, from their measures: with the intervals of shared/performance
where these follow from so few numbers, and wider ones where they do not. Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.measures import STEPS, Measures
from driftgauge.shared.performance.metric import Confidence, Metric

TWO = 2
NO_ROWS = "no rows"
NO_INTERVAL = "no interval is known for a segment"
ONE_ROW = "one row has no interval"


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
        """Give the metric of one segment."""
        n = int(self.n[segment])
        value, low, high = (float(found[segment]) for found in (self.value, self.low, self.high))
        if value != value:  # noqa: PLR0124  NaN: no rows
            return Metric(None, None, None, n, note=NO_ROWS)
        if low != low or high != high:  # noqa: PLR0124
            return Metric(value, None, None, n, note=self.note or ONE_ROW)
        return Metric(value, low, high, n)


def by_segment(
    measures: Measures, sums: Ints, confidence: float = 0.95
) -> dict[str, SegmentMetric]:
    """Compute accuracy and macro F1 (of up to 20 classes), or MAE and RMSE, of every segment.

    Parameters
    ----------
    sums
        As `Measures.of` gives them, or sums of these.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> measures = Measures(Layout("categorical", ("no", "yes")), 1.0)
    >>> sums = measures.of(["no", "yes", "yes"], ["no", "no", "yes"], np.array([[0, 0, 1]]), 3)
    >>> found = by_segment(measures, sums)
    >>> found["accuracy"].value.tolist(), found["f1_macro"].of(2).note
    ([0.5, 1.0, nan], 'no rows')
    """
    rows, sure = sums.reshape(-1, measures.size), Confidence(confidence)
    if measures.layout.kind == "numeric":
        return {"mae": _mae(measures, rows, sure), "rmse": _rmse(measures, rows)}
    found = {"accuracy": _accuracy(rows, sure)}
    return found | ({"f1_macro": _f1(measures, rows, sure)} if measures.by_class else {})


def mean_errors(measures: Measures, sums: Ints) -> tuple[Ints, Floats, Floats]:
    """Give rows, sum of the errors and sum of their squares of every segment; of classes an error
    is 0 or 1.
    """
    rows = sums.reshape(-1, measures.size)
    if measures.layout.kind == "numeric":
        steps = rows[:, 1:].astype(np.float64) / STEPS
        return rows[:, 0], steps[:, 0] * measures.unit, steps[:, 1] * measures.unit**2
    wrong = rows[:, 1].astype(np.float64)
    return rows[:, 0], wrong, wrong


def _ratio(one: Floats | Ints, other: Floats | Ints) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    nothing = np.full(np.broadcast(one, other).shape, np.nan)
    return np.asarray(np.divide(one, other, out=nothing, where=np.asarray(other) > 0))


def _accuracy(rows: Ints, sure: Confidence) -> SegmentMetric:
    """Give the share of right rows, with Wilson's interval."""
    n, hits = rows[:, 0], rows[:, 0] - rows[:, 1]
    value, z2 = _ratio(hits, n), sure.z**2
    center = (hits + z2 / 2) / (n + z2)
    half = sure.z / (n + z2) * np.sqrt(_ratio(hits * (n - hits), n) + z2 / 4)
    return SegmentMetric(
        value, np.minimum(np.maximum(center - half, 0), value), np.maximum(center + half, value), n
    )


def _f1(measures: Measures, rows: Ints, sure: Confidence) -> SegmentMetric:
    """Give the mean F1 of the classes that a segment has, with the interval of the delta method.

    The derivative by the share of a cell is as in classification.py. Where label i was taken for j
    it is -(b_i + b_j), and how often that was is known for two classes only; with more, its square
    is taken as 2 b_i^2 + 2 b_j^2, which is not less.
    """
    n, side = rows[:, 0], measures.layout.side
    true, said, both = (
        _ratio(part, n[:, None]) for part in np.split(rows[:, 2:], [side, 2 * side], axis=1)
    )
    denominators = (true + said) / 2
    present = denominators > 0
    f1 = np.divide(both, denominators, out=np.zeros_like(both), where=present)
    classes = present.sum(axis=1)
    value = _ratio(f1.sum(axis=1), classes)
    slope = np.divide(
        1 / np.maximum(classes, 1)[:, None], denominators, out=np.zeros_like(both), where=present
    )
    b = slope * f1 / 2
    missed = true + said - 2 * both
    mean = ((slope - 2 * b) * both).sum(axis=1) - (b * missed).sum(axis=1)
    pairs = (b**2 * missed).sum(axis=1)
    crossed = np.where(classes <= TWO, 2 * _product(b, present) * missed.sum(axis=1) / 2, pairs)
    squares = ((slope - 2 * b) ** 2 * both).sum(axis=1) + pairs + crossed
    half = sure.z * np.sqrt(_ratio(np.maximum(squares - mean**2, 0), n))
    return SegmentMetric(value, np.maximum(value - half, 0), np.minimum(value + half, 1), n)


def _product(values: Floats, present: NDArray[np.bool_]) -> Floats:
    """Multiply the values of the classes that are present, of up to two."""
    return np.asarray(np.where(present, values, 1.0).prod(axis=1))


def _mae(measures: Measures, rows: Ints, sure: Confidence) -> SegmentMetric:
    """Give the mean absolute error, with its normal interval."""
    n, total, squares = mean_errors(measures, rows.ravel())
    mean = _ratio(total, n)
    half = sure.z * np.sqrt(_ratio(np.maximum(_ratio(squares, n) - mean**2, 0), n - 1))
    return SegmentMetric(mean, np.maximum(mean - half, 0), mean + half, n)


def _rmse(measures: Measures, rows: Ints) -> SegmentMetric:
    """Give the root mean squared error; its interval needs fourth powers, which are not summed by
    segment.
    """
    n, _, squares = mean_errors(measures, rows.ravel())
    nothing = np.full(len(n), np.nan)
    return SegmentMetric(np.sqrt(_ratio(squares, n)), nothing, nothing, n, NO_INTERVAL)
